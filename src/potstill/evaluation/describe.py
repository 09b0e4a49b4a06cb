"""What a data file or a model folder holds, in figures: the report behind ``potstill info``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.config import read_config
from potstill.bundle.manifest import head_of_folder, read_manifest
from potstill.bundle.size import flops_per_token, parameters
from potstill.data.qa import QAData
from potstill.errors import QuestionTooLongError
from potstill.text.tokenizer import Tokenizer
from potstill.text.windows import split

_CHUNK = 1024
"""Texts tokenized at once: only their lengths are kept."""


def describe_qa(
    data: QAData, tokenizer: Tokenizer, *, seq_len: int = 384, stride: int = 128
) -> dict[str, Any]:
    """Counts of a question-answering file, and the windows it makes.

    Args:
        data: the file, as loaded.
        tokenizer: what counts tokens.
        seq_len: longest window in tokens.
        stride: tokens shared by consecutive windows of one context.

    Returns:
        ``questions``, ``contexts`` (distinct), ``answers``, ``answers_per_question`` (number of
        answers → number of questions), ``unanswerable``, ``wrong_offsets``, ``unplaced``,
        ``windows``, ``too_long_questions`` (left out of the windows), and the lengths in tokens
        ``question_tokens``, ``context_tokens``, ``window_tokens``: each with ``mean``,
        ``median``, ``p95``, ``max``, ``total``.
    """
    examples = data.examples
    contexts = list(dict.fromkeys(example.context for example in examples))
    n_context = dict(zip(contexts, token_counts(tokenizer, contexts), strict=True))
    n_question = list(token_counts(tokenizer, [example.question for example in examples]))
    lengths: list[int] = []
    too_long = 0
    cut: dict[str, Any] = {"seq_len": seq_len, "stride": stride, "layout": tokenizer.layout}
    for example, n in zip(examples, n_question, strict=True):
        try:
            slices = split(n, n_context[example.context], **cut)
        except QuestionTooLongError:
            too_long += 1
            continue
        lengths += [n + stop - start + tokenizer.layout.n_special for start, stop in slices]
    per_question = Counter(len(example.answers) for example in examples)
    return {
        "version": data.version,
        "questions": len(examples),
        "contexts": len(contexts),
        "answers": sum(len(example.answers) for example in examples),
        "answers_per_question": {str(n): per_question[n] for n in sorted(per_question)},
        "unanswerable": sum(example.is_impossible for example in examples),
        "wrong_offsets": data.wrong_offsets,
        "unplaced": data.unplaced,
        "seq_len": seq_len,
        "stride": stride,
        "windows": len(lengths),
        "too_long_questions": too_long,
        "question_tokens": summary(n_question),
        "context_tokens": summary(list(n_context.values())),
        "window_tokens": summary(lengths),
    }


def token_counts(tokenizer: Tokenizer, texts: Sequence[str]) -> Iterator[int]:
    """Number of tokens of each text, without special tokens."""
    for start in range(0, len(texts), _CHUNK):
        for encoded in tokenizer.encode_batch(texts[start : start + _CHUNK]):
            yield len(encoded)


def describe_model(folder: Path, *, seq_len: int = 384) -> dict[str, Any]:
    """Shape, size and cost of a model folder, from its config; no weights are read.

    Args:
        folder: a Hugging Face model folder or a bundle.
        seq_len: length of the row whose cost a token is given; attention grows with it.

    Returns:
        ``model_type`` and the shape (``n_heads`` and ``ffn_width`` as ``config.json`` has them,
        ``layer_heads`` and ``layer_ffn`` what each layer has left);
        ``parameters`` (with the head of its task) and ``parameters_without_embeddings`` (without
        the word, position and token type tables); ``flops_per_token`` (multiplications and
        additions, forward, at ``seq_len``; the formula is in
        `potstill.bundle.size.flops_per_token`); ``files`` (name → bytes), the ``bytes`` of all of
        them and, where there is a manifest, its ``manifest``.

    Raises:
        ModelError: the config or the manifest cannot be used.
    """
    config = read_config(folder)
    manifest = read_manifest(folder)
    head = head_of_folder(folder, config)
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in _files(folder)}
    values: dict[str, Any] = {
        "model_type": config.model_type,
        "n_layers": config.n_layers,
        "hidden_width": config.hidden_width,
        "n_heads": config.n_heads,
        "ffn_width": config.ffn_width,
        "layer_heads": [config.heads_of(i) for i in range(config.n_layers)],
        "layer_ffn": [config.ffn_of(i) for i in range(config.n_layers)],
        "vocab_size": config.vocab_size,
        "max_positions": config.max_positions,
        "activation": config.activation,
        "parameters": parameters(config, head=head),
        "parameters_without_embeddings": parameters(config, head=head, embeddings=False),
        "seq_len": seq_len,
        "flops_per_token": flops_per_token(config, seq_len, head),
        "files": files,
        "bytes": sum(files.values()),
        "manifest": None,
    }
    if manifest is not None:
        values["manifest"] = {
            "name": manifest.name,
            "licence": manifest.licence,
            "task": manifest.task,
            "no_answer": manifest.no_answer,
            "null_threshold": manifest.null_threshold,
            "scores": dict(manifest.scores),
            "data": dict(manifest.data),
        }
    return values


def compare_models(described: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Models side by side: each as described, with its ratios to the first.

    Args:
        described: what `describe_model` returned for each, at one ``seq_len``.

    Returns:
        The same, each with ``ratio_to_first``: ``parameters``, ``parameters_without_embeddings``,
        ``flops_per_token``, ``bytes`` and ``files`` (those that both have), as fractions.
    """
    first = described[0]

    def ratios(one: dict[str, Any]) -> dict[str, Any]:
        return {
            **{name: one[name] / first[name] for name in _COMPARED},
            "files": {
                name: size / first["files"][name]
                for name, size in one["files"].items()
                if first["files"].get(name)
            },
        }

    return [{**one, "ratio_to_first": ratios(one)} for one in described]


_COMPARED = ("parameters", "parameters_without_embeddings", "flops_per_token", "bytes")


def _files(folder: Path) -> list[Path]:
    hidden = (path for path in folder.rglob("*") if path.is_file())
    return sorted(
        path
        for path in hidden
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
        and path.suffix not in (".pyc", ".lock")
    )


def summary(lengths: Sequence[int]) -> dict[str, float]:
    """Mean, median, 95th percentile, maximum and sum of some lengths."""
    if not lengths:
        return {"mean": 0.0, "median": 0.0, "p95": 0.0, "max": 0, "total": 0}
    median, p95 = np.percentile(lengths, [50, 95])
    return {
        "mean": round(float(np.mean(lengths)), 2),
        "median": float(median),
        "p95": float(p95),
        "max": max(lengths),
        "total": sum(lengths),
    }
