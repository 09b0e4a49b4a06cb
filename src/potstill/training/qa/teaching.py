"""Teachers of question answering: what they said of questions, or say of batches, as a loss."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from potstill.bundle.cache import cache_folder
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.manifest import read_manifest
from potstill.bundle.weights import read_weights
from potstill.errors import RecipeError
from potstill.losses.span import span_cross_entropy, span_kl
from potstill.models.qa import QuestionAnsweringModel
from potstill.text.tokenizer import Tokenizer
from potstill.training.kept.shards import fill, tokenizer_hash, weights_hash
from potstill.training.qa.data import QATrainingData
from potstill.training.qa.rows import QARows
from potstill.training.qa.soft_labels import DistilRows, Labelling, label_rows
from potstill.training.qa.teacher_cache import TeacherCache
from potstill.training.qa.teachers import Teacher
from potstill.training.qa.transfer import Student, Transfer
from potstill.training.recipe.qa import DistilRecipe
from potstill.training.run.course import Sitting
from potstill.training.run.loop import computes_bf16
from potstill.training.run.task import Base, Lesson, Taught, Witness


class QATeaching:
    """The teachers of a run: their outputs are kept, or come out of a teacher that runs beside."""

    taught: Taught | None = None
    """Questions have no labels by name."""

    def __init__(self, recipe: DistilRecipe, sitting: Sitting) -> None:
        """Opens those whose outputs are kept; none where the only one teaches live.

        Raises:
            ModelError: there is no such model, or it does not answer questions.
        """
        self._recipe, self._sitting = recipe, sitting
        self._live = recipe.teaches_live and not sitting.cache_only
        self._teachers: list[tuple[Teacher, TeacherCache]] = []
        if self._live or not recipe.alpha_kd:
            return
        root = Path(recipe.cache) if recipe.cache else cache_folder() / "teachers"
        for name in recipe.teachers:
            teacher = self._teacher(name)
            cache = TeacherCache(root, teacher.facts(), sitting.listeners.note)
            self._teachers.append((teacher, cache))

    def _teacher(self, name: str) -> Teacher:
        recipe, fabric = self._recipe, self._sitting.fabric
        return Teacher(
            name,
            seq_len=recipe.teacher_seq_len or recipe.seq_len,
            stride=recipe.teacher_stride or recipe.stride,
            device=fabric.device.type,
            bf16=computes_bf16(fabric),
            threads=recipe.threads,
        )

    def witnesses(self, data: QATrainingData) -> list[Witness]:
        """The teachers, each with its own windows."""
        recipe = self._recipe
        if not (self._live or recipe.alpha_kd):
            return []
        stride = recipe.teacher_stride or recipe.stride
        seq_len = recipe.teacher_seq_len or recipe.seq_len
        found: list[Witness] = []
        for name in recipe.teachers:
            folder = find_model(name)
            limit = read_config(folder).max_positions
            found.append(
                Witness(
                    name=name,
                    tokenizer=Tokenizer.from_folder(folder),
                    open=lambda name=name: self._teacher(name).open(),
                    recipe=replace(recipe, seq_len=min(seq_len, limit), stride=stride),
                    data=replace(data, no_answer=_speaks_null(name)),
                )
            )
        return found

    def lesson(
        self, model: QuestionAnsweringModel, rows: QARows, data: QATrainingData, base: Base
    ) -> Lesson:
        """What the student learns of its windows.

        Raises:
            RecipeError: a teacher's inner states cannot be matched with the student's.
        """
        recipe = self._recipe
        transfer = _make_transfer(recipe, base.folder, model)
        if transfer:
            transfer.setup(self._sitting.fabric)
        # A teacher that was never taught to say "no answer" would teach a guess.
        speaks_null = not recipe.alpha_kd or all(map(_speaks_null, recipe.teachers))
        taught = np.array([speaks_null or not e.is_impossible for e in data.train])
        asked = taught[rows.example] & bool(recipe.alpha_kd)
        labelled = DistilRows.empty(rows, rows.example < data.n_gold, asked)
        if self._live:
            marks = [weights_hash(find_model(recipe.teachers[0]))]
        else:
            marks = [cache.key for _, cache in self._teachers]
        return Lesson(
            module=Student(model, transfer.projections if transfer else nn.ModuleList()),
            rows=labelled,
            loss=DistilLoss(recipe, transfer),
            marks=marks,
            ask=None if self._live else partial(self._ask, labelled, data, base),
        )

    def _ask(
        self, rows: DistilRows, data: QATrainingData, base: Base, wanted: npt.NDArray[np.int64]
    ) -> None:
        recipe, stage = self._recipe, self._sitting.listeners.stage
        wanted = wanted[rows.has_teacher[wanted]]
        needed = [data.train[i] for i in dict.fromkeys(rows.rows.example[wanted].tolist())]
        for teacher, cache in self._teachers:
            asking = partial(stage, f"asking {teacher.name}")
            fill(cache, teacher, needed, asking, self._sitting.fabric)
        if self._sitting.cache_only:
            return
        how = Labelling(
            temperature=recipe.temperature,
            mixture=recipe.mixture,
            whole_rows=not recipe.mask_positions,
            gold_first=bool(recipe.alpha_ce),
        )
        aligning = partial(stage, "aligning")
        label_rows(rows, wanted, data.train, base.tokenizer, self._teachers, how, aligning)


class DistilLoss:
    """The loss of one batch, summed over its rows.

    alpha_ce · cross-entropy of the gold answers + alpha_kd · divergence from the teachers + the
    inner losses, each for the rows and the share of the run it applies to.
    """

    def __init__(self, recipe: DistilRecipe, transfer: Transfer | None) -> None:
        self._recipe, self._transfer = recipe, transfer

    def __call__(self, student: Student, batch: dict[str, Tensor], done: float) -> Tensor:
        recipe = self._recipe
        inner = self._transfer if done < recipe.transfer_until else None
        output = student(batch, states=inner is not None)
        total = output.start_logits.new_zeros(len(batch["start"]), dtype=torch.float32)
        if inner is not None:
            total = total + inner.loss(student, output, batch)
            if done < recipe.transfer_first:
                return total.sum()
        logits = output.start_logits, output.end_logits
        if recipe.alpha_ce:
            gold = span_cross_entropy(*logits, batch["start"], batch["end"], batch["allowed"])
            total = total + recipe.alpha_ce * gold * batch["has_gold"]
        if recipe.alpha_kd:
            where = batch["allowed"] if recipe.mask_positions else batch["attention_mask"].bool()
            soft = batch["teacher_start"], batch["teacher_end"]
            if inner is not None and recipe.teaches_live:
                soft = inner.soft_targets(where)
            distance = span_kl(*logits, *soft, where, recipe.temperature)
            total = total + recipe.alpha_kd * distance * batch["has_teacher"]
        return total.sum()


def _make_transfer(
    recipe: DistilRecipe, folder: Path, student: QuestionAnsweringModel
) -> Transfer | None:
    if not recipe.matches_inside:
        return None
    name = recipe.teachers[0]
    theirs = find_model(name)
    if tokenizer_hash(theirs) != tokenizer_hash(folder):
        raise RecipeError(
            f"teacher {name} cuts text into other tokens than the student, so that their inner "
            "states cannot be aligned: omit alpha_hidden, alpha_attention and alpha_relation"
        )
    weights_config = read_config(theirs)
    read_weights(theirs, weights_config)  # refuses a teacher without the head
    teacher, _ = QuestionAnsweringModel.from_folder(theirs, weights_config)
    return Transfer(recipe, teacher, student)


def _speaks_null(teacher: str) -> bool:
    manifest = read_manifest(find_model(teacher))
    return manifest is not None and manifest.no_answer
