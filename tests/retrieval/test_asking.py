"""What counts beside the reader: which row, which column, and how far a passage doubts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tiny
from potstill.documents.document import Document
from potstill.records import Answer
from potstill.retrieval import asking
from potstill.retrieval.asking import (
    _answers,
    _beside_doubt,
    _whole_path,
    contexts_of,
    passages_of,
)
from potstill.runtime.asking import requests
from potstill.runtime.qa import QAClient
from potstill.runtime.reading import QuestionLogits
from potstill.text.spans import WindowLogits

TABLE = (
    "Votes\n\n"
    "Motion: New tower | \tFor: 7 | \tAgainst: 1\n"
    "Motion: Red book | \tFor: 3 | \tAgainst: 4"
).replace(" | \t", " |\t")


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    return QAClient.from_options(tiny.write_model(tmp_path_factory.mktemp("model")))


def priors(reader, question, text):
    """Each token of a text with what counts beside the reader's logits for it."""
    hits = passages_of([Document(name="a", text=text)])
    (context,) = contexts_of(reader, question, hits)
    prior = np.broadcast_to(context.prior, len(context))
    offsets = context.encoded.offsets.tolist()
    return [(text[a:b], a, float(p)) for (a, b), p in zip(offsets, prior, strict=True)]


def test_a_cell_counts_by_its_row_and_its_column(reader):
    value = {at: p for _, at, p in priors(reader, "How many voted against the red book?", TABLE)}
    wanted, other = value[TABLE.rindex("4")], value[TABLE.rindex("3")]
    assert wanted == max(value.values()) == pytest.approx(asking._COLUMN * 3 / 4)
    assert other == -asking._COLUMN
    assert value[TABLE.index("1")] < wanted
    assert value[TABLE.index("7")] < other


def test_a_column_that_a_row_is_known_by_is_not_what_is_asked_for(reader):
    question = "How was the vote for the motion Red book?"
    value = {at: p for _, at, p in priors(reader, question, TABLE)}
    assert value[TABLE.index("Red")] == value[TABLE.rindex("3")] == value[TABLE.rindex("4")] == 0


def test_the_name_of_a_column_is_no_answer_and_prose_has_none(reader):
    text = f"Note: the king won.\n\n{TABLE}"
    value = {at: p for _, at, p in priors(reader, "Who won?", text)}
    assert value[text.index("Against")] == -np.inf
    assert np.isfinite(value[text.index("Note")])


def test_a_column_that_nobody_asked_for_costs_nothing(reader):
    value = {at: p for _, at, p in priors(reader, "What of the red book?", TABLE)}
    assert value[TABLE.rindex("3")] == value[TABLE.rindex("4")] == 0


def logits(context, starts, null):
    zeros = np.zeros(len(starts), np.float32)
    return WindowLogits(context, 0, np.array(starts, np.float32), zeros, null)


def test_a_passage_speaks_beside_its_own_doubt(reader):
    texts = ["The king won.", "The queen lost."]
    hits = passages_of([Document(name=str(i), text=text) for i, text in enumerate(texts)])
    contexts = contexts_of(reader, "Who won?", hits)
    n = [len(context) for context in contexts]
    windows = [logits(0, [5.0] * n[0], 9.0), logits(1, [4.0] * n[1], -1.0)]
    (request,) = requests(reader.tokenizer, 0, [("Who won?", contexts)])
    said = QuestionLogits(request, windows, 2)
    options = replace(reader.options, no_answer=True)
    assert _answers(said, hits, options, 1)[0].source == "0"
    (better,) = _answers(_beside_doubt(said), hits, options, 1)
    assert better.source == "1"


def test_one_of_many_passages_has_to_be_surer(reader):
    """At odds of 0.5 the answer of one passage stands, and that of the best of many does not."""
    hits = passages_of([Document(name=str(i), text="The king won.") for i in range(8)])
    contexts = contexts_of(reader, "Who won?", hits)
    (request,) = requests(reader.tokenizer, 0, [("Who won?", contexts)])
    starts = [-0.5] + [-20.0] * (len(contexts[0]) - 1)
    windows = [logits(i, starts, 0.0) for i in range(8)]
    options = replace(reader.options, no_answer=True, null_threshold=1.0)
    assert _answers(QuestionLogits(request, windows[:1], 1), hits[:1], options, 1)
    assert not _answers(QuestionLogits(request, windows, 8), hits, options, 1)


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("The king\nwon in 1999.\nIt was new.", 1),
        ("The king won.\n\nThe queen lost.", 2),
        ("2. Price\nIt is EUR 45.\n3. Deposit\nIt is EUR 200.", 2),
        ("- the king\n- the queen\nof Paris", 2),
        ("2024-05-13 04:33:58 it was new\n2024-05-13 04:34:01 it was red", 2),
        ("[2024-05-13T04:33:58Z] it was new\n[2024-05-13T04:34:01Z] it was red", 2),
        ("Nov 30 14:07:01 host king\nNov  3 14:07:02 host queen", 2),
    ],
)
def test_no_answer_goes_on_in_the_next_paragraph_item_or_line_of_a_log(reader, text, n):
    hits = passages_of([Document(name="a", text=text)])
    (context,) = contexts_of(reader, "Who won?", hits)
    assert len(set(context.paragraphs.tolist())) == n


@pytest.mark.parametrize(
    ("text", "part", "whole"),
    [
        ("the disk /dev/sdb1 is full", "sdb1", "/dev/sdb1"),
        ("write to ann@example.org.", "example.org", "ann@example.org"),
        ("write to ann@example.org.", "ann", "ann@example.org"),
        (r"see C:\\Users\\ann: it is there", "Users", r"C:\\Users\\ann"),
        ("it is at https://example.org/a/, they say", "example.org", "https://example.org/a/"),
        ("at 5 km/h (uphill)", "5 km", "5 km/h"),
        ("it was new. The end", "new", "new"),
        ("a well-known (red) book", "known", "known"),
    ],
)
def test_a_part_of_a_path_or_address_is_never_the_answer(text, part, whole):
    start = text.index(part)
    found = _whole_path(text, Answer(part, 1.0, start, start + len(part)))
    assert found.text == whole == text[found.start : found.end]
