import gzip
import json
import lzma

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.data.tagging import TagLayout, for_model, load_tags, to_iob2
from potstill.errors import DataError

CONLL = "Rick\tB-person\nand\tO\nMorty\tB-person\n\nin\tO\nNew\tB-place\nYork\tI-place\n"


def load(tmp_path, text, name="a.conll", labelled=True, **options):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    return load_tags(path, TagLayout(**options), labelled=labelled)


def test_conll(tmp_path):
    data = load(tmp_path, CONLL)
    assert [example.words for example in data.examples] == [
        ("Rick", "and", "Morty"),
        ("in", "New", "York"),
    ]
    assert data.examples[1].tags == ("O", "B-place", "I-place")
    assert [example.id for example in data.examples] == ["line 1", "line 5"]
    # A type has both of its tags, though no person here has two words.
    assert data.labels == ("O", "B-person", "I-person", "B-place", "I-place")
    assert (data.scheme, data.changed, data.note, data.n_words) == ("spans", 0, None, 6)


def test_blanks_columns_and_marks_between_documents(tmp_path):
    text = (
        "\ufeff-DOCSTART- -X- O O\r\n\r\nEU NNP B-NP I-ORG\r\nrejects VBZ B-VP O\r\n \t\r\n\r\n"
        "Peter NNP B-NP I-PER\r\n\ufeff\r\n"
    )
    data = load(tmp_path, text)
    assert [e.words for e in data.examples] == [("EU", "rejects"), ("Peter",)]
    assert data.examples[0].tags == ("B-ORG", "O")
    assert data.changed == 2
    assert data.note is not None and data.note.endswith("read as IOB2: 2")


def test_a_word_keeps_its_no_break_space(tmp_path):
    data = load(tmp_path, "New\u00a0York  NNP B-place\nwon VBD O\n")
    assert data.examples[0].words == ("New\u00a0York", "won")


def test_comments_are_left_out_and_hashtags_are_not(tmp_path):
    data = load(tmp_path, "# id 7 domain=en\nyes\tO\n#\tO\n#wow\tO\n")
    assert data.examples[0].words == ("yes", "#", "#wow")


@pytest.mark.parametrize("pack", [gzip, lzma])
def test_packed(tmp_path, pack):
    path = tmp_path / "a.conll.packed"
    with pack.open(path, "wt", encoding="utf-8") as file:
        file.write(CONLL)
    assert len(load_tags(path).examples) == 2


def test_jsonl(tmp_path):
    rows = [
        {"words": ["a b", "c"], "tags": ["O", "B-x"]},
        {"tokens": ["d"], "tags": ["O"], "id": 7},
    ]
    data = load(tmp_path, "\n\n".join(json.dumps(row) for row in rows), "a.jsonl")
    assert [e.id for e in data.examples] == ["line 1", "row 7"]
    assert data.examples[0].words == ("a b", "c")


def test_words_alone(tmp_path):
    data = load(tmp_path, "one\ntwo\n\nthree\n", labelled=False)
    assert [(e.words, e.tags) for e in data.examples] == [(("one", "two"), ()), (("three",), ())]
    assert data.labels == ()


def test_plain_tags(tmp_path):
    data = load(tmp_path, "dogs\tNNS\nbark\tVBP\n")
    assert (data.scheme, data.labels) == ("plain", ("NNS", "VBP"))
    data = load(tmp_path, "Rick\tperson\nand\tO\n", scheme="plain")
    assert data.labels == ("O", "person")


@pytest.mark.parametrize(
    ("given_tags", "wanted"),
    [
        ("I-x I-x O I-x", "B-x I-x O B-x"),  # IOB1
        ("I-x B-x I-y", "B-x B-x B-y"),
        ("B-x I-x E-x S-x O", "B-x I-x I-x B-x O"),  # BIOES
        ("S-x I-x", "B-x B-x"),
        ("B-x L-x U-y", "B-x I-x B-y"),  # BILOU
        ("B I O I", "B I O B"),  # chunks without a type
        ("O I-y B-y", "O B-y B-y"),
        ("NN VB", "NN VB"),
    ],
)
def test_every_scheme_becomes_iob2(given_tags, wanted):
    assert to_iob2(given_tags.split()) == wanted.split()


@given(st.lists(st.sampled_from("O B-x I-x B-y I-y E-x S-y".split())))
def test_iob2_stays_as_it_is(tags):
    once = to_iob2(tags)
    assert to_iob2(once) == once
    assert all(
        tag[0] != "I" or (i and once[i - 1][1:] == tag[1:] and once[i - 1] != "O")
        for i, tag in enumerate(once)
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no words"),
        ("\n\n", "holds no words"),
        ("word\n", "line 1 has a word and no tag"),
        ("a\tO\nb\nc\tO\n", "line 2 has 1 column, the others 2"),
        ("a\tO\nb\tx\tO\nc\tO\n", "line 2 has 3 columns, the others 2"),
        ("a\tO\n#photography\nc\tO\n", "line 2 has 1 column"),
        ("a\tO\n\tO\n", "line 2 has an empty word"),
        ("a\tO\n\u00a0\tO\n", "line 2 has an empty word"),
        ("a\tO\nb\t\n", "line 2 has an empty tag"),
        ("a\tO\nb\tPerson\n", "line 1: the tag 'Person' of 'b' is neither O nor"),
    ],
)
def test_bad_conll(tmp_path, text, says):
    with pytest.raises(DataError) as caught:
        load(tmp_path, text)
    assert says in str(caught.value)
    assert "a.conll" in str(caught.value)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ([], "line 1 is a list"),
        ({"tags": []}, "has no 'words'"),
        ({"words": []}, "has no 'tags'"),
        ({"words": [], "tags": []}, "is an empty list"),
        ({"words": ["a", "b"], "tags": ["O"]}, "has 2 words and 1 tags"),
        ({"words": ["a"], "tags": [3]}, "the tag '3' is a number"),
        ({"words": [" "], "tags": ["O"]}, "has an empty string in 'words'"),
    ],
)
def test_bad_jsonl(tmp_path, row, says):
    with pytest.raises(DataError) as caught:
        load(tmp_path, json.dumps(row), "a.jsonl")
    assert says in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        load_tags(tmp_path / "no.conll")


def test_a_tag_that_is_seen_only_in_test(tmp_path):
    train = load(tmp_path, CONLL)
    test = load(tmp_path, "x\tO\n\nyes\tO\nLondon\tB-town\n", "dev.conll")
    for_model(train, train.labels, "train")
    with pytest.raises(DataError) as caught:
        for_model(test, train.labels, "train.conll")
    said = str(caught.value)
    assert "dev.conll: line 3: the tag 'B-town' of 'London'" in said and "train.conll" in said


def test_a_model_of_another_scheme_knows_the_types(tmp_path):
    for_model(load(tmp_path, CONLL), ("O", "S-person", "I-place"), "a model")


@settings(max_examples=60)
@given(
    st.text("aB-IxO#\t \n\r\ufeff\u00a0\u2028", max_size=40),
    st.sampled_from(["a.conll", "a.jsonl"]),
)
def test_any_file_is_read_or_refused(tmp_path_factory, text, name):
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(text, encoding="utf-8", newline="")
    try:
        data = load_tags(path)
    except DataError as error:
        assert name in str(error) and "\n" not in str(error)
    else:
        assert all(word.strip() for example in data.examples for word in example.words)
        assert {tag for example in data.examples for tag in example.tags} <= set(data.labels)
