"""Question files as other programs write them: read as they are meant, or refused by place."""

import json
from collections import namedtuple

import pytest

from potstill.data.literal import parse_literal
from potstill.data.qa import load_qa
from potstill.errors import DataError

CONTEXT = "Ida Marsh opened the mill in 1902. It closed in 1931."
Row = namedtuple("Row", "answers starts is_impossible")
IDA, NONE = Row(("Ida Marsh",), (0,), False), Row((), (), True)


def read(tmp_path, rows, name="a.jsonl"):
    path = tmp_path / name
    path.write_text(
        "\n".join(json.dumps({"question": "Who?", "context": CONTEXT, **r}) for r in rows)
    )
    return [Row(e.answers, e.starts, e.is_impossible) for e in load_qa(path).examples]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"answers": [{"text": "Ida Marsh", "answer_start": 0}]}, IDA),
        ({"answers": [{"text": "Ida Marsh", "start": 0, "end": 9}]}, IDA),
        ({"answers": [{"text": "Ida Marsh"}]}, IDA),
        ({"answers": {"text": ["Ida Marsh"], "answer_start": [0.0]}}, IDA),
        ({"answers": {"text": "Ida Marsh", "answer_start": 0}}, IDA),
        ({"answers": ["Ida Marsh"]}, IDA),
        ({"answers": "Ida Marsh"}, IDA),
        ({"answer": {"text": "Ida Marsh", "answer_start": "0"}}, IDA),
        ({"answers.text": ["Ida Marsh"], "answers.answer_start": [0]}, IDA),
        ({"Answer": "Ida Marsh", "Answer Start": 0}, IDA),
        ({"answer_text": "Ida Marsh", "answer_end": 9}, IDA),
        ({"answer": None, "answers": {"text": ["Ida Marsh"], "answer_start": [0]}}, IDA),
        ({"answer": "Ida Marsh", "answers": ["Ida Marsh"]}, IDA),
        ({"answers": ["Ida Marsh", ""]}, IDA),
        ({"answers": ["Ida Marsh"], "answer_start": [0], "predicted_answer": "x"}, IDA),
        ({"answers": []}, NONE),
        ({"answers": {"text": [], "answer_start": []}}, NONE),
        ({"answers": [{"text": "", "answer_start": -1}], "is_impossible": True}, NONE),
        ({"answer": "Ida Marsh", "is_impossible": "true"}, NONE),
        ({"answerable": False}, NONE),
        ({"has_answer": "no"}, NONE),
    ],
)
def test_answers_in_every_layout(tmp_path, fields, expected):
    assert read(tmp_path, [fields]) == [expected]


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"correct_answer": "Ida Marsh"}, "'correct_answer' looks like answers"),
        ({"answer1": "Ida Marsh"}, "'answer1' looks like answers"),
        ({"gold": "Ida Marsh"}, "'gold' looks like answers"),
        ({"ground_truth": ["Ida Marsh"]}, "'ground_truth' looks like answers"),
        ({"answer_start": 0}, "'answer_start' looks like answers"),
        ({"answer": "Ida Marsh", "answers": ["1931"]}, "'answer' and 'answers' say different"),
        ({"answers": [["Ida Marsh"]]}, "answers[0] is a list"),
        ({"answers": [{"value": "Ida Marsh"}]}, "answers[0] has no 'text'"),
        ({"answers": {"texts": ["Ida Marsh"]}}, "answers has no 'text'"),
        ({"answers": [7]}, "answers[0] is a number"),
        ({"answers": ["a", "b"], "answer_start": [1]}, "2 answers and 1 answer_start"),
        ({"answer": "Ida Marsh", "is_impossible": "maybe"}, "'maybe', not true or false"),
        ({"is_impossible": True, "answerable": True}, "both"),
        ({"question": " "}, "question '1' has an empty question"),
        ({"context": ""}, "question '1' has an empty context"),
        ({"answers": [{"text": "", "answer_start": -1}]}, "its answer is an empty text"),
        ({"answers": [""]}, "its answer is an empty text: say is_impossible: true"),
    ],
)
def test_what_cannot_be_read_is_refused_by_line(tmp_path, fields, says):
    with pytest.raises(DataError) as caught:
        read(tmp_path, [fields])
    assert says in str(caught.value)
    assert "a.jsonl" in str(caught.value)
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("{'text': ['Ida Marsh'], 'answer_start': [0]}", IDA),
        ("{'text': array(['Ida Marsh'], dtype=object), 'answer_start': array([0])}", IDA),
        ("{'text': array([], dtype='<U1'), 'answer_start': array([], dtype=int32)}", NONE),
        ("[{'text': 'Ida Marsh', 'answer_start': np.int64(0)}]", IDA),
        ('[{"text": "Ida Marsh", "answer_start": 0}]', IDA),
        ("['Ida Marsh']", IDA),
        ("['Ida Marsh' '1931']", Row(("Ida Marsh", "1931"), (0, 48), False)),
        ("[]", NONE),
        ("", Row((), (), True)),
        ("Ida Marsh", IDA),
    ],
)
@pytest.mark.parametrize("column", ["answer", "answers"])
def test_answers_printed_into_a_cell(tmp_path, cell, expected, column):
    path = tmp_path / "a.csv"
    quoted = cell.replace('"', '""')
    path.write_text(f'question,context,{column}\nWho?,"{CONTEXT}","{quoted}"\n')
    (found,) = load_qa(path).examples
    assert (found.answers, found.starts, found.is_impossible) == expected


def test_brackets_that_stand_in_the_context_are_text(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("question,context,answer\nWhich note?,As said [1] before.,[1]\n")
    (found,) = load_qa(path).examples
    assert (found.answers, found.starts) == (("[1]",), (8,))


def test_a_cell_cut_short_by_numpy_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("question,context,answers\nWho?,Ida,\"['Ida' ... 'Ida']\"\n")
    with pytest.raises(DataError, match="row 1: 'answers' holds"):
        load_qa(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[1 2 3]", [1, 2, 3]),
        ("[1. 0. -2.5]", [1.0, 0.0, -2.5]),
        ("('a', None, True)", ["a", None, True]),
        ("{'a': nan}", {"a": None}),
        (r"['it\'s', \"x\"]".replace('\\"', '"'), ["it's", "x"]),
        ("array(['a',\n 'b'], dtype=object)", ["a", "b"]),
        ("{'a', 'b'}", ["a", "b"]),
        ("frozenset({'a'})", ["a"]),
        ("set()", []),
        ("[np.float64(0.5), np.str_('é')]", [0.5, "é"]),
    ],
)
def test_values_as_programs_print_them(text, value):
    assert parse_literal(text) == value


@pytest.mark.parametrize(
    "text",
    [
        "{'a', 'b': 1}",
        "{'a': 1, 'b'}",
        "[1, 2",
        "__import__('os')",
        "[1 ... 3]",
        "{'a': 1} x",
        "[" * 99,
        "",
    ],
)
def test_what_shows_no_value(text):
    with pytest.raises(ValueError):
        parse_literal(text)


ENTRY = {"question": "Who?", "answers": [{"text": "Ida Marsh", "answer_start": 0}]}
ARTICLE = {"paragraphs": [{"context": CONTEXT, "qas": [ENTRY, {**ENTRY, "id": None}]}]}
FLAT = {"id": "x", "context": CONTEXT, **ENTRY}


@pytest.mark.parametrize(
    ("values", "ids"),
    [
        ({"data": [ARTICLE]}, ["1", "2"]),
        ([ARTICLE], ["1", "2"]),
        (ARTICLE, ["1", "2"]),
        ({"version": "0.1", "data": [FLAT]}, ["x"]),
        ([FLAT], ["x"]),
        (FLAT, ["x"]),
        ({key: [value] for key, value in FLAT.items()}, ["x"]),
        ({key: {"0": value} for key, value in FLAT.items()}, ["x"]),
        ({"columns": list(FLAT), "index": [0], "data": [list(FLAT.values())]}, ["x"]),
        ({"schema": {"fields": []}, "data": [{"index": 0, **FLAT}]}, ["x"]),
        ({"0": FLAT, "7": {**FLAT, "id": "y"}}, ["x", "y"]),
    ],
)
def test_json_in_every_layout(tmp_path, values, ids):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(values))
    examples = load_qa(path).examples
    assert [e.id for e in examples] == ids
    assert {(e.answers, e.starts) for e in examples} == {(("Ida Marsh",), (0,))}


def test_columns_by_row_number_are_put_together_by_it(tmp_path):
    path = tmp_path / "a.json"
    columns = {"id": {"0": "a", "1": "b"}, "question": {"1": "When?", "0": "Who?"}}
    path.write_text(json.dumps({**columns, "context": {"0": CONTEXT, "1": CONTEXT}}))
    assert [(e.id, e.question) for e in load_qa(path).examples] == [("a", "Who?"), ("b", "When?")]
    path.write_text(json.dumps({**columns, "context": {"0": CONTEXT, "2": CONTEXT}}))
    with pytest.raises(DataError, match=r"a\.json has columns of different rows"):
        load_qa(path)


@pytest.mark.parametrize("row", [["x"], 5])
def test_split_columns_that_are_not_whole(tmp_path, row):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"columns": list(FLAT), "data": [list(FLAT.values()), row]}))
    with pytest.raises(DataError, match=r"a\.json: row 2 has .* and there are 4 columns"):
        load_qa(path)


def test_answers_of_an_article_as_datasets_prints_them(tmp_path):
    path = tmp_path / "a.json"
    entry = {"question": "When?", "answers": {"text": ["1931"], "answer_start": [48]}}
    path.write_text(json.dumps({"data": [{"paragraphs": [{"context": CONTEXT, "qas": [entry]}]}]}))
    assert load_qa(path).examples[0].starts == (48,)


def test_lines_under_the_name_of_json(tmp_path):
    assert read(tmp_path, [{"answer": "Ida Marsh"}, {"answer": "1931"}], "a.json") == [
        IDA,
        Row(("1931",), (48,), False),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.csv"])
def test_a_mark_says_the_encoding(tmp_path, encoding, name):
    text = json.dumps({**FLAT, "question": "Où ?"}, ensure_ascii=False)
    if name == "a.csv":
        text = f'question,context,answer\nOù ?,"{CONTEXT}",Ida Marsh\n'
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    (found,) = load_qa(path).examples
    assert (found.question, found.answers, found.starts) == ("Où ?", ("Ida Marsh",), (0,))


def test_utf16_without_its_mark_is_named(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("question,context\n".encode("utf-16-le"))
    with pytest.raises(DataError, match="UTF-16 without its mark"):
        load_qa(path)


def test_parquet(tmp_path):
    import pyarrow as pa
    from pyarrow import parquet

    rows = [FLAT, {**FLAT, "id": "y", "answers": []}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    found = load_qa(tmp_path / "a.parquet").examples
    assert [Row(e.answers, e.starts, e.is_impossible) for e in found] == [IDA, NONE]


def test_a_key_twice_is_refused(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"question": "q", "context": "c", "answer": "c", "answer": "d"}')
    with pytest.raises(DataError, match="line 1 has the key 'answer' twice"):
        load_qa(path)


def squad(**fields):
    entries = [{"id": "a", **ENTRY}, {"id": "b", "question": "Why?", "answers": [], **fields}]
    return {"data": [{"paragraphs": [{"context": CONTEXT, "qas": entries}]}]}


@pytest.mark.parametrize(
    ("values", "impossible"),
    [
        (squad(), False),
        (squad(is_impossible=False), False),
        (squad(is_impossible=True), True),
        ({**squad(), "version": "v2.0"}, True),
        (squad(answers=[{"text": "", "answer_start": 0}], is_impossible=True), True),
    ],
)
def test_what_an_empty_list_of_answers_says(tmp_path, values, impossible):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(values))
    data = load_qa(path)
    assert [e.is_impossible for e in data.examples] == [False, impossible]
    if impossible:
        data.check_golds(path)
        return
    with pytest.raises(
        DataError, match=r"a\.json: questions without a gold answer: 1 \(first: 'b'\)"
    ):
        data.check_golds(path)


def test_a_question_said_to_be_impossible_that_has_answers_is_counted(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(squad(**{**ENTRY, "is_impossible": True})))
    data = load_qa(path)
    assert [(e.answers, e.is_impossible) for e in data.examples] == [
        (("Ida Marsh",), False),
        ((), True),
    ]
    assert "said to be impossible: 1 (first: 'b')" in data.warning


def test_training_refuses_questions_without_golds_unless_teachers_answer_them(tmp_path):
    from potstill.training.qa.data import load_split
    from potstill.training.recipe.qa import DistilRecipe, Recipe

    path = tmp_path / "a.json"
    path.write_text(json.dumps(squad()))
    paths = {"train": str(path), "base": "b", "out": "o"}
    for recipe in (Recipe(**paths), DistilRecipe(**paths)):
        with pytest.raises(DataError, match="without a gold answer: 1"):
            load_split(recipe)
    assert len(load_split(DistilRecipe(**paths, alpha_ce=0)).train) == 2
