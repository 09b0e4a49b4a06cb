from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.runtime.entities import AGGREGATIONS, entities
from potstill.runtime.tagging import Tagger, TagOptions
from potstill.text.tokenizer import Encoded, Tokenizer

LABELS = ("O", "B-per", "I-per", "B-loc", "I-loc")
TEXT = " ".join(text for text, *_ in tiny.SENTENCES)


@pytest.fixture(scope="module", params=["bert", "distilbert", "roberta", "electra", "mpnet"])
def tagger(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    tiny.write_model(folder, request.param, head="tagging", labels=LABELS)
    return Tagger.from_options(folder, threads=1)


class Said:
    """A session that gives each token the label that a table names for its id."""

    def __init__(self, by_id):
        self.table = np.zeros(len(tiny.VOCABULARY), np.int64)
        for number, tag in by_id.items():
            self.table[number] = LABELS.index(tag)

    def run(self, batch):
        return (4 * np.eye(len(LABELS), dtype=np.float32)[self.table[batch.input_ids]],)


def made(tmp_path, tags, **options):
    """A tagger over the small vocabulary: token → tag."""
    tiny.write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_folder(tmp_path)
    by_id = {tokenizer.token_id(token): tag for token, tag in tags.items()}
    return Tagger(tokenizer, Said(by_id), TagOptions(labels=LABELS, **options))


def test_entities_are_slices_of_the_text(tagger):
    for aggregation in AGGREGATIONS:
        found = tagger.tag(TEXT, aggregation=aggregation)
        assert all(TEXT[e.start : e.end] == e.text == e.text.strip() != "" for e in found)
        assert all(0 < e.score <= 1 for e in found)
        known = LABELS if aggregation == "none" else ("per", "loc")
        assert {e.label for e in found} <= set(known)
        assert all(a.end <= b.start for a, b in zip(found, found[1:], strict=False))


def test_one_text_is_tagged_as_among_many(tagger):
    texts = [TEXT, "The queen.", TEXT * 9]
    together = tagger.tag_many(texts)
    for text, among in zip(texts, together, strict=True):
        alone = tagger.tag(text)
        assert [(e.label, e.start, e.end) for e in alone] == [
            (e.label, e.start, e.end) for e in among
        ]
        scores = [e.score for e in alone]
        assert scores == pytest.approx([e.score for e in among], abs=1e-5)


def test_every_word_has_a_tag(tagger):
    words = TEXT.split() * 20
    tags = tagger.tag_words(words)
    assert len(tags) == len(words)
    assert set(tags) <= set(LABELS)


def test_threads_share_a_tagger(tagger):
    alone = tagger.tag(TEXT)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == alone for found in pool.map(tagger.tag, [TEXT] * 8))


def test_neighbours_of_one_type_are_joined(tmp_path):
    tagger = made(tmp_path, {"denver": "B-per", "broncos": "I-per", "paris": "B-loc"})
    found = tagger.tag("Denver  Broncos, Paris Paris")
    assert [(e.text, e.label) for e in found] == [
        ("Denver  Broncos", "per"),
        ("Paris", "loc"),
        ("Paris", "loc"),
    ]
    assert tagger.tag("the king") == []
    kept = tagger.tag("the king of Paris", ignore=("loc",))
    assert [(e.text, e.label) for e in kept] == [("the king of", "O")]
    tokens = tagger.tag("Denver Broncos", aggregation="none")
    assert [(e.text, e.label) for e in tokens] == [("Denver", "B-per"), ("Broncos", "I-per")]


def test_a_span_may_be_longer_than_a_window(tmp_path):
    tagger = made(tmp_path, {"paris": "B-loc", "the": "I-loc"}, seq_len=8, stride=4)
    text = "of " * 30 + "Paris" + " the" * 40 + " of" * 30
    (found,) = tagger.tag(text)
    assert found.text == "Paris" + " the" * 40


def test_a_megabyte(tmp_path):
    tagger = made(tmp_path, {"paris": "B-loc"}, seq_len=128, stride=32)
    text = "the king of the river " * 46_000 + "Paris"
    assert len(text) > 1_000_000
    (found,) = tagger.tag(text)
    assert (found.text, found.end) == ("Paris", len(text))


def test_words_of_several_tokens_by_each_strategy(tmp_path):
    tiny.write_tokenizer(tmp_path)
    encoded = Tokenizer.from_folder(tmp_path).encode("kingly")
    assert len(encoded) == 3
    scores = np.array([[0.6, 0.4, 0, 0, 0], [0, 0, 0, 0.7, 0.3], [0.1, 0.9, 0, 0, 0]])
    by = {
        how: [(e.text, e.label, round(e.score, 3)) for e in
              entities("kingly", encoded, scores, LABELS, how)]
        for how in AGGREGATIONS
    }  # fmt: skip
    assert by == {
        "none": [("l", "B-loc", 0.7), ("y", "B-per", 0.9)],
        "simple": [("l", "loc", 0.7), ("y", "per", 0.9)],
        "first": [],
        "max": [("kingly", "per", 0.9)],
        "average": [("kingly", "per", 0.433)],
    }


def test_marks_belong_to_their_letter(tmp_path):
    tagger = made(tmp_path, {"paris": "B-loc"})
    (found,) = tagger.tag("in Pari\u0301s\u0302 now")
    assert found.text == "Pari\u0301s\u0302"


def test_no_tokens_no_entities():
    nothing = Encoded(np.empty(0, np.int32), np.empty((0, 2), np.int32), np.empty(0, np.int32))
    assert entities("", nothing, np.empty((0, 5)), LABELS, "first") == []


def test_words_without_tokens_are_outside(tmp_path):
    tagger = made(tmp_path, {"paris": "B-loc"})
    assert tagger.tag_words(["Paris", "\u0001", "Paris"]) == ["B-loc", "O", "B-loc"]
    assert tagger.tag_words(["\u0001"]) == ["O"]
    assert tagger.tag("\u0001") == []


@settings(max_examples=30)
@given(st.text(min_size=1).filter(str.strip))
def test_any_text(tagger, text):
    for entity in tagger.tag(text):
        assert text[entity.start : entity.end] == entity.text != ""


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda t: t.tag(""), EmptyInputError, "the text is empty"),
        (lambda t: t.tag(" \n"), EmptyInputError, "the text is empty"),
        (lambda t: t.tag_many(["a", ""]), EmptyInputError, "text 1 is empty"),
        (lambda t: t.tag(7), InputError, "is a int, not a string"),
        (lambda t: t.tag("a", aggregation="last"), InputError, "'last' is none of none, simple"),
        (lambda t: t.tag_words([]), EmptyInputError, "the sentence is empty"),
        (lambda t: t.tag_words("a b"), InputError, "is a string, not a list of words"),
        (lambda t: t.tag_words_many([["a"], ["b", ""]]), EmptyInputError, "sentence 1 holds an"),
        (lambda t: t.tag_words(["a", 3]), InputError, "holds 3, not a string"),
    ],
)
def test_bad_input(tmp_path, call, error, says):
    with pytest.raises(error, match=says):
        call(made(tmp_path, {}))


def test_options(tmp_path):
    tiny.write_model(tmp_path, head="tagging", labels=LABELS)
    opened = Tagger.from_options(tmp_path, threads=1)
    assert (opened.options.seq_len, opened.options.labels) == (128, LABELS)
    write_manifest(tmp_path, Manifest(task="token-classification", seq_len=64, stride=16))
    opened = Tagger.from_options(tmp_path, threads=1, aggregation="max")
    assert opened.options == TagOptions(labels=LABELS, seq_len=64, stride=16, aggregation="max")
    with pytest.raises(InputError, match="at least 3"):
        Tagger.from_options(tmp_path, seq_len=2)
    with pytest.raises(InputError, match="stride must be at least 0, not -1"):
        Tagger.from_options(tmp_path, stride=-1)


def test_labels_without_names_are_numbered(tmp_path):
    tiny.write_model(tmp_path, head="tagging")
    tagger = Tagger.from_options(tmp_path, threads=1)
    assert tagger.options.labels == ("LABEL_0", "LABEL_1")
    assert len(tagger.tag_words(["the", "\u0001"])) == 2


def test_labels_that_do_not_fit(tmp_path):
    tiny.write_tokenizer(tmp_path)
    tagger = Tagger(Tokenizer.from_folder(tmp_path), Said({}), TagOptions(labels=LABELS[:3]))
    with pytest.raises(ModelError, match="gives 5 scores a token and names 3 labels"):
        tagger.tag("the king")
