"""A vocabulary that is pruned to a corpus: what stays, and what it can still spell."""

import json

import numpy as np
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.encoders.table import ENCODERS
from potstill.bundle.weights import check_weights, expected_shapes, read_weights
from potstill.compression.vocabulary import kept_pieces, trim_tokenizer, trim_weights
from potstill.errors import RecipeError
from potstill.export.reference import forward
from potstill.text.opening import read_vocabulary, wordpiece
from potstill.text.tokenizer import Tokenizer


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


SENTENCE = "Denver Broncos won the game."


def unigram_of(folder, model_type, **options):
    tiny.write_unigram(folder, f"{ENCODERS[model_type].prefix}Tokenizer", **options)
    return tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("model_type", ["xlm-roberta", "albert", "deberta-v2"])
def test_a_trimmed_unigram_computes_what_it_did(tmp_path, model_type):
    folder = tiny.write_model(tmp_path / "whole", model_type)
    config = read_config(folder)
    weights = read_weights(folder, config)
    whole = Tokenizer.from_folder(folder)
    values = json.loads((folder / "tokenizer.json").read_text())
    ids = whole.encode(SENTENCE).ids
    counts = np.bincount(ids, minlength=whole.vocab_size)
    kept = kept_pieces(values, counts)
    small = tmp_path / "small"
    tiny.write_unigram(small, f"{ENCODERS[model_type].prefix}Tokenizer")
    (small / "tokenizer.json").write_text(json.dumps(trim_tokenizer(values, kept)))
    fitted, trimmed = trim_weights(config, weights, kept)
    again = Tokenizer.from_folder(small)
    assert again.vocab_size == fitted.vocab_size == len(kept) < config.vocab_size
    new = again.encode(SENTENCE).ids
    assert again.tokens(new) == whole.tokens(ids) and kept == sorted(set(kept))
    assert [kept[i] for i in new] == ids.tolist()
    assert again.pad_id == fitted.pad_id and again.unk_id == kept.index(whole.unk_id)

    def row(tokenizer, inner):
        return np.array([[tokenizer.cls_id, *inner, tokenizer.sep_id]])

    masks = np.ones((1, len(ids) + 2), np.int64)
    before = forward(config, weights, row(whole, ids), masks, 0 * masks)
    after = forward(fitted, trimmed, row(again, new), masks, 0 * masks)
    for a, b in zip(before, after, strict=True):
        np.testing.assert_array_equal(a, b)
    # What is not in the corpus is spelled by its letters, and none is unknown that was not.
    for text in ("the queen wrote a small red book", "Thames 1999 ñ"):
        was, found = whole.encode(text), again.encode(text)
        unknown = (was.ids == whole.unk_id).sum(), (found.ids == again.unk_id).sum()
        assert unknown[0] == unknown[1] and len(found) >= len(was)


def test_a_unigram_keeps_what_it_cuts_by(tmp_path):
    backend = unigram_of(tmp_path, "xlm-roberta", spells=True)
    values = json.loads(backend.to_str())
    kept = kept_pieces(values, np.zeros(backend.get_vocab_size(), np.int64))
    pieces = [piece for piece, _ in values["model"]["vocab"]]
    assert {pieces.index(f"<0x{byte:02X}>") for byte in range(256)} <= set(kept)
    small = tokenizers.Tokenizer.from_str(json.dumps(trim_tokenizer(values, kept)))
    assert small.encode("中ñ").tokens == backend.encode("中ñ").tokens
    limit = len(kept) + 3
    counts = counts_of(backend, [SENTENCE] * 4 + ["the small river"])
    assert len(kept_pieces(values, counts, limit)) == limit


def test_positions_stay_where_padding_gets_another_number():
    """CamemBERT's vocabulary begins with a token that nothing needs."""
    config = tiny.config("camembert", extra={"eos_token_id": 6, "bos_token_id": 0})
    weights = tiny.weights(config)
    fitted, trimmed = trim_weights(config, weights, [1, 5, 6])
    assert (fitted.pad_id, fitted.position_offset) == (0, 1)
    assert (fitted.extra["eos_token_id"], fitted.extra["bos_token_id"]) == (2, None)
    check_weights(trimmed, expected_shapes(fitted), where="trimmed")
    name = "embeddings.position.weight"
    assert np.array_equal(trimmed[name][1:], weights[name][2:])


def test_only_wordpiece_and_unigram_can_be_pruned():
    values = json.loads(tiny.byte_level().to_str())
    with pytest.raises(RecipeError, match="for WordPiece and Unigram vocabularies, not for BPE"):
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
