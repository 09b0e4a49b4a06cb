"""A vocabulary that is pruned to a corpus: what stays, and what it can still spell."""

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from potstill.compression.vocabulary import kept_pieces, trim_tokenizer, trim_weights
from potstill.errors import RecipeError
from potstill.text.opening import read_vocabulary, wordpiece


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    tiny.write_tokenizer(folder)
    return wordpiece(read_vocabulary(folder / "vocab.txt"), {})


def counts_of(backend, texts):
    ids = [i for text in texts for i in backend.encode(text).ids]
    return np.bincount(ids, minlength=backend.get_vocab_size())


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([*tiny.WORDS, "broncoseine", "x1y", "thequeen"]), max_size=8))
def test_a_pruned_vocabulary_spells_every_word_the_full_one_does(tokenizer, words):
    values = json.loads(tokenizer.to_str())
    kept = kept_pieces(values, counts_of(tokenizer, ["paris won the game"]))
    small = tokenizers.Tokenizer.from_str(json.dumps(trim_tokenizer(values, kept)))
    text = " ".join(words)
    before, after = tokenizer.encode(text), small.encode(text)
    assert "[UNK]" not in after.tokens
    assert "".join(t.removeprefix("##") for t in after.tokens) == text.replace(" ", "")
    assert len(after) >= len(before)


def test_pruned_pieces_keep_their_rows(tokenizer):
    values = json.loads(tokenizer.to_str())
    kept = kept_pieces(values, counts_of(tokenizer, ["paris won the game"]))
    small = tokenizers.Tokenizer.from_str(json.dumps(trim_tokenizer(values, kept)))
    config = tiny.config()
    weights = tiny.weights(config)
    fitted, trimmed = trim_weights(config, weights, kept)
    assert fitted.vocab_size == small.get_vocab_size() == len(kept) < config.vocab_size
    table = trimmed["embeddings.word.weight"]
    for token in ("[CLS]", "[SEP]", "[PAD]", "paris", "won", "##a", "?"):
        row = weights["embeddings.word.weight"][tokenizer.token_to_id(token)]
        assert np.array_equal(table[small.token_to_id(token)], row)
    assert small.token_to_id("london") is None  # not in the corpus
    # The same text, the same tokens: the corpus itself is cut as before.
    text = "Paris won the game"
    assert small.encode(text).tokens == tokenizer.encode(text).tokens


def test_a_limit_keeps_the_commonest_pieces_when_pruned(tokenizer):
    values = json.loads(tokenizer.to_str())
    counts = counts_of(tokenizer, ["paris paris won the the the game"])
    least = len(kept_pieces(values, np.zeros_like(counts)))
    kept = kept_pieces(values, counts, least + 2)
    tokens = {tokenizer.id_to_token(i) for i in kept}
    assert len(kept) == least + 2 and {"the", "paris"} <= tokens and "won" not in tokens
    with pytest.raises(RecipeError, match=f"is less than the {least} pieces that have to stay"):
        kept_pieces(values, counts, least - 1)


def test_an_ending_that_spells_many_rare_words_stays_rather_than_one_of_them():
    letters = sorted(set("thehikingbv"))
    words = ["the", "hiking", "biking", "viking", "##iking"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{x}" for x in letters), *words]
    backend = wordpiece({piece: number for number, piece in enumerate(pieces)}, {})
    counts = np.zeros(len(pieces), np.int64)
    for word, times in {"the": 3, "hiking": 2, "biking": 2, "viking": 2, "##iking": 1}.items():
        counts[backend.token_to_id(word)] = times
    values = json.loads(backend.to_str())
    least = len(kept_pieces(values, np.zeros_like(counts)))
    kept = kept_pieces(values, counts, least + 2)
    small = tokenizers.Tokenizer.from_str(json.dumps(trim_tokenizer(values, kept)))
    assert small.encode("the viking").tokens == ["the", "v", "##iking"]


def test_only_wordpiece_can_be_pruned():
    values = json.loads(tiny.byte_level().to_str())
    with pytest.raises(RecipeError, match="for WordPiece vocabularies, not for BPE"):
        kept_pieces(values, np.zeros(9, np.int64))


@pytest.mark.parametrize(
    "processor",
    [
        tokenizers.processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2)),
        tokenizers.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        ),
    ],
    ids=["bert", "template"],
)
def test_special_tokens_of_a_pruned_vocabulary(processor):
    pieces = ["[PAD]", "[unused0]", "[CLS]", "[SEP]", "[UNK]", *"ab", "##a", "##b", "ab"]
    backend = wordpiece({token: i for i, token in enumerate(pieces)}, {})
    backend.post_processor = processor
    values = json.loads(backend.to_str())
    kept = kept_pieces(values, np.zeros(len(pieces), np.int64))
    small = tokenizers.Tokenizer.from_str(json.dumps(trim_tokenizer(values, kept)))
    assert "ab" not in small.get_vocab()
    found = small.encode("ab")
    assert found.tokens == ["[CLS]", "a", "##b", "[SEP]"]
    assert found.ids == [small.token_to_id(token) for token in found.tokens]
