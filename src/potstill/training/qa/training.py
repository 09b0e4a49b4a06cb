"""Training question answering: the task's half that needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from potstill.bundle.heads import HEADS, QA_OUTPUTS
from potstill.bundle.manifest import Manifest
from potstill.errors import RecipeError
from potstill.evaluation.readings import collect, score_predictions
from potstill.losses.span import span_cross_entropy
from potstill.models.qa import QAOutput, QuestionAnsweringModel
from potstill.records import QAExample
from potstill.runtime.qa import QAClient
from potstill.runtime.reading import ReadOptions
from potstill.runtime.session import Session
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer
from potstill.training.qa.adapting import finishing
from potstill.training.qa.calibrate import calibrate
from potstill.training.qa.data import QATrainingData, load_split
from potstill.training.qa.features import open_rows
from potstill.training.qa.pruning import pruned_base
from potstill.training.qa.rows import QARows
from potstill.training.qa.teaching import QATeaching
from potstill.training.recipe.qa import DistilRecipe, Recipe
from potstill.training.run.course import Sitting
from potstill.training.run.packed import INPUTS
from potstill.training.run.task import Base, TaskTraining, Taught, data_of


class QATraining(TaskTraining):
    """Questions asked of contexts, whose answers are spans."""

    model_class = QuestionAnsweringModel
    outputs = QA_OUTPUTS
    unit = "windows"

    def load(self, recipe: Recipe, taught: Taught | None = None) -> QATrainingData:
        """Reads, mines and holds out questions; see `load_split`."""
        return load_split(recipe)

    def start_from(
        self, folder: Path, recipe: Recipe, data: QATrainingData, sitting: Sitting
    ) -> Path:
        """The pruned model's folder, where the recipe prunes."""
        note = sitting.listeners.note
        if not (isinstance(recipe, DistilRecipe) and recipe.prunes):
            return folder
        if sitting.dry_run:
            note(f"{recipe.base} would be pruned first: what follows is of all of it")
            return folder
        return pruned_base(recipe, folder, data.train[: data.n_gold], sitting.fabric, note)

    def open_rows(
        self, recipe: Recipe, data: QATrainingData, base: Base, note: Callable[[str], None]
    ) -> QARows:
        """Questions as labelled windows, kept on disk."""
        return open_rows(
            data.train, base.tokenizer, seq_len=recipe.seq_len, stride=recipe.stride, note=note
        )

    def logits(
        self, model: QuestionAnsweringModel, batch: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Starts and ends, each ``[batch, seq]``."""
        output: QAOutput = model(*(batch[name] for name in INPUTS))
        return output.start_logits, output.end_logits

    def loss(
        self, logits: tuple[Tensor, Tensor], batch: dict[str, Tensor], data: QATrainingData
    ) -> Tensor:
        """Cross-entropy of the gold spans, summed over the rows; scalar."""
        gold = batch["start"], batch["end"], batch["allowed"]
        return span_cross_entropy(*logits, *gold).sum()

    def finishing(
        self, model: QuestionAnsweringModel, recipe: Recipe, *, new_head: bool
    ) -> Callable[[], None]:
        """Folds adapters in and gives the base its share, where the recipe says so.

        Raises:
            RecipeError: such a model can have no adapters, or its base no share.
        """
        if new_head and recipe.base_share:
            raise RecipeError(
                f"base_share is {recipe.base_share:g}, but {recipe.base} has no "
                f"{HEADS[self.head].title}, whose weights could have a share: omit it"
            )
        return finishing(model, recipe)

    def teaching(self, recipe: Recipe, sitting: Sitting) -> QATeaching | None:
        """Opens the teachers of a recipe of distilling."""
        return QATeaching(recipe, sitting) if isinstance(recipe, DistilRecipe) else None

    def score(
        self,
        session: Session,
        tokenizer: Tokenizer,
        examples: Sequence[QAExample],
        recipe: Recipe,
        data: QATrainingData,
    ) -> dict[str, float]:
        """``exact``, ``f1``, ``total`` and what v2.0 adds."""
        client = _client(session, tokenizer, recipe, data)
        found = collect(examples, client.read_many((e.question, e.context) for e in examples))
        threshold = client.options.threshold
        return score_predictions(examples, found, rules_v2=data.rules_v2, null_threshold=threshold)

    def describe(
        self,
        model: QuestionAnsweringModel,
        base: Base,
        recipe: Recipe,
        data: QATrainingData,
        note: Callable[[str], None],
    ) -> Manifest:
        """Null threshold and temperature are fitted on what was held out, and on nothing else."""
        found = Manifest(
            data=data_of(recipe, data.facts),
            no_answer=data.no_answer,
            stride=recipe.stride,
            max_answer_tokens=recipe.max_answer_tokens,
            tidy_questions=data.tidy_questions,
        )
        if not data.held_out:
            return found
        fitted = calibrate(
            _client(TorchSession(model), base.tokenizer, recipe, data),
            data.held_out,
            no_answer=data.no_answer,
            answers_kept=recipe.answers_kept,
        )
        threshold = fitted.null_threshold or 0.0
        return replace(found, null_threshold=threshold, calibration=fitted.to_manifest())


def _client(
    session: Session, tokenizer: Tokenizer, recipe: Recipe, data: QATrainingData
) -> QAClient:
    """The reader that ships, around a model in a session."""
    options = ReadOptions(
        seq_len=recipe.seq_len,
        stride=recipe.stride,
        max_answer_tokens=recipe.max_answer_tokens,
        no_answer=data.no_answer,
        tidy_questions=data.tidy_questions,
        token_budget=recipe.batch_tokens,
    )
    return QAClient(tokenizer, session, options)
