"""Every head on every encoder against Hugging Face's: outputs, losses and gradients within 1e-5."""

import pytest
import torch
import transformers

import potstill
from potstill.bundle.names import from_hf

TOLERANCE = {"atol": 1e-5, "rtol": 0}
BERT = {
    "vocab_size": 120,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 48,
}
SHAPES = {
    "Bert": BERT,
    "DistilBert": {
        "vocab_size": 120,
        "dim": 32,
        "n_layers": 2,
        "n_heads": 4,
        "hidden_dim": 64,
        "max_position_embeddings": 48,
    },
    "Roberta": {**BERT, "type_vocab_size": 1, "layer_norm_eps": 1e-5},
    "Electra": {**BERT, "embedding_size": 16},
}
HEADS = {
    "Model": "bare",
    "ForSequenceClassification": "classification",
    "ForTokenClassification": "tagging",
    "ForMultipleChoice": "choice",
}
AUTO = {
    "Model": "AutoModel",
    "ForSequenceClassification": "AutoModelForSequenceClassification",
    "ForTokenClassification": "AutoModelForTokenClassification",
    "ForMultipleChoice": "AutoModelForMultipleChoice",
}


def make(encoder, ending, folder, **options):
    """Their model and ours, with the same random weights."""
    torch.manual_seed(0)
    config = getattr(transformers, f"{encoder}Config")(**SHAPES[encoder], **options)
    theirs = getattr(transformers, encoder + ending)(config)
    # Their initial weights are so small that everything would look alike.
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    theirs.eval().save_pretrained(folder)
    return theirs, getattr(potstill, encoder + ending).from_pretrained(folder)


@pytest.fixture(params=[(e, h) for e in SHAPES for h in HEADS], ids="".join)
def pair(request, tmp_path):
    encoder, ending = request.param
    theirs, ours = make(encoder, ending, tmp_path / "model", num_labels=3)
    return theirs, ours, ending, tmp_path


def inputs(ours, ending, *, ragged=True):
    torch.manual_seed(1)
    ids = torch.randint(2, 120, (4, 20))
    mask = torch.ones(4, 20, dtype=torch.long)
    if ragged:
        for row, length in enumerate((20, 13, 5, 1)):
            mask[row, length:] = 0
    batch = {"input_ids": ids, "attention_mask": mask}
    if ours.config.n_token_types == 2:
        batch["token_type_ids"] = torch.randint(0, 2, (4, 20))
    if ending == "ForMultipleChoice":  # two questions of two choices
        batch = {name: rows.view(2, 2, 20) for name, rows in batch.items()}
    return batch


def gold(ending):
    torch.manual_seed(2)
    if ending == "ForTokenClassification":
        labels = torch.randint(0, 3, (4, 20))
        return torch.where(torch.rand(4, 20) < 0.4, -100, labels)
    return torch.tensor([1, 0]) if ending == "ForMultipleChoice" else torch.tensor([2, 0, 1, 1])


def compare_gradients(theirs, ours):
    own = {name: p.grad for name, p in ours.named_parameters()}
    compared = 0
    for name, parameter in theirs.named_parameters():
        if parameter.grad is None:
            continue
        renamed = from_hf(theirs.config.model_type, name, ours.head)
        gradient = own.get(renamed, own.get(f"encoder.{renamed}"))
        torch.testing.assert_close(gradient, parameter.grad, **TOLERANCE)
        compared += 1
    assert compared == sum(gradient is not None for gradient in own.values()) > 10


@pytest.mark.parametrize("ragged", [False, True], ids=["full", "ragged"])
def test_forward(pair, ragged):
    theirs, ours, ending, _ = pair
    batch = inputs(ours, ending, ragged=ragged)
    expected = theirs(**batch, output_hidden_states=True)
    found = ours(**batch, output_hidden_states=True)
    assert list(found.keys()) == list(expected.keys())
    real = batch["attention_mask"].flatten(0, -2).bool()
    for name in found.keys():
        if name == "hidden_states":
            for a, b in zip(found[name], expected[name], strict=True):
                torch.testing.assert_close(a[real], b[real], **TOLERANCE)
        elif found[name].shape[:2] == real.shape:
            torch.testing.assert_close(found[name][real], expected[name][real], **TOLERANCE)
        else:
            torch.testing.assert_close(found[name], expected[name], **TOLERANCE)


@pytest.mark.parametrize(
    "pair", [(e, h) for e in SHAPES for h in HEADS if h != "Model"], ids="".join, indirect=True
)
def test_loss_and_gradients(pair):
    theirs, ours, ending, _ = pair
    batch = {**inputs(ours, ending), "labels": gold(ending)}
    expected, found = theirs(**batch), ours(**batch)
    torch.testing.assert_close(found.loss, expected.loss, **TOLERANCE)
    assert torch.equal(found[0], found.loss)
    expected.loss.backward()
    found.loss.backward()
    compare_gradients(theirs, ours)


def test_what_we_save_they_load(pair):
    theirs, ours, ending, folder = pair
    ours.save_pretrained(folder / "saved")
    again = getattr(transformers, AUTO[ending]).from_pretrained(folder / "saved").eval()
    assert type(again) is type(theirs)
    assert again.config.num_labels == 3
    mine = getattr(potstill, AUTO[ending]).from_pretrained(folder / "saved")
    assert type(mine) is type(ours)
    batch = inputs(ours, ending)
    assert torch.equal(again(**batch)[0], theirs(**batch)[0])
    assert torch.equal(mine(**batch)[0], ours(**batch)[0])


PROBLEMS = {
    "single": ({"num_labels": 3}, torch.tensor([2, 0, 1, 1])),
    "several": ({"num_labels": 3}, torch.rand(4, 3).round()),
    "number": ({"num_labels": 1}, torch.tensor([0.5, -1.0, 2.0, 0.0])),
    "column": ({"num_labels": 1}, torch.tensor([[0.5], [-1.0], [2.0], [0.0]])),
    "numbers": ({"num_labels": 3, "problem_type": "regression"}, torch.randn(4, 3)),
}


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("encoder", SHAPES)
def test_the_three_kinds_of_classification(encoder, problem, tmp_path):
    options, labels = PROBLEMS[problem]
    theirs, ours = make(encoder, "ForSequenceClassification", tmp_path / "model", **options)
    batch = {**inputs(ours, "ForSequenceClassification"), "labels": labels}
    expected, found = theirs(**batch), ours(**batch)
    torch.testing.assert_close(found.logits, expected.logits, **TOLERANCE)
    torch.testing.assert_close(found.loss, expected.loss, **TOLERANCE)
    assert ours.config.problem_type == theirs.config.problem_type
    expected.loss.backward()
    found.loss.backward()
    compare_gradients(theirs, ours)
    ours.save_pretrained(tmp_path / "saved")
    again = transformers.AutoConfig.from_pretrained(tmp_path / "saved")
    assert again.problem_type == theirs.config.problem_type
    assert again.num_labels == theirs.config.num_labels


@pytest.mark.parametrize("encoder", SHAPES)
@pytest.mark.parametrize("ending", ["ForSequenceClassification", "ForMultipleChoice"])
def test_a_bare_encoder_brings_its_pooler(encoder, ending, tmp_path):
    """As published encoders do: only what Hugging Face makes anew is new here too."""
    theirs, _ = make(encoder, "Model", tmp_path / "model")
    with pytest.warns(UserWarning, match="a new one was made, train it"):
        ours = getattr(potstill, encoder + ending).from_pretrained(tmp_path / "model")
    kept = encoder == "Bert" or (encoder, ending) == ("Roberta", "ForMultipleChoice")
    if kept:
        assert torch.equal(ours.pooler.weight, theirs.pooler.dense.weight)
    assert ours.classifier.weight.abs().max() < 0.2


@pytest.mark.parametrize("encoder", SHAPES)
def test_dropout_rates(encoder, tmp_path):
    """Where they drop in training, and how much: told by the spread of many draws of a row."""
    named = "seq_classif_dropout" if encoder == "DistilBert" else "classifier_dropout"
    off = dict.fromkeys(
        ("dropout", "attention_dropout")
        if encoder == "DistilBert"
        else ("hidden_dropout_prob", "attention_probs_dropout_prob"),
        0.0,
    )
    theirs, ours = make(
        encoder, "ForSequenceClassification", tmp_path / "model", **off, **{named: 0.5}
    )
    rows = inputs(ours, "ForSequenceClassification")
    batch = {name: row[1].expand(600, -1) for name, row in rows.items()}
    spread = []
    for model in (theirs.train(), ours.train()):
        torch.manual_seed(0)
        with torch.no_grad():
            spread.append(model(**batch).logits.std(0))
    torch.testing.assert_close(spread[1], spread[0], atol=0, rtol=0.15)
