"""Matching what goes on inside teacher and student while a student trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from potstill.compression.student import map_layers
from potstill.errors import RecipeError
from potstill.losses.transfer import attention_mse, attention_scores, hidden_mse, relation_kl
from potstill.models.encoder import Encoder
from potstill.models.qa import QAOutput, QuestionAnsweringModel
from potstill.training.recipe.qa import DistilRecipe


class Recorder:
    """Keeps the queries, keys and values that some layers computed last."""

    def __init__(self, encoder: Encoder, layers: Sequence[int]) -> None:
        """Watches ``layers`` of ``encoder`` from now on."""
        self.vectors: dict[tuple[int, str], Tensor] = {}
        """(Layer, ``query``, ``key`` or ``value``) → ``[batch, seq, width]``."""
        for number in set(layers):
            attention: Any = encoder.layers[number].attention  # pyright: ignore[reportAttributeAccessIssue]
            for name in ("query", "key", "value"):
                getattr(attention, name).register_forward_hook(self._keep(number, name))

    def _keep(self, number: int, name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self.vectors[number, name] = output

        return hook


class Student(nn.Module):
    """A student, with the projections that are trained beside it and then thrown away."""

    def __init__(self, model: QuestionAnsweringModel, projections: nn.ModuleList) -> None:
        super().__init__()
        self.model = model
        self.projections = projections

    def forward(self, batch: dict[str, Tensor], *, states: bool) -> QAOutput:
        """Runs the student on a batch of the training loop."""
        return self.model(
            batch["input_ids"],
            batch["attention_mask"],
            batch["token_type_ids"],
            output_hidden_states=states,
        )


class Transfer:
    """The inner losses of a recipe, between one teacher and one student."""

    def __init__(
        self, recipe: DistilRecipe, teacher: QuestionAnsweringModel, student: QuestionAnsweringModel
    ) -> None:
        """Pairs the layers and starts watching both models.

        Raises:
            RecipeError: the layers cannot be paired, or heads do not fit.
        """
        theirs, ours = teacher.config, student.config
        if theirs.vocab_size != ours.vocab_size:
            raise RecipeError(
                f"the teacher reads {theirs.vocab_size} different tokens and the student "
                f"{ours.vocab_size}: omit alpha_hidden, alpha_attention and alpha_relation"
            )
        for model in (theirs, ours):
            if not model.spec.parted and (recipe.alpha_attention or recipe.alpha_relation):
                raise RecipeError(
                    f"alpha_attention and alpha_relation are not for {model.model_type} models "
                    "yet: omit them"
                )
        mapped = map_layers(recipe.layer_map, theirs.n_layers, ours.n_layers)
        self.pairs = [(s, t) for s, t in enumerate(mapped) if t >= 0]
        if not self.pairs:
            raise RecipeError("layer_map leaves every layer out: give at least one number from 0")
        self._recipe = recipe
        self._teacher = teacher.eval().requires_grad_(False)
        self._heads = recipe.relation_heads or theirs.n_heads
        self._check_heads(teacher, student)
        wide = recipe.alpha_hidden and theirs.hidden_width != ours.hidden_width
        self.projections = nn.ModuleList(
            nn.Linear(ours.hidden_width, theirs.hidden_width, bias=False)
            for _ in (self.pairs if wide else ())
        )
        self._ours = Recorder(student.encoder, [s for s, _ in self.pairs])
        self._theirs = Recorder(teacher.encoder, [t for _, t in self.pairs])
        self._n_heads = [ours.heads_of(s) for s, _ in self.pairs]
        self._said: QAOutput
        self._autocast: Callable[[], AbstractContextManager[Any]] = nullcontext

    def setup(self, fabric: Fabric) -> None:
        """Moves the teacher to where the student is, to compute as it does."""
        self._teacher.to(fabric.device)
        self._autocast = fabric.autocast

    def loss(self, student: Student, output: QAOutput, batch: dict[str, Tensor]) -> Tensor:
        """The weighted inner losses of a batch the student has just read, ``[batch]``."""
        recipe = self._recipe
        inputs = [batch[k] for k in ("input_ids", "attention_mask", "token_type_ids")]
        with torch.no_grad(), self._autocast():
            theirs: QAOutput = self._teacher(*inputs, output_hidden_states=True)
        self._said = theirs
        assert output.hidden_states is not None and theirs.hidden_states is not None
        mask = batch["attention_mask"]
        total = mask.new_zeros(len(mask), dtype=torch.float32)
        for number, ((s, t), n_heads) in enumerate(zip(self.pairs, self._n_heads, strict=True)):
            if recipe.alpha_hidden:
                states = output.hidden_states[s + 1]
                if len(student.projections):
                    states = student.projections[number](states)
                distance = hidden_mse(states, theirs.hidden_states[t + 1], mask)
                total = total + recipe.alpha_hidden / len(self.pairs) * distance
            if recipe.alpha_attention:
                ours, wanted = (
                    attention_scores(r.vectors[i, "query"], r.vectors[i, "key"], n_heads)
                    for r, i in ((self._ours, s), (self._theirs, t))
                )
                distance = attention_mse(ours, wanted, mask)
                total = total + recipe.alpha_attention / len(self.pairs) * distance
        if recipe.alpha_relation:
            total = total + recipe.alpha_relation * self._relations(mask)
        return total

    def soft_targets(self, where: Tensor) -> tuple[Tensor, Tensor]:
        """What the teacher said of the batch that `loss` was given last.

        Args:
            where: positions to spread it over, bool ``[batch, seq]``.

        Returns:
            Probabilities of start and end at the recipe's temperature, each ``[batch, seq]``.
        """
        start, end = (
            (logits.float() / self._recipe.temperature)
            .masked_fill(~where, float("-inf"))
            .softmax(-1)
            for logits in (self._said.start_logits, self._said.end_logits)
        )
        return start, end

    def _relations(self, mask: Tensor) -> Tensor:
        s, t = self.pairs[-1]
        found = [
            relation_kl(self._ours.vectors[s, n], self._theirs.vectors[t, n], mask, self._heads)
            for n in ("query", "key", "value")
        ]
        return torch.stack(found).mean(0)

    def _check_heads(
        self, teacher: QuestionAnsweringModel, student: QuestionAnsweringModel
    ) -> None:
        theirs, ours = teacher.config, student.config
        for s, t in self.pairs if self._recipe.alpha_attention else ():
            if theirs.heads_of(t) != ours.heads_of(s):
                raise RecipeError(
                    f"alpha_attention needs as many heads in the student ({ours.heads_of(s)}) as "
                    f"in the teacher ({theirs.heads_of(t)}): use alpha_relation"
                )
        if self._recipe.alpha_relation:
            s, t = self.pairs[-1]
            widths = theirs.attention_width(t), ours.attention_width(s)
            for who, width in zip(("teacher", "student"), widths, strict=True):
                if width % self._heads:
                    raise RecipeError(
                        f"relation_heads {self._heads} does not divide the {who}'s width {width}"
                    )
