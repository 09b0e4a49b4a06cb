"""What models return: by place, by name, unpacked, rebuilt from bare values."""

import copy
import pickle

import pytest
import torch

from potstill.bundle.config import ModelConfig
from potstill.models.lm import LMOutput
from potstill.models.named import (
    BertForMaskedLM,
    BertForMultipleChoice,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
)
from potstill.models.output import ClassifierOutput, EncoderOutput
from potstill.models.qa import QAOutput

CONFIG = ModelConfig(
    vocab_size=50, hidden_width=16, n_layers=2, n_heads=2, ffn_width=32, max_positions=24
)
IDS = torch.randint(1, 50, (2, 8), generator=torch.Generator().manual_seed(0))
LOSS, LOGITS, STATES = torch.tensor(1.5), torch.ones(2, 3), (torch.ones(2), torch.zeros(2))


def test_values_are_reached_in_every_way():
    out = ClassifierOutput(LOSS, LOGITS, None)
    assert out.loss is out["loss"] is out[0] is LOSS
    assert out.logits is out["logits"] is out[-1] is LOGITS
    assert out.hidden_states is None
    assert (len(out), list(out.keys()), "loss" in out) == (2, ["loss", "logits"], True)
    loss, logits = out
    assert loss is LOSS and logits is LOGITS
    assert type(out.to_tuple()) is tuple
    assert dict(out.items())["logits"] is LOGITS
    assert out[1:] == (LOGITS,)


def test_what_is_absent_takes_no_place():
    out = QAOutput(None, LOGITS, LOGITS)
    assert (len(out), list(out.keys())) == (2, ["start_logits", "end_logits"])
    assert out.loss is None and "loss" not in out
    with pytest.raises(KeyError, match="'loss'; there is start_logits, end_logits"):
        out["loss"]


@pytest.mark.parametrize(
    "out",
    [
        ClassifierOutput(LOSS, LOGITS, STATES),
        ClassifierOutput(None, LOGITS, STATES),
        ClassifierOutput(None, LOGITS),
        QAOutput(LOSS, LOGITS, LOGITS + 1),
        QAOutput(None, LOGITS, LOGITS + 1, STATES),
        LMOutput(LOSS, LOGITS),
        EncoderOutput(LOGITS, None, STATES),
        EncoderOutput(LOGITS, LOGITS + 1, STATES),
    ],
)
def test_rebuilt_from_its_values_it_is_the_same(out):
    """As accelerate, DataParallel and Trainer do it, and pickle and copy."""
    ways = (
        type(out)(value for value in out),
        type(out)(dict(out.items())),
        pickle.loads(pickle.dumps(out)),
        copy.deepcopy(out),
    )
    for again in ways:
        assert type(again) is type(out)
        assert list(again.keys()) == list(out.keys())
        for a, b in zip(again.to_tuple(), out.to_tuple(), strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("model", "ids", "labels"),
    [
        (BertModel, IDS, {}),
        (BertForSequenceClassification, IDS, {"labels": torch.tensor([0, 1])}),
        (BertForTokenClassification, IDS, {"labels": IDS % 2}),
        (BertForMultipleChoice, IDS.view(1, 2, 8), {"labels": torch.tensor([1])}),
        (BertForMaskedLM, IDS, {"labels": IDS}),
        (BertForQuestionAnswering, IDS, {"start_positions": IDS[:, 0] % 7}),
    ],
)
def test_a_plain_tuple_where_it_is_asked_for(model, ids, labels):
    made = model(CONFIG).eval()
    out, bare = made(ids, **labels), made(ids, **labels, return_dict=False)
    assert type(bare) is tuple
    for a, b in zip(bare, out, strict=True):
        assert torch.equal(a, b)
