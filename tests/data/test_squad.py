import copy

import pytest

from potstill.data.squad import as_id, read_squad
from potstill.errors import DataError

FILE = {
    "version": "v2.0",
    "data": [
        {
            "title": "ignored",
            "paragraphs": [
                {
                    "context": "Rollo ruled Normandy.",
                    "qas": [
                        {
                            "id": "a",
                            "question": "Who ruled?",
                            "answers": [{"text": "Rollo", "answer_start": 0, "extra": 1}],
                            "is_impossible": False,
                        },
                        {
                            "id": "b",
                            "question": "Who lost?",
                            "answers": [],
                            "is_impossible": True,
                            "plausible_answers": [{"text": "Rollo", "answer_start": 0}],
                        },
                    ],
                }
            ],
        }
    ],
}


def test_reads_answers_and_unanswerable_questions():
    first, second = read_squad(FILE, "x.json")
    assert (first.id, first.question, first.context) == (
        "a",
        "Who ruled?",
        "Rollo ruled Normandy.",
    )
    assert (first.answers, first.starts, first.is_impossible) == (("Rollo",), (0,), False)
    assert (second.answers, second.starts, second.is_impossible) == ((), (), True)


def test_version_and_is_impossible_are_optional():
    values = copy.deepcopy(FILE)
    del values["version"]
    for question in values["data"][0]["paragraphs"][0]["qas"]:
        del question["is_impossible"]
    assert [e.is_impossible for e in read_squad(values, "x.json")] == [False, False]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "x"),
        (7, "7"),
        (1.5, "1.5"),
        (True, "true"),
        (None, "null"),
        ([1, "a"], '[1, "a"]'),
        ({"a": 1}, '{"a": 1}'),
    ],
)
def test_ids_of_any_json_type(value, text):
    assert as_id(value) == text


def change(path, value):
    values = copy.deepcopy(FILE)
    at = values
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return values


PARAGRAPH = ("data", 0, "paragraphs", 0)
QUESTION = (*PARAGRAPH, "qas", 1)
ANSWER = (*PARAGRAPH, "qas", 0, "answers", 0)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("data",), None, "x.json has no 'data'"),
        (("data",), {}, "x.json: 'data' is an object, not a list"),
        (("data", 0), "a", r"data[0] is a string, not an object with 'paragraphs'"),
        (("data", 0, "paragraphs"), None, "data[0] has no 'paragraphs'"),
        ((*PARAGRAPH, "context"), None, "data[0].paragraphs[0] has no 'context'"),
        ((*PARAGRAPH, "context"), 5, "'context' is a number, not a string"),
        ((*PARAGRAPH, "qas"), None, "data[0].paragraphs[0] has no 'qas'"),
        ((*QUESTION, "question"), None, "data[0].paragraphs[0].qas[1] has no 'question'"),
        ((*QUESTION, "answers"), None, "data[0].paragraphs[0].qas[1] has no 'answers'"),
        ((*QUESTION, "is_impossible"), "hardly", "'is_impossible' is 'hardly', not true or false"),
        (ANSWER, 3, "qas[0].answers[0] is a number, not an object"),
        ((*ANSWER, "text"), None, "qas[0].answers[0] has no 'text'"),
        ((*ANSWER, "answer_start"), "x", "'answer_start' is 'x', not a whole number"),
        ((*ANSWER, "answer_start"), 0.5, "'answer_start' is 0.5, not a whole number"),
        ((*ANSWER, "answer_start"), True, "'answer_start' is True, not a"),
    ],
)
def test_names_the_place_of_a_fault(path, value, says):
    with pytest.raises(DataError) as caught:
        list(read_squad(change(path, value), "x.json"))
    assert says in str(caught.value)
    assert str(caught.value).startswith("x.json")


@pytest.mark.parametrize("values", [None, 3, "a", True])
def test_refuses_other_json(values):
    with pytest.raises(DataError, match="not a SQuAD object"):
        list(read_squad(values, "x.json"))


@pytest.mark.parametrize(("title", "expected"), [("Normandy", "Normandy"), (None, ""), (7, "")])
def test_the_title_of_an_article_is_kept(title, expected):
    values = copy.deepcopy(FILE)
    values["data"][0]["title"] = title
    assert {e.title for e in read_squad(values, "x.json")} == {expected}
    del values["data"][0]["title"]
    assert {e.title for e in read_squad(values, "x.json")} == {""}


def test_answers_may_be_missing_where_no_labels_are_needed():
    values = copy.deepcopy(FILE)
    questions = values["data"][0]["paragraphs"][0]["qas"]
    del questions[0]["answers"]
    questions[1]["answers"] = None
    assert [e.answers for e in read_squad(values, "x.json", labelled=False)] == [(), ()]
    questions[1]["answers"] = 3
    with pytest.raises(DataError, match="answers is a number, not a string or a list"):
        list(read_squad(values, "x.json", labelled=False))
