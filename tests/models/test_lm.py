"""Masked language models alone: folders in and out, chosen positions, what is refused."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

import tiny
from potstill.bundle.config import read_config
from potstill.bundle.weights import read_weights
from potstill.errors import WeightsError
from potstill.models.lm import MaskedLM
from potstill.models.qa import QuestionAnsweringModel


@pytest.fixture(params=["bert", "distilbert", "roberta"])
def folder(request, tmp_path):
    return tiny.write_model(tmp_path / "model", request.param, head="mlm")


IDS = torch.randint(5, 60, (3, 12), generator=torch.Generator().manual_seed(0))


def test_round_trip_through_a_folder(folder, tmp_path):
    model = MaskedLM.from_pretrained(folder)
    model.save_pretrained(tmp_path / "again")
    again = MaskedLM.from_pretrained(tmp_path / "again")
    for (name, a), (_, b) in zip(model.named_parameters(), again.named_parameters(), strict=True):
        assert torch.equal(a, b), name


def test_chosen_positions_give_the_rows_of_all_logits(folder):
    model = MaskedLM.from_pretrained(folder)
    chosen = torch.rand(IDS.shape, generator=torch.Generator().manual_seed(1)) < 0.3
    logits = model(IDS).logits
    torch.testing.assert_close(model(IDS, positions=chosen).logits, logits[chosen])
    torch.testing.assert_close(model.lm_logits(model.encode(IDS)[-1]), logits)


def test_the_decoder_is_the_word_table(folder):
    model = MaskedLM.from_pretrained(folder)
    before = model(IDS).logits
    with torch.no_grad():
        model.encoder.embeddings.word.weight[7] += 1  # a token that the rows need not hold
    rows = (IDS != 7).all(-1)
    assert not torch.equal(model(IDS).logits[rows][..., 7], before[rows][..., 7])
    assert sum("decoder" in name for name, _ in model.named_parameters()) == 0


def test_another_head_is_no_masked_lm_head(tmp_path):
    reader = tiny.write_model(tmp_path / "reader")
    with pytest.warns(UserWarning, match="no masked-LM head: a new one was made"):
        model = MaskedLM.from_pretrained(reader)
    found = read_weights(reader, read_config(reader))
    word = model.encoder.embeddings.word.weight.detach().numpy()
    assert np.array_equal(word, found["embeddings.word.weight"])
    with pytest.raises(WeightsError, match=r"has no masked-LM head: train one .*mlm-head`"):
        read_weights(reader, read_config(reader), head="mlm")


def test_a_masked_lm_has_no_reader_head(folder):
    with pytest.warns(UserWarning, match="no question-answering head"):
        QuestionAnsweringModel.from_pretrained(folder)


def _rewrite(folder, **changes):
    file = folder / "model.safetensors"
    tensors = load_file(file)
    for name, value in changes.items():
        tensors.pop(name, None)
        if value is not None:
            tensors[name] = value
    save_file(tensors, file)


def test_a_head_as_older_files_spell_it(tmp_path):
    """The decoder's matrix and bias stored again, and no bias beside them."""
    folder = tiny.write_model(tmp_path / "model", head="mlm")
    config = read_config(folder)
    expected = read_weights(folder, config, head="mlm")
    _rewrite(
        folder,
        **{
            "cls.predictions.bias": None,
            "cls.predictions.decoder.bias": expected["lm_head.bias"],
            "cls.predictions.decoder.weight": expected["embeddings.word.weight"],
            "cls.seq_relationship.weight": np.zeros((2, 16), np.float32),
        },
    )
    found = read_weights(folder, config, head="mlm")
    assert found.keys() == expected.keys()
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


def test_a_decoder_of_its_own_is_refused(folder):
    config = read_config(folder)
    name = {
        "bert": "cls.predictions.decoder.weight",
        "distilbert": "vocab_projector.weight",
        "roberta": "lm_head.decoder.weight",
    }
    own = np.ones((config.vocab_size, config.hidden_width), np.float32)
    _rewrite(folder, **{name[config.model_type]: own})
    with pytest.raises(WeightsError, match="decoder of its own"):
        MaskedLM.from_pretrained(folder)


def test_unpacking_gives_what_exists(folder):
    model = MaskedLM.from_pretrained(folder)
    (logits,) = model(IDS)
    assert logits.shape == (3, 12, model.config.vocab_size)
    loss, *_ = model(IDS, labels=IDS)
    assert loss.ndim == 0
