"""Entities by each strategy against transformers' own pipeline, and words against its alignment."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.pipelines.token_classification import AggregationStrategy

import tiny
from potstill.runtime.entities import AGGREGATIONS, entities
from potstill.runtime.tagging import Tagger

LABELS = {
    "iob2": ("O", "B-per", "I-per", "B-loc", "I-loc"),
    "plain": ("O", "per", "loc", "org"),
}
WORDS = st.sampled_from([*tiny.WORDS[:30], "Denverly", "U.S.", "won-the", "kingly", "x1", "§", "?"])
TEXTS = st.lists(WORDS, min_size=1, max_size=25)


def opened(folder, model_type, tokenizer, labels):
    """Our tagger and their model and tokenizer, from one folder."""
    tiny.write_model(folder, model_type, head="tagging", labels=labels, seed=2)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    theirs = tokenizer.from_pretrained(folder)
    return Tagger.from_options(folder, threads=1), model.eval(), theirs


@pytest.fixture(scope="module", params=[*LABELS, "bert"])
def both(request, tmp_path_factory):
    labels = LABELS.get(request.param, LABELS["iob2"])
    kind = "bert" if request.param == "bert" else "distilbert"
    return opened(tmp_path_factory.mktemp("m"), kind, transformers.BertTokenizer, labels)


@pytest.fixture(scope="module")
def roberta(tmp_path_factory):
    folder = tmp_path_factory.mktemp("roberta")
    return opened(folder, "roberta", transformers.RobertaTokenizerFast, LABELS["iob2"])


def same(found, aggregation, text):
    tagger, model, tokenizer = found
    pipeline = transformers.TokenClassificationPipeline(
        model=model, tokenizer=tokenizer, aggregation_strategy=aggregation
    )
    ours, theirs = tagger.tag(text, aggregation=aggregation), pipeline(text)
    theirs = [one for one in theirs if one["start"] < one["end"]]  # of a token that is a blank
    key = "entity" if aggregation == "none" else "entity_group"
    assert [(e.label, e.start, e.end) for e in ours] == [
        (one[key], one["start"], one["end"]) for one in theirs
    ]
    assert [e.score for e in ours] == pytest.approx([float(o["score"]) for o in theirs], abs=1e-5)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@settings(max_examples=15)
@given(words=TEXTS)
def test_entities(both, aggregation, words):
    same(both, aggregation, " ".join(words))


@pytest.mark.parametrize("aggregation", ["none", "simple"])
@settings(max_examples=8)
@given(words=TEXTS)
def test_entities_of_byte_level_tokens(roberta, aggregation, words):
    same(roberta, aggregation, " ".join(words))


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
@pytest.mark.parametrize("aggregation", ["first", "max", "average"])
@settings(max_examples=8)
@given(data=st.data())
def test_entities_of_words_of_byte_level_tokens(roberta, aggregation, data):
    """Of letters alone; and where a blank is a token of its own, as it hardly ever is in a real
    vocabulary, theirs takes that for a word."""
    tokenizer = roberta[0].tokenizer
    whole = [
        word
        for word in tiny.WORDS
        if word.isalpha() and "Ġ" not in tokenizer.tokens(tokenizer.encode(f"a {word}").ids)
    ]
    assert len(whole) > 5
    words = data.draw(st.lists(st.sampled_from(whole), min_size=1, max_size=25))
    same(roberta, aggregation, " ".join(words))


@pytest.mark.filterwarnings("ignore:Tokenizer does not support real words")
@pytest.mark.parametrize("aggregation", ["first", "max"])
def test_a_stop_is_no_part_of_a_name(roberta, aggregation):
    """What differs: theirs takes all that stands between blanks for one word."""
    tagger, model, tokenizer = roberta
    text = "king won in Denver."
    encoded = tagger.tokenizer.encode(text)
    labels = LABELS["iob2"]
    at = text.index("Denver")
    named = (encoded.offsets[:, 1] > at) & (encoded.offsets[:, 1] <= at + 6)
    scores = np.zeros((len(encoded), len(labels)))
    scores[np.arange(len(encoded)), np.where(named, labels.index("B-loc"), 0)] = 0.9
    scores[named & (np.cumsum(named) > 1)] = np.eye(len(labels))[labels.index("I-loc")] * 0.8
    ours = entities(text, encoded, scores, labels, aggregation)
    pipeline = transformers.TokenClassificationPipeline(model=model, tokenizer=tokenizer)
    rows = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    assert rows["input_ids"] == encoded.ids.tolist()
    strategy = AggregationStrategy[aggregation.upper()]
    shown = pipeline.gather_pre_entities(
        text, rows["input_ids"], scores, rows["offset_mapping"], [0] * len(scores), strategy
    )
    theirs = [
        text[one["start"] : one["end"]]
        for one in pipeline.aggregate(shown, strategy)
        if one["entity_group"] == "loc"
    ]
    assert [(one.text, one.label) for one in ours] == [("Denver", "loc")]
    assert theirs == ["Denver."]


@settings(max_examples=15)
@given(words=TEXTS)
def test_words(both, words):
    """The label of a word's first token, as examples of token classification read it."""
    tagger, model, tokenizer = both
    rows = tokenizer(words, is_split_into_words=True, return_tensors="pt")
    with torch.no_grad():
        best = model(rows["input_ids"], rows["attention_mask"]).logits[0].argmax(-1).tolist()
    theirs: dict[int, str] = {}
    for position, word in enumerate(rows.word_ids(0)):
        if word is not None:
            theirs.setdefault(word, model.config.id2label[best[position]])
    assert tagger.tag_words(words) == [theirs[i] for i in range(len(words))]
