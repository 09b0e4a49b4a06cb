"""Encoders that are a description: each with every head against Hugging Face's, and its files."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

import potstill
import tiny
from logits import batch as windows
from logits import largest
from potstill.bundle.heads import HEADS
from potstill.bundle.weights import to_hf
from potstill.export.bundle import export_bundle
from potstill.runtime.session import OnnxSession

TOLERANCE = {"atol": 1e-5, "rtol": 0}
SHAPE = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 514,
}
UNIGRAM = {"vocab_size": tiny.UNIGRAM_SIZE, "type_vocab_size": 1, "layer_norm_eps": 1e-5}
MODERN = {
    "vocab_size": tiny.BYTE_LEVEL_SIZE,
    "local_attention": 8,
    "max_position_embeddings": 2048,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "cls_token_id": 0,
    "eos_token_id": 2,
    "sep_token_id": 2,
}
OWN = {"vocab_size": tiny.UNIGRAM_SIZE, "relative_attention": True}
DEBERTA = {
    **SHAPE,
    **OWN,
    "position_buckets": 64,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "position_biased_input": False,
}
ENCODERS = {
    "XLMRoberta": {**SHAPE, **UNIGRAM},
    "Camembert": {**SHAPE, **UNIGRAM},
    "Albert": {**SHAPE, "vocab_size": tiny.UNIGRAM_SIZE, "embedding_size": 16},
    "Albert-wide": {**SHAPE, "vocab_size": tiny.UNIGRAM_SIZE, "embedding_size": 32},
    "DebertaV2": DEBERTA,
    "DebertaV2-own": {
        **SHAPE,
        **OWN,
        "embedding_size": 16,
        "pos_att_type": ["c2p", "p2c"],
        "max_relative_positions": 40,
        "type_vocab_size": 2,
    },
    "DebertaV2-plain": {
        **SHAPE,
        "relative_attention": False,
        "pos_att_type": "c2p",
        "type_vocab_size": 1,
    },
    "DebertaV2-queries": {**DEBERTA, "pos_att_type": "p2c", "share_att_key": False},
    "ModernBert": {**SHAPE, **MODERN},
    "ModernBert-mean": {
        **SHAPE,
        **MODERN,
        "classifier_pooling": "mean",
        "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
        "rope_parameters": {"full_attention": {"rope_theta": 500.0, "rope_type": "default"}},
    },
}
ENDINGS = {
    "Model": "bare",
    "ForQuestionAnswering": "qa",
    "ForMaskedLM": "mlm",
    "ForSequenceClassification": "classification",
    "ForTokenClassification": "tagging",
    "ForMultipleChoice": "choice",
}
PAIRS = [(encoder, ending) for encoder in ENCODERS for ending in ENDINGS]
WITH_A_HEAD = [(encoder, ending) for encoder, ending in PAIRS if ending != "Model"]


def theirs_of(encoder, ending, **options):
    torch.manual_seed(0)
    shape = {**ENCODERS[encoder], **({} if ending == "ForQuestionAnswering" else {"num_labels": 3})}
    config = getattr(transformers, f"{encoder.split('-')[0]}Config")(**{**shape, **options})
    model = getattr(transformers, encoder.split("-")[0] + ending)(config)
    # Their initial weights are so small that everything would look alike.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def make(encoder, ending, folder, **options):
    """Their model and ours, with the same random weights."""
    theirs = theirs_of(encoder, ending, **options)
    theirs.save_pretrained(folder)
    return theirs, getattr(potstill, encoder.split("-")[0] + ending).from_pretrained(folder)


def inputs(ours, ending, *, ragged=True, seq=20):
    torch.manual_seed(1)
    ids = torch.randint(5, 120, (4, seq))
    mask = torch.ones(4, seq, dtype=torch.long)
    if ragged:
        for row, length in enumerate((seq, 13, 5, 1)):
            mask[row, length:] = 0
            ids[row, length:] = ours.config.pad_id
    batch = {"input_ids": ids, "attention_mask": mask}
    if ours.config.n_token_types == 2:
        batch["token_type_ids"] = torch.randint(0, 2, (4, seq))
    if ending == "ForMultipleChoice":  # two questions of two choices
        batch = {name: rows.view(2, 2, seq) for name, rows in batch.items()}
    return batch


def gold(ending):
    torch.manual_seed(2)
    if ending == "ForQuestionAnswering":
        ends = torch.tensor([5, 2, 30, 0])  # 30 lies outside the row
        return {"start_positions": torch.tensor([3, 2, 30, 0]), "end_positions": ends}
    if ending in ("ForTokenClassification", "ForMaskedLM"):
        labels = torch.randint(0, 3, (4, 20))
        return {"labels": torch.where(torch.rand(4, 20) < 0.4, -100, labels)}
    choice = ending == "ForMultipleChoice"
    return {"labels": torch.tensor([1, 0]) if choice else torch.tensor([2, 0, 1, 1])}


@pytest.mark.parametrize(("ragged", "seq"), [(False, 20), (True, 20), (True, 512)])
@pytest.mark.parametrize(("encoder", "ending"), PAIRS)
def test_forward(encoder, ending, ragged, seq, tmp_path):
    theirs, ours = make(encoder, ending, tmp_path)
    batch = inputs(ours, ending, ragged=ragged, seq=seq)
    with torch.no_grad():
        expected = theirs(**batch, output_hidden_states=True)
        found = ours(**batch, output_hidden_states=True)
    assert list(found.keys()) == list(expected.keys())
    real = batch["attention_mask"].flatten(0, -2).bool()
    for name in found.keys():
        if name == "hidden_states":
            assert len(found[name]) == len(expected[name])
            for a, b in zip(found[name], expected[name], strict=True):
                torch.testing.assert_close(a[real], b[real], **TOLERANCE)
        elif found[name].shape[:2] == real.shape:
            torch.testing.assert_close(found[name][real], expected[name][real], **TOLERANCE)
        else:
            torch.testing.assert_close(found[name], expected[name], **TOLERANCE)
    if not ragged:
        del batch["attention_mask"]
        with torch.no_grad():
            torch.testing.assert_close(ours(**batch)[0], found[0], **TOLERANCE)


@pytest.mark.parametrize("encoder", ["ModernBert", "ModernBert-mean"])
def test_two_thousand_tokens(encoder, tmp_path):
    theirs, ours = make(encoder, "ForQuestionAnswering", tmp_path)
    batch = {name: rows[:2] for name, rows in inputs(ours, "Model", seq=2048).items()}
    with torch.no_grad():
        expected, found = theirs(**batch).start_logits, ours(**batch).start_logits
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(found[real], expected[real], **TOLERANCE)


@pytest.mark.parametrize(("encoder", "ending"), WITH_A_HEAD)
def test_loss_and_gradients(encoder, ending, tmp_path):
    theirs, ours = make(encoder, ending, tmp_path)
    batch = {**inputs(ours, ending), **gold(ending)}
    expected, found = theirs(**batch).loss, ours(**batch).loss
    torch.testing.assert_close(found, expected, **TOLERANCE)
    expected.backward()
    found.backward()
    grads = {n: p.grad.numpy() for n, p in ours._named() if p.grad is not None}
    mine = to_hf(grads, ours.config, ours.head)
    named = theirs.named_parameters(remove_duplicate=False)  # word tables have two names
    wanted = {name: p for name, p in named if p.grad is not None}
    covered = {id(wanted[name]) for name in mine}
    assert {id(p) for p in wanted.values()} == covered and len(mine) > 10
    for name, gradient in mine.items():
        expected = wanted[name].grad.numpy()
        np.testing.assert_allclose(gradient, expected, atol=1e-5, rtol=0, err_msg=name)


@pytest.mark.parametrize(("encoder", "ending"), PAIRS)
def test_what_we_save_they_load(encoder, ending, tmp_path):
    theirs, ours = make(encoder, ending, tmp_path / "model")
    ours.save_pretrained(tmp_path / "saved")
    again, loading = type(theirs).from_pretrained(tmp_path / "saved", output_loading_info=True)
    assert not loading["missing_keys"] and not loading["unexpected_keys"]
    auto = getattr(potstill, "Auto" + ("Model" if ending == "Model" else f"Model{ending}"))
    mine = auto.from_pretrained(tmp_path / "saved")
    assert type(mine) is type(ours)
    batch = inputs(ours, ending)
    with torch.no_grad():
        assert torch.equal(again.eval()(**batch)[0], theirs(**batch)[0])
        assert torch.equal(mine(**batch)[0], ours(**batch)[0])


@pytest.mark.parametrize(("encoder", "ending"), WITH_A_HEAD)
def test_their_folder_exported_by_us(encoder, ending, tmp_path):
    """As float32 it computes the same; as int8 nearly; as a folder it is theirs again."""
    theirs = theirs_of(encoder, ending)
    theirs.save_pretrained(tmp_path / "theirs")
    tiny.write_tokenizer_of(tmp_path / "theirs", theirs.config.model_type)
    head = HEADS[ENDINGS[ending]]
    export_bundle(tmp_path / "theirs", tmp_path / "ours", ["hf", "onnx", "int8"])
    config = potstill.AutoConfig.from_pretrained(tmp_path / "ours")
    again = type(theirs).from_pretrained(tmp_path / "ours").eval()
    session = OnnxSession(tmp_path / "ours" / "onnx" / "model.onnx", outputs=head.outputs)
    for lengths in ((9, 1, 30), (150,)):
        rows = windows(config, lengths)
        names = ["input_ids", "attention_mask"] + ["token_type_ids"] * (config.n_token_types > 1)
        tensors = {name: torch.from_numpy(getattr(rows, name)) for name in names}
        if ending == "ForMultipleChoice":
            tensors = {name: values.unsqueeze(1) for name, values in tensors.items()}
        with torch.no_grad():
            said, repeated = theirs(**tensors), again(**tensors)
        wanted = tuple(getattr(said, name).numpy() for name in head.outputs)
        scale = max(1, max(np.abs(one).max() for one in wanted))
        assert largest(session.run(rows), wanted, rows, by_token=head.by_token) < 1e-5 * scale
        for name in head.outputs:
            # The weights are the same; where they lie in memory turns the last bit of a sum.
            again_said = getattr(repeated, name)
            torch.testing.assert_close(again_said, getattr(said, name), atol=1e-6 * scale, rtol=0)
