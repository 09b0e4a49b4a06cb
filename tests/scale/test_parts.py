"""Finished parts on disk: one that was changed, cut short or made of other rows is never taken."""

import json
import zlib

import pytest

from potstill.scale.parts import Left, Part, Parts, cut
from potstill.scale.predict import RowResult
from potstill.scale.sources import SourceRow


def part_of(*texts, number=0):
    """A part of rows with these texts; a string alone is a row that cannot be read."""
    rows = [
        SourceRow("a.jsonl", i, {}, reason=one)
        if isinstance(one, str)
        else SourceRow("a.jsonl", i, {}, one)
        for i, one in enumerate(texts, start=1)
    ]
    return Part(number, rows)


PART = part_of(("Who?", "Ida"), "no question", ("When?", "1902"))
SAID = [
    RowResult({"answer": "Ida", "score": 0.91}),
    RowResult(None, "no question"),
    RowResult({"answer": ""}),
]


@pytest.fixture
def parts(tmp_path):
    found = Parts(tmp_path)
    found.write(PART, SAID)
    return found


def test_what_was_kept_is_read(parts):
    assert parts.read(PART) == SAID
    assert parts.find() == ({0: 3}, [])


def rewritten(body, **changed):
    """A body with a header that fits it, but for what is changed."""
    head = {"part": 0, "rows": 3, "input": PART.checksum, "crc32": zlib.crc32(body), **changed}
    return json.dumps(head).encode() + b"\n" + body


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda body: rewritten(body).replace(b"0.91", b"0.19"), "checksum is wrong"),
        (lambda body: rewritten(body)[:-1], "checksum is wrong"),
        (lambda body: rewritten(body.partition(b"\n")[2]), "rows are missing"),
        (lambda body: rewritten(body, rows=4), "rows are missing"),
        (lambda body: b"", "damaged"),
        (lambda body: rewritten(b"5\n"), "damaged"),
    ],
)
def test_a_part_that_was_changed_is_removed(parts, change, says):
    file = parts.file(0)
    file.write_bytes(change(file.read_bytes().partition(b"\n")[2]))
    with pytest.raises(OSError, match="damaged"):
        parts.read(PART)
    done, (note,) = parts.find()
    assert done == {}
    assert says in note and "its rows are read again" in note
    assert not file.exists()


@pytest.mark.parametrize(
    "other",
    [
        part_of(("Who?", "Ida "), "no question", ("When?", "1902")),
        part_of(("Who?I", "da"), "no question", ("When?", "1902")),
        part_of(("Who?", "Ida"), "another reason", ("When?", "1902")),
        part_of(("When?", "1902"), "no question", ("Who?", "Ida")),
        part_of(("Who?", "Ida"), "no question"),
    ],
)
def test_a_part_of_other_rows_is_not_taken(parts, other):
    assert parts.read(other) is None


def test_rows_that_cannot_be_read_go_to_no_model_and_keep_their_place():
    assert PART.batches == [[("Who?", "Ida"), ("When?", "1902")]]
    assert PART.join([SAID[0], SAID[2]]) == SAID
    many = part_of(*[(f"q{i}", "c") for i in range(40)])
    assert [len(batch) for batch in many.batches] == [32, 8]
    assert [(one.number, len(one.rows)) for one in cut(many.rows, 16)] == [(0, 16), (1, 16), (2, 8)]


@pytest.mark.parametrize("said", [SAID[:2], [*SAID, SAID[0]], []])
def test_answers_to_other_rows_than_its_own_are_not_kept(tmp_path, said):
    with pytest.raises(AssertionError):
        Parts(tmp_path).write(PART, said)
    assert Parts(tmp_path).find() == ({}, [])


@pytest.mark.parametrize("said", [SAID[:2], [*SAID, SAID[0]]])
def test_a_part_of_more_or_fewer_rows_is_not_taken(parts, said):
    body = b"".join(json.dumps([one.values, one.reason]).encode() + b"\n" for one in said)
    parts.file(0).write_bytes(rewritten(body, rows=len(said)))
    assert parts.find() == ({0: len(said)}, [])
    assert parts.read(PART) is None


def test_a_job_that_is_begun_anew_clears_its_parts_alone(parts, tmp_path):
    parts.write(part_of(("a", "b"), number=7), SAID[:1])
    (tmp_path / "job.json").write_text("{}")
    assert parts.find() == ({0: 3, 7: 1}, [])
    assert parts.file(7).name == "part-000007.jsonl"
    parts.clear()
    assert parts.find() == ({}, [])
    assert [file.name for file in tmp_path.iterdir()] == ["job.json"]


class Listed:
    """An input of rows that are there already."""

    def __init__(self, rows):
        self._rows = rows

    def rows(self, moved):
        return iter(self._rows)


def test_parts_that_are_done_are_passed_over_and_told_as_old():
    passed = []
    source = Listed(part_of(*[(f"q{i}", "c") for i in range(10)]).rows)
    left = Left(source, 4, frozenset({1}))
    found = list(left.parts(passed=lambda n, new: passed.append((n, new))))
    assert [(one.number, len(one.rows)) for one in found] == [(0, 4), (2, 2)]
    assert passed == [(4, False)]
