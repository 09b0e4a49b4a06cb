from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
import transformers

import tiny
from potstill.bundle.atomic import write_json
from potstill.bundle.config import read_config
from potstill.bundle.heads import LOGITS
from potstill.bundle.manifest import Manifest, write_manifest
from potstill.bundle.weights import read_weights
from potstill.errors import EmptyInputError, InputError, ModelError
from potstill.export.reference import forward
from potstill.models.named import BertForMaskedLM
from potstill.runtime.lm import Filler, FillOptions
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer

pytestmark = pytest.mark.usefixtures("own_cache")

TEXT = "The old king built a [MASK] by the river."


@pytest.fixture
def folder(tmp_path):
    return tiny.write_model(tmp_path / "model", head="mlm")


@pytest.fixture
def filler(folder):
    return Filler.from_options(folder, threads=1)


def test_scores_are_those_of_the_model(folder, filler) -> None:
    config = read_config(folder)
    tokenizer = filler.tokenizer
    inner = tokenizer.encode(TEXT).ids
    ids = np.array([[tokenizer.cls_id, *inner, tokenizer.sep_id]])
    weights = read_weights(folder, config, head="mlm")
    (logits,) = forward(config, weights, ids, np.ones_like(ids), np.zeros_like(ids), "mlm")
    powers = np.exp(logits[0, ids[0] == tokenizer.mask_id][0])
    wanted = powers / powers.sum()
    (fills,) = filler.fill(TEXT, top_k=len(tiny.VOCABULARY))
    assert [fill.token_id for fill in fills] == list(np.argsort(-wanted, kind="stable"))
    assert [fill.score for fill in fills] == pytest.approx(sorted(wanted, reverse=True), abs=1e-5)
    assert sum(fill.score for fill in fills) == pytest.approx(1)


def test_sequences_keep_the_callers_own_text(filler) -> None:
    for fill in filler.fill("The  OLD [MASK] won!", top_k=200)[0]:
        if fill.token.startswith("##"):
            assert fill.sequence == f"The  OLD{fill.token[2:]} won!"
        else:
            assert fill.sequence == f"The  OLD {fill.token} won!"


def test_several_masks(filler) -> None:
    found = filler.fill("the [MASK] won the [MASK].", top_k=3)
    assert [len(fills) for fills in found] == [3, 3]
    assert all(fill.sequence.startswith("the [MASK] won the ") for fill in found[1])
    assert all(fill.sequence.endswith("won the [MASK].") for fill in found[0])


def test_many_texts_are_as_each_alone(filler) -> None:
    texts = [f"the [MASK] {'of the city ' * n}[MASK]." for n in (1, 9, 0, 4)] * 4
    together = filler.fill_many(texts)
    for text, found in zip(texts, together, strict=True):
        for one, other in zip(found, filler.fill(text), strict=True):
            assert [fill.token for fill in one] == [fill.token for fill in other]
            scores = [fill.score for fill in other]
            assert [fill.score for fill in one] == pytest.approx(scores, abs=1e-6)


def test_targets(filler) -> None:
    every = {fill.token: fill.score for fill in filler.fill(TEXT, top_k=500)[0]}
    (fills,) = filler.fill(TEXT, targets=["tower", "Bridge", "tower"])
    assert {fill.token for fill in fills} == {"tower", "bridge"}
    assert fills[0].score == pytest.approx(every[fills[0].token])
    assert [fill.token for fill in filler.fill(TEXT, targets="tower")[0]] == ["tower"]
    for targets, message in (
        ("zebras", "'zebras' is 6 tokens"),
        ("", "'' is 0 tokens"),
        ([], "empty list"),
        ([3], "must be a string"),
    ):
        with pytest.raises(InputError, match=message):
            filler.fill(TEXT, targets=targets)


@pytest.mark.parametrize("text", ["the king won.", "mask", "the <mask> won"])
def test_a_text_without_a_mask(filler, text) -> None:
    with pytest.raises(InputError, match=r"write \[MASK\] where a word is missing"):
        filler.fill(text)


def test_bad_input(filler) -> None:
    for text in ("", "  \n"):
        with pytest.raises(EmptyInputError):
            filler.fill(text)
    with pytest.raises(InputError, match="is a int, not a string"):
        filler.fill(3)
    with pytest.raises(InputError, match="top_k"):
        filler.fill(TEXT, top_k=0)


def test_a_long_text_is_read_around_each_mask(filler) -> None:
    far = "the old game of the new city was won by the team. " * 2000
    middle, end = filler.fill(far + TEXT + " " + far + "it was [MASK]", top_k=3)
    near = filler.using()
    (alone,) = near.fill((far + TEXT + " " + far)[len(far) - 800 : len(far) + 800], top_k=3)
    assert [fill.token for fill in middle] == [fill.token for fill in alone]
    assert end[0].sequence.startswith(far) and end[0].sequence.endswith(f"was {end[0].token}")


def test_positions_that_training_never_saw_are_not_read(folder) -> None:
    assert Filler.from_options(folder).options.seq_len == 128
    write_manifest(folder, Manifest(task="masked-lm", seq_len=32))
    filler = Filler.from_options(folder)
    assert filler.options.seq_len == 32
    assert filler.fill("the king won the game " * 20 + "[MASK]")


def test_a_vocabulary_without_a_mask(folder) -> None:
    (folder / "vocab.txt").write_text("\n".join(t for t in tiny.VOCABULARY if t != "[MASK]"))
    with pytest.raises(ModelError, match="no mask token"):
        Filler.from_options(folder)


def test_roberta(tmp_path) -> None:
    folder = tiny.write_model(tmp_path / "model", "roberta", head="mlm")
    filler = Filler.from_options(folder)
    assert filler.mask == "<mask>"
    (fills,) = filler.fill("The king won the <mask>.", top_k=300)
    words = {fill.token: fill.sequence for fill in fills}
    assert words[" the"] == "The king won the the."
    # As RoBERTa's own files have it, the mask takes the space before it, as a word would.
    tiny.write_byte_level(folder, pieces=True)
    (folder / "tokenizer.json").unlink()
    filler = Filler.from_options(folder)
    (fills,) = filler.fill("The king won the <mask>.", top_k=300)
    words = {fill.token: fill.sequence for fill in fills}
    assert words[" the"] == "The king won the the."
    assert words["s"] == "The king won thes."
    (fills,) = filler.fill("The <mask>.", targets=["the", "s"])
    assert {fill.token for fill in fills} == {" the", "s"}


def test_distilbert_and_a_torch_model(tmp_path, folder) -> None:
    distil = tiny.write_model(tmp_path / "distil", "distilbert", head="mlm")
    assert Filler.from_options(distil).fill(TEXT)
    session = TorchSession(BertForMaskedLM.from_pretrained(folder), LOGITS)
    found = Filler(Tokenizer.from_folder(folder), session, FillOptions(seq_len=128)).fill(TEXT)
    for one, other in zip(found[0], Filler.from_options(folder).fill(TEXT)[0], strict=True):
        assert (one.token, one.sequence) == (other.token, other.sequence)
        assert one.score == pytest.approx(other.score, abs=1e-6)


def test_a_model_that_transformers_saved(tmp_path) -> None:
    """With BERT's own name of the head in its config, and no manifest."""
    tiny.write_tokenizer(tmp_path)
    torch.manual_seed(0)
    config = transformers.BertConfig(
        **{k: v for k, v in tiny.config().to_hf().items() if k != "model_type"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        transformers.BertForPreTraining(config).save_pretrained(tmp_path)
    assert Filler.from_options(tmp_path).fill(TEXT)


def test_a_vocabulary_that_is_smaller_than_the_embeddings(tmp_path) -> None:
    size = len(tiny.VOCABULARY)
    folder = tiny.write_model(tmp_path / "model", head="mlm", vocab_size=size + 40)
    (fills,) = Filler.from_options(folder).fill(TEXT, top_k=1000)
    assert len(fills) == size


def test_an_own_file_of_another_kind(folder) -> None:
    (folder / "onnx").mkdir()
    (folder / "onnx" / "model.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="damaged"):
        Filler.from_options(folder)
    write_json(folder / "config.json", {"model_type": "bert", "vocab_size": -1})
    with pytest.raises(ModelError):
        Filler.from_options(folder)
