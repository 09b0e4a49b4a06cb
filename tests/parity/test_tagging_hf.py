"""Entities by each strategy against transformers' own pipeline, and words against its alignment."""

from __future__ import annotations

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from potstill.runtime.entities import AGGREGATIONS
from potstill.runtime.tagging import Tagger

LABELS = {
    "iob2": ("O", "B-per", "I-per", "B-loc", "I-loc"),
    "plain": ("O", "per", "loc", "org"),
}
WORDS = st.sampled_from([*tiny.WORDS[:30], "Denverly", "U.S.", "won-the", "kingly", "x1", "§", "?"])
TEXTS = st.lists(WORDS, min_size=1, max_size=25)


@pytest.fixture(scope="module", params=LABELS)
def both(request, tmp_path_factory):
    """Our tagger and their model and tokenizer, from one folder."""
    folder = tmp_path_factory.mktemp(request.param)
    tiny.write_model(folder, "distilbert", head="tagging", labels=LABELS[request.param], seed=2)
    model = transformers.AutoModelForTokenClassification.from_pretrained(folder)
    tokenizer = transformers.BertTokenizer.from_pretrained(folder)
    return Tagger.from_options(folder, threads=1), model.eval(), tokenizer


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@settings(max_examples=15)
@given(words=TEXTS)
def test_entities(both, aggregation, words):
    tagger, model, tokenizer = both
    pipeline = transformers.TokenClassificationPipeline(
        model=model, tokenizer=tokenizer, aggregation_strategy=aggregation
    )
    text = " ".join(words)
    ours, theirs = tagger.tag(text, aggregation=aggregation), pipeline(text)
    key = "entity" if aggregation == "none" else "entity_group"
    assert [(e.label, e.start, e.end) for e in ours] == [
        (one[key], one["start"], one["end"]) for one in theirs
    ]
    assert [e.score for e in ours] == pytest.approx([float(o["score"]) for o in theirs], abs=1e-5)


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
