"""Our models against Hugging Face's, on tiny random weights: float32, within 1e-5."""

import pytest
import torch
import transformers

from potstill.bundle.names import from_hf
from potstill.models.named import (
    BertForQuestionAnswering,
    DistilBertForQuestionAnswering,
    ElectraForQuestionAnswering,
    MPNetForQuestionAnswering,
    RobertaForQuestionAnswering,
)

TOLERANCE = {"atol": 1e-5, "rtol": 0}


SHAPE = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 48,
}


def bert(**options):
    config = transformers.BertConfig(**SHAPE, **options)
    return transformers.BertForQuestionAnswering(config), BertForQuestionAnswering


def roberta(**options):
    config = transformers.RobertaConfig(**SHAPE, **options)
    return transformers.RobertaForQuestionAnswering(config), RobertaForQuestionAnswering


def electra(**options):
    config = transformers.ElectraConfig(**SHAPE, **options)
    return transformers.ElectraForQuestionAnswering(config), ElectraForQuestionAnswering


def mpnet(**options):
    config = transformers.MPNetConfig(**{**SHAPE, **options})
    return transformers.MPNetForQuestionAnswering(config), MPNetForQuestionAnswering


def distilbert(**options):
    config = transformers.DistilBertConfig(
        vocab_size=120,
        dim=32,
        n_layers=3,
        n_heads=4,
        hidden_dim=64,
        max_position_embeddings=48,
        **options,
    )
    return transformers.DistilBertForQuestionAnswering(config), DistilBertForQuestionAnswering


MAKERS = {
    "bert": bert,
    "bert-relu": lambda: bert(hidden_act="relu"),
    "bert-gelu_new": lambda: bert(hidden_act="gelu_new"),
    "bert-silu": lambda: bert(hidden_act="swish"),
    "bert-quick_gelu": lambda: bert(hidden_act="quick_gelu"),
    "distilbert": distilbert,
    "distilbert-sinusoidal": lambda: distilbert(sinusoidal_pos_embds=True),
    "roberta": lambda: roberta(type_vocab_size=1, layer_norm_eps=1e-5),
    "roberta-own": lambda: roberta(type_vocab_size=2, pad_token_id=0),
    "electra": lambda: electra(embedding_size=16),
    "electra-base": lambda: electra(embedding_size=32),
    "mpnet": lambda: mpnet(layer_norm_eps=1e-5),
}


@pytest.fixture(params=MAKERS)
def pair(request, tmp_path):
    """Their model and ours, with the same random weights."""
    torch.manual_seed(0)
    theirs, ours = MAKERS[request.param]()
    # Their initial weights are so small that everything would look alike.
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    theirs.eval().save_pretrained(tmp_path / "model")
    return theirs, ours.from_pretrained(tmp_path / "model"), tmp_path


def inputs(model, *, ragged, types=True):
    torch.manual_seed(1)
    ids = torch.randint(1, 120, (4, 20))
    mask = torch.ones(4, 20, dtype=torch.long)
    if ragged:
        for row, length in enumerate((20, 13, 5, 1)):
            mask[row, length:] = 0
    batch = {"input_ids": ids, "attention_mask": mask}
    if types and model.config.model_type in ("bert", "electra"):
        batch["token_type_ids"] = torch.randint(0, 2, (4, 20))
    return batch


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
@pytest.mark.parametrize("types", [False, True], ids=["no-types", "types"])
def test_forward(pair, ragged, types):
    theirs, ours, _ = pair
    batch = inputs(theirs, ragged=ragged, types=types)
    expected = theirs(**batch, output_hidden_states=True)
    found = ours(**batch, output_hidden_states=True)
    real = batch["attention_mask"].bool()
    assert len(found.hidden_states) == len(expected.hidden_states) == 4
    for a, b in zip(found.hidden_states, expected.hidden_states, strict=True):
        torch.testing.assert_close(a[real], b[real], **TOLERANCE)
    torch.testing.assert_close(found.start_logits[real], expected.start_logits[real], **TOLERANCE)
    torch.testing.assert_close(found.end_logits[real], expected.end_logits[real], **TOLERANCE)


def test_without_a_mask_every_token_is_real(pair):
    theirs, ours, _ = pair
    batch = inputs(theirs, ragged=False)
    masked = ours(**batch)
    del batch["attention_mask"]
    torch.testing.assert_close(ours(**batch).start_logits, masked.start_logits, **TOLERANCE)


def test_loss_and_gradients(pair):
    theirs, ours, _ = pair
    batch = inputs(theirs, ragged=True)
    # 30 lies outside the row: Hugging Face leaves such a gold position out of the mean.
    batch["start_positions"] = torch.tensor([3, 2, 30, 0])
    batch["end_positions"] = torch.tensor([5, 2, 30, 0])
    expected, found = theirs(**batch).loss, ours(**batch).loss
    torch.testing.assert_close(found, expected, **TOLERANCE)
    expected.backward()
    found.backward()
    own = {name: p.grad for name, p in ours.named_parameters()}
    compared = 0
    for name, parameter in theirs.named_parameters():
        renamed = from_hf(theirs.config.model_type, name)
        gradient = own.get(renamed, own.get(f"encoder.{renamed}"))
        if parameter.grad is None:
            continue
        torch.testing.assert_close(gradient, parameter.grad, **TOLERANCE)
        compared += 1
    assert compared == sum(g is not None for g in own.values())


def test_what_we_save_they_load(pair):
    theirs, ours, folder = pair
    ours.save_pretrained(folder / "saved")
    again = transformers.AutoModelForQuestionAnswering.from_pretrained(folder / "saved").eval()
    assert type(again) is type(theirs)
    batch = inputs(theirs, ragged=True)
    torch.testing.assert_close(again(**batch).start_logits, theirs(**batch).start_logits)
    torch.testing.assert_close(again(**batch).end_logits, theirs(**batch).end_logits)
