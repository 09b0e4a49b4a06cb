import csv
import json

import pytest

from potstill.data.table import read_rows
from potstill.errors import DataError


def from_csv(tmp_path, text, delimiter=","):
    path = tmp_path / ("a.csv" if delimiter == "," else "a.tsv")
    path.write_text(text, encoding="utf-8", newline="")
    return list(read_rows(path))


def from_jsonl(tmp_path, *rows):
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return list(read_rows(path))


def test_csv_with_quotes_and_line_breaks(tmp_path):
    (row,) = from_csv(
        tmp_path,
        'answer,context,question,note\r\nRollo,"He said ""Rollo"",\nthen left.",Who?,x\r\n',
    )
    assert row.context == 'He said "Rollo",\nthen left.'
    assert (row.id, row.question, row.answers, row.starts) == ("1", "Who?", ("Rollo",), (None,))
    assert not row.is_impossible


def test_csv_ids_and_starts(tmp_path):
    rows = from_csv(tmp_path, "id,question,context,answer,answer_start\nx,q,abc,b,1\ny,q,abc,c,\n")
    assert [(row.id, row.starts) for row in rows] == [("x", (1,)), ("y", (None,))]


def test_titles(tmp_path):
    (row,) = from_csv(tmp_path, "title,question,context\nNormandy,q,c\n")
    assert row.title == "Normandy"
    rows = from_jsonl(tmp_path, {"question": "q", "context": "c", "title": 3})
    assert [row.title for row in rows] == [""]


def test_empty_answer_is_unanswerable_and_no_answer_column_is_unlabelled(tmp_path):
    (empty,) = from_csv(tmp_path, "question,context,answer\nq,c,\n")
    (absent,) = from_csv(tmp_path, "question,context\nq,c\n")
    assert (empty.answers, empty.is_impossible) == ((), True)
    assert (absent.answers, absent.is_impossible) == ((), False)


def test_tabs(tmp_path):
    (row,) = from_csv(tmp_path, "question\tcontext\nwho, me?\ta, b\n", "\t")
    assert (row.question, row.context) == ("who, me?", "a, b")


def test_a_context_of_megabytes(tmp_path):
    before = csv.field_size_limit()
    long = "word " * 400_000
    (row,) = from_csv(tmp_path, f"question,context\nq,{long}\n")
    assert row.context == long
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column 'question'"),
        ("question,answer\nq,a\n", "no column 'context' (it has question, answer)"),
        ("question,context\nq\n", "row 1 has 1 fields, the header 2"),
        ("question,context\nq,a,b\n", "row 1 has 3 fields"),
        ('question,context\nq,"never closed\n', "is not CSV"),
        ("question,context,answer,answer_start\nq,c,a,x\n", "'x', not a whole"),
        ("id,question,context\n,q,c\n", "row 1 has an empty id"),
    ],
)
def test_bad_csv(tmp_path, text, says):
    with pytest.raises(DataError) as caught:
        from_csv(tmp_path, text)
    assert says in str(caught.value)
    assert "a.csv" in str(caught.value)


def test_jsonl_answers_in_their_forms(tmp_path):
    base = {"question": "q", "context": "abc abc"}
    rows = from_jsonl(
        tmp_path,
        {**base, "answer": "abc"},
        {**base, "answer": "abc", "answer_start": 4},
        {**base, "answer": ["a", "b"]},
        {**base, "answer": ["a", "b"], "answer_start": [0, 1]},
        {**base, "answers": {"text": ["b"], "answer_start": [1]}, "id": 17},
        {**base, "answers": {"text": [], "answer_start": []}},
        {**base, "answer": None},
        {**base, "answer": []},
        base,
    )
    assert [(row.answers, row.starts, row.is_impossible) for row in rows] == [
        (("abc",), (None,), False),
        (("abc",), (4,), False),
        (("a", "b"), (None, None), False),
        (("a", "b"), (0, 1), False),
        (("b",), (1,), False),
        ((), (), True),
        ((), (), True),
        ((), (), True),
        ((), (), False),
    ]
    assert [row.id for row in rows] == ["1", "2", "3", "4", "17", "6", "7", "8", "9"]


def test_jsonl_skips_blank_lines_and_keeps_odd_text(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"question": "q\0\ud800", "context": "c\u2028d"}
    path.write_text(f"\n{json.dumps(row)}\n\n", encoding="utf-8")
    (found,) = read_rows(path)
    assert (found.question, found.context) == ("q\0\ud800", "c\u2028d")


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([], "line 1 is a list, not a JSON object"),
        ({"context": "c"}, "line 1 has no 'question'"),
        ({"question": "q", "context": None}, "'context' is null, not a string"),
        ({"question": "q", "context": "c", "answer": 1998}, "answer is a number, not a string"),
        ({"question": "q", "context": "c", "answer": ["c"], "answer_start": [0, 1]}, "1 answers"),
        ({"question": "q", "context": "c", "answer": "c", "answer_start": "x"}, "not a whole"),
        ({"question": "q", "context": "c", "answers": {}}, "has no 'text'"),
    ],
)
def test_bad_rows(tmp_path, row, says):
    with pytest.raises(DataError) as caught:
        from_jsonl(tmp_path, row)
    assert says in str(caught.value)


def test_a_line_that_is_not_json(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "q", "context": "c"}\n{"question"\n')
    with pytest.raises(DataError, match=r"a\.jsonl: line 2 is not JSON"):
        list(read_rows(path))


def test_a_json_list_of_rows(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"question": "q", "context": "c"}]')
    (row,) = read_rows(path)
    assert row.id == "1"
    path.write_text("[1]")
    with pytest.raises(DataError, match=r"a\.json: row 1 is a number, not a JSON object"):
        list(read_rows(path))
