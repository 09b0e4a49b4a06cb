"""What a file of labelled texts, tagged words or choices holds, in figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from potstill.data.classification import TextData, as_tuple
from potstill.evaluation.describe import summary, token_counts
from potstill.records import ChoiceExample, TagExample
from potstill.text.tokenizer import Tokenizer


def describe_texts(data: TextData, tokenizer: Tokenizer, *, seq_len: int) -> dict[str, Any]:
    """Counts of a file of texts, and the rows it makes.

    Args:
        data: the file, as loaded.
        tokenizer: what counts tokens.
        seq_len: longest row in tokens.

    Returns:
        ``problem``, ``examples``, ``pairs``, ``labels`` (name → rows that have it; of a regression
        the least, mean and greatest target), ``several`` (rows with more than one label) and
        ``none`` (with no label), ``row_tokens`` (special ones included) with ``mean``, ``median``,
        ``p95``, ``max``, ``total``, and ``truncated``, the rows longer than ``seq_len``.
    """
    examples = data.examples
    lengths = list(token_counts(tokenizer, [example.text for example in examples]))
    for i, n in enumerate(token_counts(tokenizer, [example.pair or "" for example in examples])):
        paired = examples[i].pair is not None
        lengths[i] += n + (tokenizer.layout.n_special if paired else 2)
    if data.problem == "regression":
        values = [float(e.label) for e in examples if isinstance(e.label, (int, float))]
        labels: dict[str, float] = {
            "least": min(values),
            "mean": sum(values) / len(values),
            "greatest": max(values),
        }
    else:
        counts = Counter(label for example in examples for label in as_tuple(example.label))
        labels = {label: counts[label] for label in data.labels}
    n_labels = [len(as_tuple(example.label)) for example in examples]
    return {
        "problem": data.problem,
        "examples": len(examples),
        "pairs": sum(example.pair is not None for example in examples),
        "labels": labels,
        "several": sum(n > 1 for n in n_labels),
        "none": sum(n == 0 for n in n_labels),
        "row_tokens": summary(lengths),
        "truncated": sum(n > seq_len for n in lengths),
        "seq_len": seq_len,
    }


def describe_tags(examples: Sequence[TagExample]) -> dict[str, Any]:
    """``examples``, ``words`` and ``labels``: each tag → words that have it."""
    counts = Counter(tag for example in examples for tag in example.tags)
    return {
        "examples": len(examples),
        "words": sum(len(example.words) for example in examples),
        "labels": dict(sorted(counts.items())),
    }


def describe_choices(examples: Sequence[ChoiceExample]) -> dict[str, Any]:
    """``examples``, ``choices`` (of all) and ``labels``: each right position → examples."""
    counts = Counter(str(example.label) for example in examples)
    return {
        "examples": len(examples),
        "choices": sum(len(example.choices) for example in examples),
        "labels": dict(sorted(counts.items())),
    }
