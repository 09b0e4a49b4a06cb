"""What counts beside the reader: which row, which column, and how far a passage doubts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from potstill.documents.document import Document
from potstill.records import Answer
from potstill.retrieval import priors as priors_of
from potstill.retrieval.asking import (
    _answers,
    _beside_doubt,
    contexts_of,
    passages_of,
)
from potstill.retrieval.whole import whole
from potstill.runtime.reading import QuestionLogits
from potstill.text.spans import WindowLogits

TABLE = (
    "Votes\n\n"
    "Motion: New tower | \tFor: 7 | \tAgainst: 1\n"
    "Motion: Red book | \tFor: 3 | \tAgainst: 4"
).replace(" | \t", " |\t")


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
    assert wanted == max(value.values()) == pytest.approx(priors_of.COLUMN * 3 / 4)
    assert other == -priors_of.COLUMN
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


def test_a_row_counts_by_the_words_that_tell_it_from_the_others(reader):
    table = "Day: Friday |\tCloses: 18 |\tOpens: 9\nDay: Sunday |\tCloses: 20 |\tOpens: 10"
    value = {at: p for _, at, p in priors(reader, "When does it close on Sunday?", table)}
    friday, sunday = value[table.index("18")], value[table.index("20")]
    assert sunday - friday >= priors_of.ROW


@pytest.mark.parametrize("question", ["How much does the pump cost?", "How much is the pump?"])
def test_what_something_costs_stands_in_the_column_of_prices(reader, question):
    table = "Part: pump 75 kW |\tUnit price: EUR 90 |\tWeeks: 3\nPart: seal |\tUnit price: EUR 2"
    value = {at: p for _, at, p in priors(reader, question, table)}
    assert value[table.index("EUR 90")] == max(value.values()) > 0 > value[table.index("75")]


def test_what_stands_around_a_table_counts_less_where_a_column_is_asked_for(reader):
    table = "Prices of Paris\n\nItem: Tower |\tPrice: 5\nItem: Bridge |\tPrice: 9"
    value = {at: p for _, at, p in priors(reader, "What does the tower cost?", table)}
    assert value[table.index("5")] == priors_of.COLUMN
    assert value[table.index("Paris")] == -priors_of.COLUMN
    value = {at: p for _, at, p in priors(reader, "What is in Paris?", table)}
    assert value[table.index("Paris")] == 0


@pytest.mark.parametrize(
    ("question", "text", "written"),
    [
        ("What is the telephone number?", "5 rooms of 1,234,567 won, call (020) 7946 0958 at 9.",
         "(020) 7946 0958"),
        ("What is his phone number?", "In 1998 it cost 86,400 or 112.", "112"),
        ("Which e-mail address has she?", "Write to the queen: q@paris.org at 9.", "q@paris.org"),
        ("Who won?", "5 won, call (020) 7946 0958 at 9.", "5 won, call (020) 7946 0958 at 9."),
    ],
)  # fmt: skip
def test_what_is_always_written_in_one_way_is_written_so(reader, question, text, written):
    first, last = text.index(written), text.index(written) + len(written)
    for _, at, p in priors(reader, question, text):
        assert p == (0 if first <= at < last else -priors_of.KIND)


def test_the_number_of_a_clause_is_no_answer_but_to_a_question_for_it(reader):
    text = "2. Price\n\n2.2 The total is EUR 9.\n\n3.5 million came."
    value = {at: p for _, at, p in priors(reader, "What is the total?", text)}
    assert value[0] == value[text.index("2.2")] == -np.inf
    assert np.isfinite(value[text.index("9.")]) and np.isfinite(value[text.index("3.5")])
    value = {at: p for _, at, p in priors(reader, "Which clause gives the total?", text)}
    assert np.isfinite(value[text.index("2.2")])


def logits(context, starts, null):
    zeros = np.zeros(len(starts), np.float32)
    return WindowLogits(context, 0, np.array(starts, np.float32), zeros, null)


def test_a_passage_speaks_beside_its_own_doubt(reader):
    texts = ["The king won.", "The queen lost."]
    hits = passages_of([Document(name=str(i), text=text) for i, text in enumerate(texts)])
    contexts = contexts_of(reader, "Who won?", hits)
    n = [len(context) for context in contexts]
    windows = [logits(0, [5.0] * n[0], 9.0), logits(1, [4.0] * n[1], -1.0)]
    request = reader.request("Who won?", contexts)
    said = QuestionLogits(request, windows, 2)
    options = replace(reader.options, no_answer=True)
    assert _answers(said, hits, options, 1)[0].source == "0"
    (better,) = _answers(_beside_doubt(said), hits, options, 1)
    assert better.source == "1"


def test_one_of_many_passages_has_to_be_surer(reader):
    """At odds of 0.5 the answer of one passage stands, and that of the best of many does not."""
    hits = passages_of([Document(name=str(i), text="The king won.") for i in range(8)])
    contexts = contexts_of(reader, "Who won?", hits)
    request = reader.request("Who won?", contexts)
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
    ("text", "part", "expected"),
    [
        ("the disk /dev/sdb1 is full", "sdb1", "/dev/sdb1"),
        ("write to ann@example.org.", "example.org", "ann@example.org"),
        ("write to ann@example.org.", "ann", "ann@example.org"),
        (r"see C:\\Users\\ann: it is there", "Users", r"C:\\Users\\ann"),
        ("it is at https://example.org/a/, they say", "example.org", "https://example.org/a/"),
        ("at 5 km/h (uphill)", "5 km", "5 km/h"),
        ("it was new. The end", "new", "new"),
        ("a well-known (red) book", "known", "known"),
        ("it is 940500.5 in all", "940500", "940500.5"),
        ("EUR 2,500,000.00, they say", "500", "2,500,000.00"),
        ("for €5,420.88.", "420", "€5,420.88"),
        ("open from 9:30, they say", "9", "9:30"),
        ("on 2025-04-17 it", "2025", "2025-04-17"),
        ("of the host db-2.internal (red)", "db-2", "db-2.internal"),
        ("fill in form HR-17.", "HR", "HR-17"),
        ("it was 1999.The end", "1999", "1999"),
        ("of 7, 8 and 9", "7", "7"),
        ("Who: us |\tTerms: 14 days, 2% off |\tSince: 1999", "14 days", "14 days, 2% off"),
        ("Who: us |\tTerms: 14 days, 2% off", "2%", "14 days, 2% off"),
        ("king |\tred tower\nnew", "tower", "red tower"),
        (f"Who: us |\tSaid: in 1999 {'x ' * 20}", "1999", "1999"),
        ("Terms: 14 days, 2% off", "14 days", "14 days"),
    ],
)
def test_a_part_of_a_path_number_or_name_is_never_the_answer(text, part, expected):
    start = text.index(part)
    found = whole(text, Answer(part, 1.0, start, start + len(part)))
    assert found.text == expected == text[found.start : found.end]
