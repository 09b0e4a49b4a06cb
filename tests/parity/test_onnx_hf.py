"""Exported folders against transformers: tiny random models, float32, 1e-5, no network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

import tiny
from logits import batch, largest
from potstill.bundle.config import read_config
from potstill.bundle.heads import LOGITS
from potstill.export.bundle import export_bundle
from potstill.runtime.session import OnnxSession

NAMES = {
    "bert": "Bert",
    "distilbert": "DistilBert",
    "roberta": "Roberta",
    "electra": "Electra",
    "mpnet": "MPNet",
}


def theirs(
    kind: str, head: str = "QuestionAnswering", **options: object
) -> transformers.PreTrainedModel:
    torch.manual_seed(0)
    n = len(tiny.VOCABULARY)
    name = NAMES[kind]
    if kind != "distilbert":
        shape = {
            "vocab_size": n, "hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
            "intermediate_size": 48, "max_position_embeddings": 64,
        }  # fmt: skip
        config = getattr(transformers, f"{name}Config")(**{**shape, **options})
    else:
        config = transformers.DistilBertConfig(
            vocab_size=n, dim=32, n_layers=3, n_heads=4, hidden_dim=48,
            max_position_embeddings=64, **options,
        )  # fmt: skip
    model = getattr(transformers, f"{name}For{head}")(config)
    with torch.no_grad():  # their own initialisation is so small that all logits look alike
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return model.eval()


def run(model, rows):
    out = said(model, rows)
    return out.start_logits.numpy(), out.end_logits.numpy()


def said(model, rows, *, choices: bool = False):
    names = ["input_ids", "attention_mask"]
    if model.config.model_type in ("bert", "electra"):
        names.append("token_type_ids")
    tensors = {name: torch.from_numpy(getattr(rows, name)) for name in names}
    if choices:
        tensors = {name: rows.unsqueeze(1) for name, rows in tensors.items()}
    with torch.no_grad():
        return model(**tensors)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("bert", {}),
        ("bert", {"hidden_act": "gelu_new"}),
        ("bert", {"hidden_act": "gelu_fast"}),
        ("bert", {"hidden_act": "silu"}),
        ("bert", {"hidden_act": "quick_gelu"}),
        ("bert", {"hidden_act": "relu", "type_vocab_size": 1}),
        ("distilbert", {}),
        ("distilbert", {"sinusoidal_pos_embds": True, "activation": "relu"}),
        (
            "roberta",
            {
                "vocab_size": tiny.BYTE_LEVEL_SIZE,
                "max_position_embeddings": 66,
                "type_vocab_size": 1,
            },
        ),
        ("electra", {"embedding_size": 24}),
        ("electra", {"embedding_size": 32, "hidden_act": "gelu_new"}),
    ],
)
def test_their_folder_exported_by_us(tmp_path, kind, options) -> None:
    model = theirs(kind, **options)
    model.save_pretrained(tmp_path / "theirs")
    write = tiny.write_byte_level if kind == "roberta" else tiny.write_tokenizer
    write(tmp_path / "theirs")
    export_bundle(tmp_path / "theirs", tmp_path / "ours", ["hf", "onnx"])
    config = read_config(tmp_path / "ours")
    again = transformers.AutoModelForQuestionAnswering.from_pretrained(tmp_path / "ours").eval()
    session = OnnxSession(tmp_path / "ours" / "onnx" / "model.onnx")
    for lengths in ((9, 1, 30), (64,)):
        rows = batch(config, lengths)
        wanted = run(model, rows)
        assert largest(session.run(rows), wanted, rows) < 1e-5 * max(1, np.abs(wanted).max())
        # gelu_fast is written as gelu_new: the same function, in another order of operations.
        apart = 2e-6 if options.get("hidden_act") == "gelu_fast" else 0.0
        for one, other in zip(run(again, rows), wanted, strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=apart)


ROBERTA = {"vocab_size": tiny.BYTE_LEVEL_SIZE, "max_position_embeddings": 66, "type_vocab_size": 1}


HEADS_OF_THEIRS = [
    *((kind, "SequenceClassification", {"num_labels": 3}) for kind in NAMES),
    *((kind, "TokenClassification", {"num_labels": 5}) for kind in NAMES),
    *((kind, "MultipleChoice", {}) for kind in NAMES),
    *((kind, "MaskedLM", {}) for kind in ("bert", "distilbert", "roberta")),
    ("bert", "SequenceClassification", {"num_labels": 1, "problem_type": "regression"}),
]


@pytest.mark.parametrize(("kind", "head", "options"), HEADS_OF_THEIRS)
def test_every_head_of_theirs_exported_by_us(tmp_path, kind, head, options) -> None:
    model = theirs(kind, head, **(ROBERTA if kind == "roberta" else {}), **options)
    model.save_pretrained(tmp_path / "theirs")
    write = tiny.write_byte_level if kind == "roberta" else tiny.write_tokenizer
    write(tmp_path / "theirs")
    export_bundle(tmp_path / "theirs", tmp_path / "ours", ["hf", "onnx"])
    auto = getattr(transformers, f"AutoModelFor{head}")
    again = auto.from_pretrained(tmp_path / "ours").eval()
    assert again.config.id2label == model.config.id2label
    assert again.config.problem_type == model.config.problem_type
    rows = batch(read_config(tmp_path / "ours"), (9, 1, 30))
    choices = head == "MultipleChoice"
    wanted = said(model, rows, choices=choices).logits.numpy()
    np.testing.assert_allclose(said(again, rows, choices=choices).logits, wanted, atol=1e-6)
    session = OnnxSession(tmp_path / "ours" / "onnx" / "model.onnx", outputs=LOGITS)
    by_token = head in ("TokenClassification", "MaskedLM")
    found = largest(session.run(rows), (wanted,), rows, by_token=by_token)
    assert found < 1e-5 * max(1, np.abs(wanted).max())


@pytest.mark.parametrize("kind", ["bert", "distilbert", "electra"])
def test_the_tokenizer_of_an_exported_folder(tmp_path, kind) -> None:
    """A folder with only vocab.txt becomes one whose tokenizer transformers opens as it is."""
    export_bundle(tiny.write_model(tmp_path / "model", kind), tmp_path / "out", ["hf"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    ids = tokenizer("Who won?", "Denver won.")["input_ids"]
    words = ["[CLS]", "who", "won", "?", "[SEP]", "denver", "won", ".", "[SEP]"]
    assert tokenizer.convert_ids_to_tokens(ids) == words
    assert tokenizer.model_max_length == 128
