import json
import lzma

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from potstill.data.qa import load_qa
from potstill.errors import DataError

CONTEXT = "The art of art. A cart, a part; art."


def squad(*answers, version="1.1", context=CONTEXT):
    qas = [
        {"id": i, "question": "q?", "answers": [{"text": t, "answer_start": s} for t, s in pairs]}
        for i, pairs in enumerate(answers)
    ]
    return {"version": version, "data": [{"paragraphs": [{"context": context, "qas": qas}]}]}


def write(tmp_path, values, name="a.json"):
    path = tmp_path / name
    path.write_text(json.dumps(values))
    return path


def test_loads_squad(tmp_path):
    data = load_qa(write(tmp_path, squad([("art", 4)], [("art", 11), ("The art", 0)])))
    assert [e.id for e in data.examples] == ["0", "1"]
    assert data.examples[1].starts == (11, 0)
    assert (data.version, data.wrong_offsets, data.unplaced, data.warning) == ("1.1", 0, 0, None)
    assert not data.no_answer


@pytest.mark.parametrize(
    ("version", "expected"),
    [("v2.0", True), ("2.0", True), (2, True), ("1.1", False), (None, False)],
)
def test_version_says_which_rules_apply(tmp_path, version, expected):
    assert load_qa(write(tmp_path, squad([("art", 4)], version=version))).no_answer is expected


def test_one_impossible_question_is_enough_for_v2(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("question,context,answer\nq,c,c\nq,c,\n")
    assert load_qa(path).no_answer


def test_strict_refuses_wrong_offsets(tmp_path):
    path = write(tmp_path, squad([("art", 4)], [("art", 5), ("art", -3)], [("art", 10**9)]))
    with pytest.raises(DataError) as caught:
        load_qa(path, offsets="strict")
    message = str(caught.value)
    assert "3 answers are not at their answer_start (first: question '1')" in message
    assert "fix_offsets=true" in message


def test_keep_counts_wrong_offsets_in_one_warning(tmp_path):
    data = load_qa(write(tmp_path, squad([("art", 4)], [("art", 5), ("art", -3)])))
    assert data.examples[1].starts == (5, -3)
    assert data.wrong_offsets == 2
    assert "2 answers" in data.warning
    assert "'1'" in data.warning
    assert "\n" not in data.warning


def test_fix_takes_the_nearest_occurrence(tmp_path):
    path = write(tmp_path, squad([("art", 5)], [("art", 9)], [("art", -5)], [("art", 10**30)]))
    data = load_qa(path, offsets="fix")
    # 5 is nearest to 4; 9 to 11; 32 is the last one.
    assert [e.starts for e in data.examples] == [(4,), (11,), (4,), (32,)]
    assert data.wrong_offsets == 0
    assert data.warning is None


@pytest.mark.parametrize("text", ["absent", "Absent "])
def test_fix_refuses_an_answer_that_is_not_there(tmp_path, text):
    with pytest.raises(DataError, match="question '0'.*does not occur in its context"):
        load_qa(write(tmp_path, squad([(text, 0)])), offsets="fix")


def test_answers_without_a_start_take_the_first_whole_word(tmp_path):
    data = load_qa(write(tmp_path, squad([("a", None)], [("ar", None)], [("c", None)])))
    assert [e.starts for e in data.examples] == [(24,), (4,), (18,)]
    assert CONTEXT[24:30] == "a part"


def test_answers_without_a_start_that_are_not_there(tmp_path):
    path = write(tmp_path, squad([("absent", None)]))
    data = load_qa(path)
    assert data.examples[0].starts == (None,)
    assert (data.wrong_offsets, data.unplaced, data.first_wrong) == (0, 1, "0")
    assert data.warning is not None
    for offsets in ("strict", "fix"):
        with pytest.raises(DataError, match="1 answers do not occur"):
            load_qa(path, offsets=offsets)


def test_offsets_are_code_points(tmp_path):
    path = write(tmp_path, squad([("dé", 2)], context="😀 dé"))
    assert load_qa(path, offsets="strict").examples[0].starts == (2,)


def test_surrogates_and_nul_bytes_are_text_like_any_other(tmp_path):
    context = "a\0b \ud800 c"
    data = load_qa(write(tmp_path, squad([("\ud800", 4)], context=context)), offsets="strict")
    assert data.examples[0].context == context


def test_repeated_ids(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"question": "q", "context": "c"}
    path.write_text("\n".join(json.dumps({**row, "id": i}) for i in (1, "1", 2, 2, 3)))
    with pytest.raises(DataError, match=r"2 questions repeat an id \(first: '1'\)"):
        load_qa(path)


@pytest.mark.parametrize("name", ["a.json.xz", "a.JSON.xz"])
def test_packed(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(lzma.compress(json.dumps(squad([("art", 4)])).encode()))
    assert len(load_qa(path).examples) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"question": "q", "context": "c"}'),
        ("a.ndjson", '{"question": "q", "context": "c"}'),
        ("a.json", '[{"question": "q", "context": "c"}]'),
        ("a.csv", "question,context\nq,c"),
        ("a.tsv", "question\tcontext\nq\tc"),
    ],
)
def test_the_name_says_the_format(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    data = load_qa(path)
    assert [(e.question, e.context) for e in data.examples] == [("q", "c")]
    assert data.version is None


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.txt", "hello", "no known suffix"),
        ("a", "hello", "no known suffix"),
        ("a.json", '{"data": []}', "holds no questions"),
        ("a.csv", "question,context\n", "holds no questions"),
        ("a.json", "{}", "has no 'data'"),
    ],
)
def test_unusable_files(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError, match=says):
        load_qa(path)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_qa(tmp_path / "a.json")
    with pytest.raises(DataError, match="is a directory"):
        load_qa(tmp_path)


@given(
    context=st.text("ab ", min_size=1, max_size=30).filter(str.strip),
    data=st.data(),
    claim=st.integers(-5, 40),
)
def test_fixed_offsets_are_exact_and_nearest(tmp_path_factory, context, data, claim):
    start = data.draw(st.integers(0, len(context) - 1))
    text = context[start : data.draw(st.integers(start + 1, len(context)))]
    assume(text.strip())
    path = write(tmp_path_factory.mktemp("fix"), squad([(text, claim)], context=context))
    ((found,),) = [e.starts for e in load_qa(path, offsets="fix").examples]
    places = [i for i in range(len(context)) if context[i:].startswith(text)]
    assert context[found : found + len(text)] == text
    assert abs(found - claim) == min(abs(place - claim) for place in places)
