"""Training windows kept on disk: tokenized once, read by every later run of the same data.

A file of its own for each set of questions, tokenizer and way of cutting; memory-mapped when read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from pathlib import Path

from potstill.bundle.cache import cache_folder
from potstill.errors import OutputError
from potstill.records import QAExample
from potstill.text.tokenizer import Tokenizer
from potstill.training.kept.columns import UnusableFileError, read_columns, write_columns
from potstill.training.qa import rows as qa_rows

VERSION = 1
"""Raised when the same questions would become other windows or labels than before."""
_ARRAYS = tuple(f.name for f in fields(qa_rows.QARows) if f.name not in ("pad_id", "layout"))


def open_rows(
    examples: Sequence[QAExample],
    tokenizer: Tokenizer,
    *,
    seq_len: int,
    stride: int,
    note: Callable[[str], None] = lambda _: None,
    folder: Path | None = None,
) -> qa_rows.QARows:
    """What `qa_rows.make_rows` makes of examples, from the cache where it is there.

    Args:
        examples: with offsets that are right.
        tokenizer: of the model to train.
        seq_len: longest row, in tokens.
        stride: tokens that neighbouring windows share.
        note: told why a file could not be used, or written.
        folder: where the files lie; by default the user's cache.

    Raises:
        QuestionTooLongError: a question leaves no room for context.
    """
    key = _key(examples, tokenizer, seq_len, stride)
    file = (folder or cache_folder() / "features") / f"{key}.safetensors"
    if file.exists():
        try:
            columns = read_columns(file, key)
            return qa_rows.QARows(
                **{name: columns[name] for name in _ARRAYS},
                pad_id=tokenizer.pad_id,
                layout=tokenizer.layout,
            )
        except (UnusableFileError, KeyError) as error:
            note(f"{file.name} of the tokenized data is left out: {error}; making it again")
    rows = qa_rows.make_rows(examples, tokenizer, seq_len=seq_len, stride=stride)
    try:
        write_columns(file, {name: getattr(rows, name) for name in _ARRAYS}, key)
    except OutputError as error:  # a full disk or a home that cannot be written to: go on without
        note(f"the tokenized data are not kept: {error}")
    return rows


def _key(examples: Sequence[QAExample], tokenizer: Tokenizer, seq_len: int, stride: int) -> str:
    """A hash of all that the rows follow from."""
    digest = hashlib.blake2b(digest_size=16)
    facts = [VERSION, tokenizer.fingerprint(), tokenizer.pad_id, seq_len, stride]
    digest.update(json.dumps([*facts, repr(tokenizer.layout)]).encode())
    before = ""
    for example in examples:
        gold = [example.is_impossible, list(example.answers[:1]), list(example.starts[:1])]
        # Questions of one context stand together: hashing it once is enough.
        context = "" if example.context == before else example.context
        before = example.context
        text = json.dumps([example.question, context, gold])
        digest.update(f"{len(text)}:{text}".encode())
    return digest.hexdigest()
