"""Tagged words and choices as they are published and as other programs write them."""

import json

import pytest

from potstill.data.choice import load_choices
from potstill.data.tagging import TagLayout, for_model, in_scheme_of, load_tags, to_iob2
from potstill.errors import DataError


def read(tmp_path, text, name="a.txt", **layout):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return load_tags(path, TagLayout(**layout))


INDEXED = "1 Ada NNP B-PER\n2 left VBD O\n\n1 Rome NNP B-LOC\n"
CONLLU = (
    "# sent_id = 1\n# text = We'll go.\n1-2\tWe'll\t_\t_\t_\t_\t_\t_\t_\t_\n"
    "1\tWe\twe\tPRON\t_\t_\t3\tnsubj\t_\t_\n2\t'll\twill\tAUX\t_\t_\t3\taux\t_\t_\n"
    "2.1\tx\tx\tX\t_\t_\t_\t_\t_\t_\n3\tgo\tgo\tVERB\t_\t_\t0\troot\t_\tSpaceAfter=No\n"
)
GERMEVAL = "#\thttp://x.de [2010-01-02]\n1\tAda\tB-PER\tO\n2\tging\tO\tO\n"


@pytest.mark.parametrize(
    "text", [INDEXED, CONLLU, GERMEVAL, INDEXED.replace("1 ", "0 ").replace("2 ", "1 ")]
)
def test_a_first_column_that_counts_words_is_refused(tmp_path, text):
    with pytest.raises(
        DataError, match=r"a\.txt: line \d+: the first of \d+ columns counts the words"
    ):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "layout", "words", "tags"),
    [
        (INDEXED, {"word": "2"}, ("Ada", "left"), ("B-PER", "O")),
        (CONLLU, {"word": "2", "tag": "4"}, ("We", "'ll", "go"), ("PRON", "AUX", "VERB")),
        (GERMEVAL, {"word": "2", "tag": "3"}, ("Ada", "ging"), ("B-PER", "O")),
    ],
)
def test_words_and_tags_by_their_columns(tmp_path, text, layout, words, tags):
    example = read(tmp_path, text, **layout).examples[0]
    assert (example.words, example.tags) == (words, tags)
    with pytest.raises(DataError, match="no column '99'"):
        read(tmp_path, text, word="99")


def test_numbers_that_are_words(tmp_path):
    data = read(tmp_path, "1 B-NUM\n2 O\n\n7 O\n")
    assert data.examples[0].words == ("1", "2")


@pytest.mark.parametrize(
    "comment", ["# id 1\tdomain=en", "# sent_id = 3", "# text = a b c", "#\tx"]
)
def test_comments_of_every_set(tmp_path, comment):
    data = read(tmp_path, f"{comment}\nthe _ _ O\nred _ _ B-X\n\n{comment}\n# _ _ O\n")
    assert [example.words for example in data.examples] == [("the", "red"), ("#",)]


@pytest.mark.parametrize("key", ["tags", "ner_tags", "labels"])
def test_tags_that_are_numbers_have_their_names_from_a_key(tmp_path, key):
    text = json.dumps({"tokens": ["Ada", "left"], key: [1, 0]})
    with pytest.raises(DataError, match="the tag '1' is a number: say what 0, 1, … mean"):
        read(tmp_path, text, "a.jsonl")
    data = read(tmp_path, text, "a.jsonl", labels=("O", "B-PER"))
    assert data.examples[0].tags == ("B-PER", "O")
    with pytest.raises(DataError, match="labels names only those from 0 to 0"):
        read(tmp_path, text, "a.jsonl", labels=("O",))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1 Ada NNP B-PER\n1 left VBD O\n\n2 Rome NNP B-LOC\n", "counts the words"),
        ("0\tAda\tB-PER\n1\tleft\tO\n\n2\tRome\tB-LOC\n3\tis\tO\n", "counts the words"),
        ("word\ttag\nAda\tNNP\n", "line 1 names the columns: drop it"),
        ("Token\tNER\nAda\tB-PER\n", "line 1 names the columns: drop it"),
        ("Ada b-per\nleft o\n", "the tag 'b-per' is not a tag of a scheme"),
        ("Ada B_PER\nMarsh I_PER\n", "the tag 'B_PER' is not a tag of a scheme"),
        ("Ada (PERSON*\nMarsh *)\nleft *\n", "the tag '(PERSON*' is not a tag of a scheme"),
        ("Ada _\nleft _\n", "the tag '_' is not a tag of a scheme"),
        ("B-PER Ada\nO left\n", "line 1: the word 'B-PER' is a tag: put the words first"),
        ("Ada/B-PER left/O\n", "the tag 'left/O' is a word with its tag"),
        ("Ada B-PER\nMarsh I-per\n", "the types 'PER' and 'per' differ in case"),
    ],
)
def test_what_is_no_word_or_tag_is_refused(tmp_path, text, says):
    with pytest.raises(DataError) as caught:
        read(tmp_path, text)
    assert says in str(caught.value)
    assert "a.txt" in str(caught.value)


def test_parts_of_speech_stay_as_they_are(tmp_path):
    text = "the DT\nb-spline NN\n* SYM\n( -LRB-\n"
    assert read(tmp_path, text).labels == ("-LRB-", "DT", "NN", "SYM")


def test_csv_of_words_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"a\.csv is CSV, of which tagged words are not read"):
        read(tmp_path, "New York,B-LOC\nLos Angeles,B-LOC\n", "a.csv")


def test_a_tag_that_means_no_tag(tmp_path):
    text = json.dumps({"id": 7, "tokens": ["Ada", "##m"], "ner_tags": [1, -100]})
    with pytest.raises(DataError, match=r"row 7: the tag '-100' of '##m' stands for a word"):
        read(tmp_path, text, "a.jsonl", labels=("O", "B-PER"))


def test_one_of_several_lists_of_tags_is_said_by_key(tmp_path):
    row = {"words": ["a"], "tags": ["X"], "ner_tags": ["O"], "pos": ["DT"]}
    with pytest.raises(DataError, match="both 'tags' and 'ner_tags'"):
        read(tmp_path, json.dumps(row), "a.jsonl")
    assert read(tmp_path, json.dumps(row), "a.jsonl", tag="pos").examples[0].tags == ("DT",)


@pytest.mark.parametrize(
    "scheme",
    [
        ("O", "B-x", "I-x", "E-x", "S-x"),
        ("O", "B-x", "I-x", "L-x", "U-x"),
        ("O", "I-x"),
        ("O", "B-x", "I-x"),
    ],
)
def test_tags_in_the_scheme_of_a_model_say_the_same_spans(scheme):
    tags = ["B-x", "O", "B-x", "I-x", "I-x", "O", "B-x", "I-x"]
    found = in_scheme_of(tags, scheme)
    assert set(found) <= set(scheme)
    assert to_iob2(found) == tags


def test_types_are_a_models_whatever_their_case(tmp_path):
    data = read(tmp_path, "Ada B-per\nleft O\n")
    found = for_model(data, ("O", "B-PER", "I-PER", "E-PER"), "a model")
    assert found.examples[0].tags == ("B-PER", "O")
    assert "per → PER" in found.note
    with pytest.raises(DataError, match=r"a\.txt: line 1: the tag 'B-per' of 'Ada' is not among"):
        for_model(data, ("O", "B-LOC"), "a model")


SWAG = {"sent1": "He comes in.", "sent2": "He", "ending0": "sits.", "ending1": "flies.", "label": 1}


@pytest.mark.parametrize(
    ("row", "choices"),
    [
        (SWAG, ("He sits.", "He flies.")),
        ({"prompt": "p", "choice0": "a", "choice1": "b", "label": 1.0}, ("a", "b")),
        ({"prompt": "p", "choices": ["a", "b"], "label": "1"}, ("a", "b")),
    ],
)
@pytest.mark.parametrize("suffix", [".jsonl", ".json"])
def test_choices_in_rows_of_every_kind(tmp_path, row, choices, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text(json.dumps(row) if suffix == ".jsonl" else json.dumps([row]))
    (example,) = load_choices(path)
    assert (example.choices, example.label) == (choices, 1)


def test_choices_between_tabs_as_pandas_quotes_them(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text('prompt\tchoice0\tchoice1\tlabel\n"say ""x"""\t"a\tb\t1\n')
    (example,) = load_choices(path)
    assert (example.prompt, example.choices) == ('say "x"', ('"a', "b"))


@pytest.mark.parametrize("columns", ["choice0,choice2", "choice0,choice_0"])
def test_choices_with_a_gap(tmp_path, columns):
    path = tmp_path / "a.csv"
    path.write_text(f"prompt,{columns},label\np,a,b,1\n")
    with pytest.raises(DataError, match="number them without a gap"):
        load_choices(path)


def test_choices_counted_from_1(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt,choice1,choice2,choice3,label\np,a,b,c,1\nq,a,b,c,2\n")
    with pytest.raises(DataError, match="counts its choices from 1 .* and no label is 0"):
        load_choices(path)
    path.write_text("prompt,choice1,choice2,choice3,label\np,a,b,c,0\nq,a,b,c,2\n")
    assert [example.label for example in load_choices(path)] == [0, 2]
