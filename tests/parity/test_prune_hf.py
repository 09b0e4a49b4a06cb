"""Which pruned models transformers reads, and that they then compute the same."""

import numpy as np
import pytest
import torch
import transformers

import tiny
from potstill.compression.prune import KeptParts, prune
from potstill.models.qa import QuestionAnsweringModel

IDS = np.random.default_rng(0).integers(5, 90, (2, 9))
MASK = torch.tensor([[1] * 9, [1] * 5 + [0] * 4])
ALL = [[0, 1, 2, 3]] * 2


def saved(model_type, kept, folder):
    config = tiny.config(model_type, n_heads=4)
    small, weights = prune(config, tiny.weights(config), kept)
    model = QuestionAnsweringModel(small)
    model.load_weights(weights)
    model.save_pretrained(folder)
    return model.eval()


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "electra"])
def test_transformers_reads_pruned_neurons(model_type, tmp_path):
    ours = saved(model_type, KeptParts(ALL, [[1, 2, 30], [0, 8, 9]]), tmp_path)
    theirs = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path).eval()
    check(ours, theirs)


@pytest.mark.parametrize("model_type", ["bert", "distilbert", "roberta", "electra"])
def test_transformers_4_reads_pruned_heads_and_5_refuses_them(model_type, tmp_path):
    ours = saved(model_type, KeptParts([[0, 2], [3]], [[1, 2, 30], [0, 8, 9]]), tmp_path)
    load = transformers.AutoModelForQuestionAnswering.from_pretrained
    if int(transformers.__version__.partition(".")[0]) >= 5:
        with pytest.raises(RuntimeError, match="ignore_mismatched_sizes"):
            load(tmp_path)
    else:
        check(ours, load(tmp_path).eval())


def check(ours, theirs):
    ids = torch.from_numpy(IDS)
    with torch.no_grad():
        a, b = ours(ids, MASK), theirs(input_ids=ids, attention_mask=MASK)
    for name in ("start_logits", "end_logits"):
        off = (getattr(a, name) - getattr(b, name))[MASK.bool()].abs().max()
        assert off < 1e-5
