import gzip
import json
import lzma

import numpy as np
import pytest

from potstill.data.classification import TextLayout, gold_array, load_texts, with_labels
from potstill.data.glue import FORMATS, GLUE, layout_of
from potstill.data.split import split_examples
from potstill.errors import DataError

TABLE = "text,label\nThe red king,bad\nA tower,good\n"
FLAGS = TextLayout(label=("rude", "loud"))


def write(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


def table(tmp_path, text, name="data.csv"):
    return write(tmp_path / name, text)


def test_a_table_of_ones_own(tmp_path):
    data = load_texts(table(tmp_path, TABLE))
    assert (data.problem, data.labels) == ("single-label", ("bad", "good"))
    assert [(e.id, e.text, e.pair, e.label) for e in data.examples] == [
        ("1", "The red king", None, "bad"),
        ("2", "A tower", None, "good"),
    ]
    assert gold_array(data.examples, data.labels, data.problem).tolist() == [0, 1]


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_files(tmp_path, pack):
    path = tmp_path / ("data.csv.gz" if pack is gzip.compress else "data.csv.xz")
    path.write_bytes(pack(TABLE.encode()))
    assert len(load_texts(path).examples) == 2


def test_pairs_ids_and_fields_with_line_ends(tmp_path):
    text = 'id,one,two,label\nx,"a, b\nc",d,1\ny,e,f,0\n'
    layout = TextLayout(text="one", pair="two")
    first, second = load_texts(table(tmp_path, text), layout).examples
    assert (first.id, first.text, first.pair, first.label) == ("x", "a, b\nc", "d", "1")
    assert second.pair == "f"


def test_several_labels_in_columns_or_in_one(tmp_path):
    text = "text,rude,loud\na,0,1\nb,1,1\nc,0,0\n"
    data = load_texts(table(tmp_path, text), FLAGS, every_label=True)
    assert (data.problem, data.labels) == ("multi-label", ("rude", "loud"))
    assert [e.label for e in data.examples] == [("loud",), ("rude", "loud"), ()]
    gold = gold_array(data.examples, data.labels, data.problem)
    assert gold.tolist() == [[0, 1], [1, 1], [0, 0]]
    joined = table(tmp_path, "text\tlabel\na\tx|y\nb\ty\nc\t\n", "data.tsv")
    data = load_texts(joined, TextLayout(separator="|"))
    assert [e.label for e in data.examples] == [("x", "y"), ("y",), ()]
    lines = [{"text": "a", "label": ["x", "y"]}, {"text": "b", "label": []}]
    listed = table(tmp_path, "\n".join(map(json.dumps, lines)), "data.jsonl")
    assert load_texts(listed).problem == "multi-label"


def test_numbers_are_targets_where_some_are_not_whole(tmp_path):
    data = load_texts(table(tmp_path, "text,label\na,1\nb,2.5\n"))
    assert (data.problem, data.labels) == ("regression", ("label",))
    assert gold_array(data.examples, data.labels, "regression").tolist() == [1.0, 2.5]
    whole = table(tmp_path, "text,label\na,10\nb,2\nc,2\n")
    assert load_texts(whole).labels == ("2", "10")
    asked = load_texts(whole, TextLayout(problem="regression"))
    assert asked.examples[0].label == 10.0


def test_unlabelled_files(tmp_path):
    path = table(tmp_path, "text\na\n")
    assert load_texts(path, labelled=False).examples[0].label is None
    with pytest.raises(DataError, match="no column 'label'"):
        load_texts(path)
    with pytest.raises(DataError, match="has no label"):
        gold_array(load_texts(path, labelled=False).examples, ("x",), "single-label")


BAD = {
    "an empty text": ("text,label\na,x\n  ,y\n", {}, r"row 2 has an empty text: fill it in"),
    "an empty label": ("text,label\na,x\nb, \n", {}, "row 2 has an empty label"),
    "ragged": ("text,label\na,x\nb\n", {}, "row 2 has 1 fields, the header 2"),
    "a missing column": ("sentence,label\na,x\n", {}, r"no column 'text' \(it has sentence"),
    "no number": (
        "text,label\na,1.5\nb,high\n",
        {"problem": "regression"},
        "row 2: label 'high' is not a number: correct it",
    ),
    "infinite": ("text,label\na,inf\n", {"problem": "regression"}, "'inf' is not a number"),
    "neither 0 nor 1": (
        "text,rude,loud\na,0,1\nb,-1,0\n",
        {"label": ("rude", "loud")},
        "row 2: column 'rude' holds '-1': it must be 0 or 1",
    ),
    "out of range": (
        "text,label\na,0\nb,2\n",
        {"names": {"0": "no", "1": "yes"}},
        "row 2: label '2' is none of 0, 1",
    ),
    "only in test": (
        "text,label\na,x\nb,z\n",
        {"labels": ("x", "y")},
        "row 2: label 'z' is none of x, y: correct it, or add it to the training data",
    ),
    "a broken quote": ('text,label\n"a,x\n', {}, "is not CSV"),
    "no rows": ("text,label\n", {}, "holds no rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_said_with_its_row(tmp_path, case):
    text, layout, message = BAD[case]
    with pytest.raises(DataError, match=message) as caught:
        load_texts(table(tmp_path, text), TextLayout(**layout))
    assert "data.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "is a list, not a JSON object"),
        ('{"text": "a"}', "has no 'label'"),
        ('{"text": 3, "label": "x"}', "text 3 is not a string"),
        ('{"text": "a", "label": null}', "has no label"),
        ('{"text": "a", "label": {}}', "is not a name"),
        ('{"text": "a", "label": 1.5}\n{"text": "b", "label": true}', "label True is not a number"),
    ],
)
def test_what_is_wrong_in_jsonl(tmp_path, line, message):
    with pytest.raises(DataError, match=message):
        load_texts(table(tmp_path, line, "data.jsonl"))


def test_an_unknown_suffix_and_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"name it \.csv"):
        load_texts(table(tmp_path, TABLE, "data.txt"))
    with pytest.raises(DataError, match="does not exist"):
        load_texts(tmp_path / "none.txt")


def test_a_label_that_no_row_has_cannot_be_learned(tmp_path):
    path = table(tmp_path, "text,rude,loud\na,0,1\nb,0,0\n")
    assert load_texts(path, FLAGS).labels == ("rude", "loud")
    with pytest.raises(DataError, match="no row has label 'rude'"):
        load_texts(path, FLAGS, every_label=True)
    with pytest.raises(DataError, match="every row has label 'x'"):
        load_texts(table(tmp_path, "text,label\na,x\n"), every_label=True)


def test_a_megabyte_of_text(tmp_path):
    long = "word " * 210_000
    assert load_texts(table(tmp_path, f'text,label\n"{long}",x\n')).examples[0].text == long


ROWS = {
    "CoLA": ("gj04\t1\t\tHe \"said.\n", "acceptable"),
    "SST-2": ("sentence\tlabel\nfine \" film\t1\n", "positive"),
    "MRPC": ("\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t2\t3\ta\tb\n", "equivalent"),
    "STS-B": ("index\tsentence1\tsentence2\tscore\n0\ta\tb\t3.800\n", 3.8),
    "QQP": ("id\tquestion1\tquestion2\tis_duplicate\n0\ta\tb\t0\n", "not_duplicate"),
    "MNLI": ("index\tsentence1\tsentence2\tgold_label\n0\ta\tb\tneutral\n", "neutral"),
    "QNLI": ("index\tquestion\tsentence\tlabel\n0\ta\tb\tentailment\n", "entailment"),
    "RTE": ("index\tsentence1\tsentence2\tlabel\n0\ta\tb\tnot_entailment\n", "not_entailment"),
    "WNLI": ("index\tsentence1\tsentence2\tlabel\n0\ta\tb\t1\n", "entailment"),
    "goemotions": ("Well \"done!\t0,17\teew5j0j\n", ("admiration", "joy")),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWS)
def test_published_sets_by_name(tmp_path, name):
    text, label = ROWS[name]
    (example,) = load_texts(table(tmp_path, text, "dev.tsv"), layout_of(name.lower())).examples
    assert example.label == label
    assert (example.pair is not None) == bool(FORMATS[name].pair)


def test_all_nine_tasks_of_glue_have_their_layout():
    assert len(GLUE) == 9
    assert len(FORMATS["goemotions"].names) == 28
    with pytest.raises(DataError, match="no format 'SST-3': give table, CoLA"):
        layout_of("SST-3")


def test_other_sets(tmp_path):
    text = "row,comment_text,toxic,severe_toxic,obscene,threat,insult,identity_hate\n"
    path = table(tmp_path, text + '0,"a\nb",1,0,0,0,1,0\n')
    assert load_texts(path, layout_of("jigsaw")).examples[0].label == ("toxic", "insult")
    review = {"id": "test/neg/0_2", "label": 0, "rating": 2, "text": "No.<br />"}
    path = table(tmp_path, json.dumps(review), "test.jsonl")
    (example,) = load_texts(path, layout_of("imdb")).examples
    assert (example.id, example.label) == ("test/neg/0_2", "neg")


def test_other_files_of_the_same_data_leave_nothing_to_guess(tmp_path):
    train = load_texts(table(tmp_path, "text,label\na,1\nb,2.5\n"))
    layout = with_labels(TextLayout(), train.labels, train.problem)
    assert load_texts(table(tmp_path, "text,label\na,1\n"), layout).problem == "regression"


@pytest.mark.parametrize(("n", "share"), [(20, 0.2), (17, 0.33), (101, 0.5)])
def test_the_split_is_that_of_scikit_learn(n, share):
    from sklearn.model_selection import train_test_split

    ours = split_examples(range(n), share, 42)
    assert ours == tuple(train_test_split(list(range(n)), test_size=share, random_state=42))
    assert split_examples(range(n), 0, 42) == (list(range(n)), [])


def test_labels_that_gold_arrays_do_not_know(tmp_path):
    data = load_texts(table(tmp_path, TABLE))
    with pytest.raises(DataError, match="'good' is none of the labels bad"):
        gold_array(data.examples, ("bad",), "single-label")
    assert gold_array(data.examples, data.labels, "multi-label").dtype == np.float32
