"""A task-level distillation run from recipe to model folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from potstill.bundle.cache import cache_folder
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS
from potstill.bundle.manifest import read_manifest
from potstill.bundle.weights import read_weights
from potstill.compression.student import fresh_config, select_layers, take_layers
from potstill.data.pairs import cloze, found_paragraphs, load_pairs, other_paragraphs
from potstill.data.text import documents
from potstill.errors import InputError, RecipeError
from potstill.losses.span import span_cross_entropy, span_kl
from potstill.models.qa import QuestionAnsweringModel
from potstill.records import QAExample
from potstill.text.tokenizer import Tokenizer
from potstill.training import qa
from potstill.training.distil_recipe import DistilRecipe
from potstill.training.features import open_rows
from potstill.training.finetune import (
    check_head,
    describe,
    describe_run,
    fingerprint,
    finishing,
    load_split,
    with_recipe,
)
from potstill.training.loggers import make_loggers
from potstill.training.loop import Run, computes_bf16, make_fabric, make_schedule
from potstill.training.pruning import pruned_base
from potstill.training.runs import Listeners, hardware, heard, say_plan, train, write_model
from potstill.training.shards import fill, tokenizer_hash, weights_hash
from potstill.training.soft_labels import DistilRows, Labelling, label_rows
from potstill.training.teacher_cache import TeacherCache
from potstill.training.teachers import Teacher
from potstill.training.transfer import Student, Transfer


def distil(
    recipe: DistilRecipe,
    *,
    resume: bool | str = False,
    cache_only: bool = False,
    dry_run: bool = False,
    listeners: Listeners | None = None,
) -> dict[str, float]:
    """Trains a student as ``recipe`` says and writes it to ``recipe.out``.

    Args:
        recipe: the run.
        resume: go on from the newest checkpoint in ``recipe.out``, or from that of this name.
        cache_only: only have the teachers label what the run needs, and train nothing.
        dry_run: check everything and say what would be done, and train and write nothing.
        listeners: told how it goes.

    Returns:
        The scores (``exact``, ``f1``, ``total``), where the recipe names data to score on.

    Raises:
        RecipeError: a value of the recipe cannot be used on this machine, with these data, or
            with these models.
        DataError: the training data are wrong.
        CheckpointError: the run in ``recipe.out`` cannot be continued.
        ModelError: a model cannot be used.
        OutputError: the teachers' outputs could not be written.
    """
    fabric = make_fabric(recipe, () if dry_run else make_loggers(recipe))
    listeners = heard(fabric, listeners)
    folder = find_model(recipe.base)
    tokenizer = Tokenizer.from_folder(folder)
    live = recipe.teaches_live and not cache_only
    teachers = [] if live else _open_teachers(recipe, fabric, listeners.note)
    data = load_split(recipe)
    if data.warning:
        listeners.note(f"{recipe.train}: {data.warning}")
    if recipe.prunes and dry_run:
        listeners.note(f"{recipe.base} would be pruned first: what follows is of all of it")
    elif recipe.prunes:
        folder = pruned_base(recipe, folder, data.train, fabric, listeners.note)
        tokenizer = Tokenizer.from_folder(folder)
    student = make_student(recipe, folder, listeners.note)
    finish = finishing(student, recipe)
    transfer = _make_transfer(recipe, folder, student)
    if transfer:
        transfer.setup(fabric)
    unlabelled = gather_unlabelled(recipe, data.train)
    examples = data.train + unlabelled
    rows = _make_rows(recipe, examples, len(data.train), tokenizer, listeners.note)
    listeners.note(describe(examples, rows.rows))
    if cache_only:
        _ask(fabric, teachers, examples, rows, make_schedule(rows, recipe).rows(), listeners)
        return {}
    run = Run(
        fabric,
        Student(student, transfer.projections if transfer else nn.ModuleList()),
        rows,
        DistilLoss(recipe, transfer),
        recipe,
        fingerprint=":".join([fingerprint(recipe, rows.rows), *_who(recipe, teachers)]),
        resume=resume,
    )
    scorer = qa.Scorer(recipe, tokenizer, data, listeners.note)
    say_plan(run, recipe, fabric, scorer.n_examples, listeners.note)
    if dry_run:
        return {}
    if not live:
        wanted = run.schedule.rows()
        wanted = wanted[rows.has_teacher[wanted]]
        _ask(fabric, teachers, examples, rows, wanted, listeners)
        how = Labelling(
            temperature=recipe.temperature,
            mixture=recipe.mixture,
            whole_rows=not recipe.mask_positions,
        )
        aligning = partial(listeners.stage, "aligning")
        label_rows(rows, wanted, examples, tokenizer, teachers, how, aligning)
    scores = train(run, recipe, fabric, lambda: scorer.score(student), listeners, finish=finish)
    if not fabric.is_global_zero:
        return scores
    student.config = student.config.with_dropout_of(read_config(folder))
    manifest = describe_run(recipe, data, scores, scorer.calibration(student))
    facts = {**manifest.data, "unlabelled": len(unlabelled)}
    manifest = replace(manifest, data=facts, hardware=hardware(fabric, run))
    write_model(Path(recipe.out), student, folder, recipe, manifest)
    return scores


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


def make_student(
    recipe: DistilRecipe, folder: Path, note: Callable[[str], None]
) -> QuestionAnsweringModel:
    """The student before its first step.

    Raises:
        RecipeError: the shape cannot be had from ``recipe.base``, or no share of its weights.
        ModelError: ``recipe.base`` cannot be used.
    """
    config = with_recipe(read_config(folder), recipe)
    torch.manual_seed(recipe.seed)
    if recipe.fresh:
        return QuestionAnsweringModel(_fresh(config, recipe))
    for key in () if recipe.prunes else ("hidden_width", "ffn_width", "n_heads"):
        if getattr(recipe, key) not in (0, getattr(config, key)):
            raise RecipeError(
                f"{key}={getattr(recipe, key)} is not that of {recipe.base} "
                f"({getattr(config, key)}): only a student with fresh=true can have another"
            )
    weights = read_weights(folder, config, require_head=False)
    if not recipe.prunes:  # pruning has taken the layers already
        layers = select_layers(recipe.layers, config.n_layers, recipe.n_layers)
        config, weights = take_layers(config, weights, layers)
    student = QuestionAnsweringModel(config)
    if any(name not in weights for name in HEADS["qa"].shapes(config)):
        check_head(recipe)
        note(f"{recipe.base} has no question-answering head: a new one was made")
    student.load_weights(weights)
    return student


def _fresh(config: ModelConfig, recipe: DistilRecipe) -> ModelConfig:
    return fresh_config(
        config,
        n_layers=recipe.n_layers,
        hidden_width=recipe.hidden_width,
        ffn_width=recipe.ffn_width,
        n_heads=recipe.n_heads,
    )


def gather_unlabelled(recipe: DistilRecipe, train_on: list[QAExample]) -> list[QAExample]:
    """The questions that only teachers answer, an equal number from each source.

    Raises:
        RecipeError: a source has too few.
        DataError: a source cannot be read.
    """
    sources = recipe.unlabelled_sources
    n = round(recipe.unlabelled_share * len(train_on) / max(1, len(sources)))
    if not n:
        return []
    found: list[QAExample] = []
    for source in sources:
        try:
            found += _from_source(source, n, train_on, recipe.seed)
        except InputError as error:
            raise RecipeError(f"unlabelled={source}: {error}") from None
    return found


def _from_source(source: str, n: int, train_on: list[QAExample], seed: int) -> list[QAExample]:
    if source == "paragraphs":
        return other_paragraphs([e for e in train_on if not e.is_impossible], n, seed=seed)
    kind, colon, path = source.partition(":")
    if colon and kind in ("cloze", "search"):
        paragraphs = (text for document in documents([path]) for text in document.paragraphs)
        if kind == "search":
            return found_paragraphs(train_on, list(paragraphs), n, seed=seed)
        return list(cloze(paragraphs, n, seed=seed))
    pairs = load_pairs(source)
    order = np.random.default_rng(seed).permutation(len(pairs))[:n]
    return [pairs[i] for i in np.sort(order)]


def _open_teachers(
    recipe: DistilRecipe, fabric: Fabric, note: Callable[[str], None]
) -> list[tuple[Teacher, TeacherCache]]:
    if not recipe.alpha_kd:
        return []
    root = Path(recipe.cache) if recipe.cache else cache_folder() / "teachers"
    found: list[tuple[Teacher, TeacherCache]] = []
    for name in recipe.teachers:
        teacher = Teacher(
            name,
            seq_len=recipe.teacher_seq_len or recipe.seq_len,
            stride=recipe.teacher_stride or recipe.stride,
            device=fabric.device.type,
            bf16=computes_bf16(fabric),
            threads=recipe.threads,
        )
        found.append((teacher, TeacherCache(root, teacher.facts(), note)))
    return found


def _who(recipe: DistilRecipe, teachers: list[tuple[Teacher, TeacherCache]]) -> list[str]:
    """Hashes of the teachers whose soft targets are learned."""
    if recipe.teaches_live:
        return [weights_hash(find_model(recipe.teachers[0]))]
    return [cache.key for _, cache in teachers]


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


def _make_rows(
    recipe: DistilRecipe,
    examples: list[QAExample],
    n_gold: int,
    tokenizer: Tokenizer,
    note: Callable[[str], None],
) -> DistilRows:
    rows = open_rows(examples, tokenizer, seq_len=recipe.seq_len, stride=recipe.stride, note=note)
    # A teacher that was never taught to say "no answer" would teach a guess.
    speaks_null = not recipe.alpha_kd or all(map(_speaks_null, recipe.teachers))
    taught = np.array([speaks_null or not e.is_impossible for e in examples])
    return DistilRows.empty(
        rows, rows.example < n_gold, taught[rows.example] & bool(recipe.alpha_kd)
    )


def _speaks_null(teacher: str) -> bool:
    manifest = read_manifest(find_model(teacher))
    return manifest is not None and manifest.no_answer


def _ask(
    fabric: Fabric,
    teachers: list[tuple[Teacher, TeacherCache]],
    examples: list[QAExample],
    rows: DistilRows,
    wanted: np.ndarray,
    listeners: Listeners,
) -> None:
    order = dict.fromkeys(rows.rows.example[wanted[rows.has_teacher[wanted]]].tolist())
    needed = [examples[i] for i in order]
    for teacher, cache in teachers:
        fill(
            cache,
            teacher,
            needed,
            lambda done, total, name=teacher.name: listeners.stage(f"asking {name}", done, total),
            fabric,
        )
