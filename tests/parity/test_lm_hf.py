"""Our masked language models against Hugging Face's: float32, within 1e-5."""

import pytest
import torch
import transformers

from potstill.bundle.names import from_hf
from potstill.models.lm import MaskedLM
from potstill.models.named import BertForMaskedLM, DistilBertForMaskedLM, RobertaForMaskedLM

TOLERANCE = {"atol": 1e-5, "rtol": 0}


def bert(**options):
    config = transformers.BertConfig(
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=48,
        **options,
    )
    return transformers.BertForMaskedLM(config), BertForMaskedLM


def roberta(**options):
    config = transformers.RobertaConfig(
        vocab_size=120,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=48,
        type_vocab_size=1,
        **options,
    )
    return transformers.RobertaForMaskedLM(config), RobertaForMaskedLM


def distilbert(**options):
    config = transformers.DistilBertConfig(
        vocab_size=120,
        dim=32,
        n_layers=2,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=48,
        **options,
    )
    return transformers.DistilBertForMaskedLM(config), DistilBertForMaskedLM


MAKERS = {
    "bert": bert,
    "bert-gelu_new": lambda: bert(hidden_act="gelu_new"),
    "distilbert": distilbert,
    "distilbert-relu": lambda: distilbert(activation="relu"),
    "roberta": roberta,
    "roberta-relu": lambda: roberta(hidden_act="relu"),
}


@pytest.fixture(params=MAKERS)
def pair(request, tmp_path):
    """Their model and ours, with the same random weights."""
    torch.manual_seed(0)
    theirs, ours = MAKERS[request.param]()
    # Their initial weights are so small that everything would look alike, and the norm of the
    # head starts as 1 and 0: a name that is mixed up would not be seen.
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    theirs.eval().save_pretrained(tmp_path / "model")
    return theirs, ours.from_pretrained(tmp_path / "model"), tmp_path


def inputs(model, *, ragged):
    torch.manual_seed(1)
    ids = torch.randint(1, 120, (4, 20))
    mask = torch.ones(4, 20, dtype=torch.long)
    if ragged:
        for row, length in enumerate((20, 13, 5, 1)):
            mask[row, length:] = 0
    batch = {"input_ids": ids, "attention_mask": mask}
    if model.config.model_type == "bert":
        batch["token_type_ids"] = torch.randint(0, 2, (4, 20))
    return batch


def labels(batch):
    torch.manual_seed(2)
    wanted = batch["attention_mask"].bool() & (torch.rand(4, 20) < 0.4)
    return torch.where(wanted, torch.randint(0, 120, (4, 20)), -100)


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
def test_forward(pair, ragged):
    theirs, ours, _ = pair
    batch = inputs(theirs, ragged=ragged)
    expected = theirs(**batch, output_hidden_states=True)
    found = ours(**batch, output_hidden_states=True)
    real = batch["attention_mask"].bool()
    torch.testing.assert_close(found.logits[real], expected.logits[real], **TOLERANCE)
    for a, b in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(a[real], b[real], **TOLERANCE)


@pytest.mark.parametrize("chosen", [False, True], ids=["all", "labelled"])
def test_loss_and_gradients(pair, chosen):
    theirs, ours, _ = pair
    batch = inputs(theirs, ragged=True)
    gold = labels(batch)
    positions = gold != -100 if chosen else None
    expected = theirs(**batch, labels=gold).loss
    found = ours(**batch, labels=gold, positions=positions).loss
    torch.testing.assert_close(found, expected, **TOLERANCE)
    expected.backward()
    found.backward()
    own = dict(ours.named_parameters())
    compared = set()
    for name, parameter in theirs.named_parameters():
        renamed = from_hf(theirs.config.model_type, name)
        if parameter.grad is None or renamed is None:
            continue
        ours_name = renamed if renamed in own else f"encoder.{renamed}"
        torch.testing.assert_close(own[ours_name].grad, parameter.grad, **TOLERANCE)
        compared.add(ours_name)
    assert compared == {name for name, p in own.items() if p.grad is not None}
    assert "lm_head.bias" in compared


def test_what_we_save_they_load(pair):
    theirs, ours, folder = pair
    ours.save_pretrained(folder / "saved")
    again = transformers.AutoModelForMaskedLM.from_pretrained(folder / "saved").eval()
    assert type(again) is type(theirs)
    batch = inputs(theirs, ragged=True)
    assert torch.equal(again(**batch).logits, theirs(**batch).logits)


def test_a_pretraining_checkpoint_brings_its_head(tmp_path):
    """The published BERT files: both heads of pretraining, and a pooler."""
    config, _ = bert()
    theirs = transformers.BertForPreTraining(config.config).eval()
    theirs.save_pretrained(tmp_path)
    ours = MaskedLM.from_pretrained(tmp_path)
    batch = inputs(theirs, ragged=False)
    torch.testing.assert_close(ours(**batch).logits, theirs(**batch).prediction_logits, **TOLERANCE)
