"""Choices against transformers' own model and pair encodings, through both kinds of session."""

from __future__ import annotations

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny
from potstill.bundle.heads import LOGITS
from potstill.runtime.choice import ChoiceOptions, Chooser
from potstill.runtime.torch_session import TorchSession

TEXTS = st.lists(st.sampled_from(tiny.WORDS), min_size=1, max_size=30).map(" ".join)
SEQ_LEN = 24
KINDS = {"bert": transformers.BertTokenizer, "roberta": transformers.RobertaTokenizer}


@pytest.fixture(scope="module", params=KINDS)
def both(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    tiny.write_model(folder, request.param, head="choice")
    model = transformers.AutoModelForMultipleChoice.from_pretrained(folder)
    ours = Chooser.from_options(folder, threads=1, seq_len=SEQ_LEN)
    return ours, model.eval(), KINDS[request.param].from_pretrained(folder)


@settings(max_examples=25)
@given(prompt=TEXTS, choices=st.lists(TEXTS, min_size=2, max_size=4))
def test_scores(both, prompt, choices):
    chooser, model, tokenizer = both
    rows = tokenizer(
        [prompt] * len(choices),
        choices,
        padding=True,
        truncation="longest_first",
        max_length=SEQ_LEN,
        return_tensors="pt",
    )
    with torch.no_grad():
        logits = model(**{name: part.unsqueeze(0) for name, part in rows.items()}).logits
    wanted = torch.softmax(logits[0], -1).tolist()
    found = chooser.score_many([(prompt, choices)])[0]
    assert [score.score for score in found] == pytest.approx(wanted, abs=1e-5)
    session = TorchSession(model, LOGITS)  # theirs, where a session is expected
    other = Chooser(chooser.tokenizer, session, ChoiceOptions(seq_len=SEQ_LEN))
    again = other.score_many([(prompt, choices)])[0]
    assert [score.score for score in again] == pytest.approx(wanted, abs=1e-5)
