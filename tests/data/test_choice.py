import csv
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.data.choice import fold, load_choices
from potstill.errors import DataError
from potstill.records import ChoiceExample


def write(tmp_path, text, name="a.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def rows_of(tmp_path, header, *rows, name="a.csv"):
    path = tmp_path / name
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_a_table_of_ones_own(tmp_path):
    text = 'id,label,choice1,prompt,choice0\nx,1,"b, ""c""",He said,a\n,0,b,p,a\n'
    first, second = load_choices(write(tmp_path, text))
    assert first == ChoiceExample(id="x", prompt="He said", choices=("a", 'b, "c"'), label=1)
    assert second.id == "2"


def test_choices_are_in_the_order_of_their_numbers(tmp_path):
    header = ["prompt", *(f"choice{i}" for i in reversed(range(11))), "label"]
    path = rows_of(tmp_path, header, ["p", *map(str, reversed(range(11))), "10"])
    assert load_choices(path)[0].choices == tuple(map(str, range(11)))


def test_tabs_leave_quotes_alone(tmp_path):
    path = write(tmp_path, 'prompt\tchoice0\tchoice1\tlabel\n"so\ta"\tb\t0\n', "a.tsv")
    assert load_choices(path)[0].prompt == '"so'


def test_jsonl_with_any_number_of_choices(tmp_path):
    rows = [
        {"prompt": "p", "choices": ["a", "b", "c"], "label": 2},
        {"prompt": "q", "choices": ["a", "b"], "label": 0, "id": 5},
    ]
    path = write(tmp_path, "\n".join(map(json.dumps, rows)), "a.jsonl")
    assert [(e.id, len(e.choices), e.label) for e in load_choices(path)] == [
        ("1", 3, 2),
        ("5", 2, 0),
    ]


def test_unlabelled(tmp_path):
    path = write(tmp_path, "prompt,choice0,choice1\np,a,b\n")
    assert load_choices(path, labelled=False)[0].label is None
    path = write(tmp_path, '{"prompt": "p", "choices": ["a", "b"]}', "a.jsonl")
    assert load_choices(path, labelled=False)[0].label is None


def test_swag(tmp_path):
    header = "video-id,fold-ind,startphrase,sent1,sent2,gold-source,ending0,ending1,ending2,ending3"
    path = rows_of(
        tmp_path,
        [*header.split(","), "label"],
        ["v", "1", "s", "A man runs.", "He", "gold", "falls.", "flies.", "sings.", "eats.", "0"],
    )
    (found,) = load_choices(path)
    assert found.prompt == "A man runs."
    assert found.choices[:2] == ("He falls.", "He flies.")


def test_cosmosqa(tmp_path):
    header = "id,context,question,answer0,answer1,answer2,answer3,label".split(",")
    (found,) = load_choices(rows_of(tmp_path, header, ["7", "It rains.", "Why?", *"abcd", "3"]))
    assert (found.prompt, found.choices, found.label) == ("It rains. Why?", tuple("abcd"), 3)


def test_codah(tmp_path):
    text = 'o\tI am "so"\tglad.\tsad.\ttall.\tan egg.\t3\n\tHe\ta\tb\tc\td\t0\n'
    found = load_choices(write(tmp_path, text, "full.tsv"))
    assert [(e.id, e.label) for e in found] == [("0", 3), ("1", 0)]
    assert found[0].prompt == 'I am "so"'


def comve(tmp_path, answers):
    write(tmp_path, answers, "b_answers.csv")
    header = "id,FalseSent,OptionA,OptionB,OptionC".split(",")
    rows = [["5", "He drinks apple.", "a", "b", ""], ["6", "I sting.", "a", "b", "c"]]
    return rows_of(tmp_path, header, *rows, name="b_data.csv")


def test_comve_finds_its_answers_by_id(tmp_path):
    found = load_choices(comve(tmp_path, "6,C\n5,B\n"))
    # An empty choice that is not the right one stays: the published file has three.
    assert [(e.id, e.label, e.choices) for e in found] == [
        ("5", 1, ("a", "b", "")),
        ("6", 2, ("a", "b", "c")),
    ]


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ("5,B\n", "no answer for the id '6'"),
        ("5,B\n6,D\n", "the answer 'D' is none of A, B, C"),
        ("5,B\n6\n", "has 1 fields, the first row 2"),
        ("6,A\n5,C\n", "the right choice, number 2, is empty"),
    ],
)
def test_bad_comve(tmp_path, answers, says):
    with pytest.raises(DataError) as caught:
        load_choices(comve(tmp_path, answers))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no columns prompt"),
        ("prompt,choice0,choice1,label\n", "holds no rows"),
        ("prompt,choice0,label\np,a,0\n", "no columns prompt, choice0, choice1 (it has prompt,"),
        ("text,choice0,choice1,label\np,a,b,0\n", "no columns prompt"),
        ("prompt,choice0,choice1\np,a,b\n", "no column 'label'"),
        ("prompt,choice0,choice1,label\np,a,b\n", "row 1 has 3 fields, the first row 4"),
        ("prompt,choice0,choice1,label\np,a,b,2\n", "row 1: label 2 is none of the 2 choices"),
        ("prompt,choice0,choice1,label\np,a,b,-1\n", "label -1 is none"),
        ("prompt,choice0,choice1,label\np,a,b,x\n", "label is 'x', not a whole number"),
        ("prompt,choice0,choice1,label\np,a,b,\n", "row 1 has no label"),
        ("prompt,choice0,choice1,label\n ,a,b,0\n", "row 1 has an empty prompt"),
        ("prompt,choice0,choice1,label\np,,b,0\n", "the right choice, number 0, is empty"),
        ('prompt,choice0,choice1,label\n"p,a,b,0\n', "is not CSV"),
    ],
)
def test_bad_tables(tmp_path, text, says):
    with pytest.raises(DataError) as caught:
        load_choices(write(tmp_path, text))
    assert says in str(caught.value)
    assert "a.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([], "line 1 is a list"),
        ({"choices": ["a", "b"], "label": 0}, "has no 'prompt'"),
        ({"prompt": "p", "choices": "ab", "label": 0}, "'choices' is a string"),
        ({"prompt": "p", "choices": ["a", 2], "label": 0}, "the choice 2 is not a string"),
        ({"prompt": "p", "choices": ["a"], "label": 0}, "has 1 choices: give at least two"),
        ({"prompt": "p", "choices": ["a", "b"], "label": "a"}, "'label' is 'a', not a whole"),
        ({"prompt": "p", "choices": ["a", "b"], "label": True}, "'label' is True"),
        ({"prompt": "p", "choices": ["a", "b"]}, "has no label"),
    ],
)
def test_bad_jsonl(tmp_path, row, says):
    with pytest.raises(DataError) as caught:
        load_choices(write(tmp_path, json.dumps(row), "a.jsonl"))
    assert says in str(caught.value)


def test_a_name_that_says_no_format(tmp_path):
    with pytest.raises(DataError, match="no known suffix"):
        load_choices(write(tmp_path, "", "a.txt"))
    with pytest.raises(DataError, match="does not exist"):
        load_choices(tmp_path / "no.txt")


def test_folds_are_those_of_scikit_learn():
    model_selection = pytest.importorskip("sklearn.model_selection")
    examples = [ChoiceExample(id=str(i), prompt="p", choices=("a", "b")) for i in range(13)]
    for number, (train, dev) in enumerate(model_selection.KFold(5).split(examples)):
        found = fold(examples, 5, number)
        assert [[int(e.id) for e in part] for part in found] == [train.tolist(), dev.tolist()]


@settings(max_examples=60)
@given(
    st.lists(st.lists(st.text('ab0,"\t\r\n ', max_size=3), max_size=6), max_size=4),
    st.sampled_from(["a.csv", "a.tsv", "a.jsonl"]),
    st.booleans(),
)
def test_any_file_is_read_or_refused(tmp_path_factory, rows, name, headed):
    path = tmp_path_factory.getbasetemp() / name
    header = "prompt,choice0,choice1,label\n".replace(",", "\t" if name == "a.tsv" else ",")
    text = "\n".join(",".join(row) for row in rows)
    path.write_text(header * headed + text, encoding="utf-8", newline="")
    try:
        found = load_choices(path)
    except DataError as error:
        assert name in str(error) and "\n" not in str(error)
    else:
        assert all(e.prompt.strip() and e.choices[e.label].strip() for e in found)


def test_a_column_with_a_line_break_is_named_in_one_line(tmp_path):
    with pytest.raises(DataError, match=r"\(it has a b, c\)") as refused:
        load_choices(write(tmp_path, '"a\nb",c\n1,2\n', "a.csv"))
    assert "\n" not in str(refused.value)
