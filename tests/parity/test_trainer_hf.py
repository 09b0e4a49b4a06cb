"""Hugging Face's Trainer takes our models where it takes its own, step for step."""

from __future__ import annotations

import pytest
import torch
import transformers

import potstill
import tiny
from potstill.bundle.names import from_hf

pytestmark = pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true:UserWarning")
HEADS = {
    "ForSequenceClassification": "classification",
    "ForTokenClassification": "tagging",
    "ForMultipleChoice": "choice",
    "ForQuestionAnswering": "qa",
    "ForMaskedLM": "mlm",
}


def rows(ending: str, n: int = 16) -> list[dict[str, torch.Tensor]]:
    """Made features of one length."""
    torch.manual_seed(0)
    shape = (2, 10) if ending == "ForMultipleChoice" else (10,)
    found = []
    for number in range(n):
        ids = torch.randint(5, 90, shape)
        mask = torch.ones_like(ids)
        mask[..., 7 + number % 4 :] = 0
        row = {"input_ids": ids, "attention_mask": mask}
        if ending == "ForQuestionAnswering":
            row |= {"start_positions": ids[1] % 7, "end_positions": ids[2] % 7}
        elif ending in ("ForTokenClassification", "ForMaskedLM"):
            row["labels"] = torch.where(ids % 3 > 0, ids % 2, -100)
        else:
            row["labels"] = ids.flatten()[1] % 2
        found.append(row)
    return found


def settings(folder, **options):
    return transformers.TrainingArguments(
        output_dir=str(folder),
        learning_rate=1e-2,
        logging_steps=1,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        seed=3,
        **{
            "per_device_train_batch_size": 4,
            "max_steps": 4,
            "save_strategy": "no",
            **options,
        },
    )


def train(model, ending, folder, **options):
    arguments = settings(folder, **options)
    trainer = transformers.Trainer(
        model=model, args=arguments, train_dataset=rows(ending), eval_dataset=rows(ending)
    )
    trainer.train()
    return trainer


@pytest.mark.parametrize("ending", HEADS)
def test_the_same_steps_as_theirs(ending, tmp_path):
    still = {"hidden_dropout": 0.0, "attention_dropout": 0.0, "qa_dropout": 0.0}
    kind = "DistilBert" if ending in ("ForQuestionAnswering", "ForMaskedLM") else "Bert"
    if kind == "DistilBert":
        still["classifier_dropout"] = 0.0
    folder = tiny.write_model(tmp_path / "model", kind.lower(), head=HEADS[ending], **still)
    ours = getattr(potstill, kind + ending).from_pretrained(folder)
    theirs = getattr(transformers, kind + ending).from_pretrained(folder)
    # Not Adam: it divides by the size of a gradient, and a key's bias has one of rounding alone.
    trainers = [train(model, ending, tmp_path / "out", optim="sgd") for model in (theirs, ours)]
    losses = [[e["loss"] for e in t.state.log_history if "loss" in e] for t in trainers]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    own = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        renamed = from_hf(kind.lower(), name, ours.head)
        mine = own.get(renamed, own.get(f"encoder.{renamed}"))
        torch.testing.assert_close(mine, parameter, atol=1e-5, rtol=0)
    scores = [trainer.evaluate()["eval_loss"] for trainer in trainers]
    assert scores[1] == pytest.approx(scores[0], abs=1e-4)
    for a, b in zip(*(_predicted(trainer, ending) for trainer in trainers), strict=True):
        assert b == pytest.approx(a, abs=1e-3)


def _predicted(trainer, ending):
    found = trainer.predict(rows(ending, 5)).predictions
    return found if isinstance(found, tuple) else (found,)


def test_accumulated_gradients_are_those_of_one_batch(tmp_path):
    folder = tiny.write_model(tmp_path / "model", head="choice", hidden_dropout=0.0)
    weights = []
    for options in (
        {"per_device_train_batch_size": 8},
        {"per_device_train_batch_size": 4, "gradient_accumulation_steps": 2},
    ):
        model = potstill.BertForMultipleChoice.from_pretrained(
            folder, attention_probs_dropout_prob=0.0
        )
        train(model, "ForMultipleChoice", tmp_path / "out", max_steps=2, optim="sgd", **options)
        weights.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    torch.testing.assert_close(weights[1], weights[0], atol=1e-5, rtol=0)


def test_predictions_without_labels(tmp_path):
    folder = tiny.write_model(tmp_path / "model")
    ours = potstill.BertForQuestionAnswering.from_pretrained(folder)
    trainer = train(ours, "ForQuestionAnswering", tmp_path / "out", max_steps=1)
    plain = [{k: r[k] for k in ("input_ids", "attention_mask")} for r in rows("ForMaskedLM", 6)]
    start, end = trainer.predict(plain).predictions
    assert start.shape == end.shape == (6, 10)


def test_a_run_is_stopped_and_goes_on(tmp_path):
    folder = tiny.write_model(tmp_path / "model", head="classification")
    saving = {"save_strategy": "steps", "save_steps": 2}
    whole, parts = (
        potstill.BertForSequenceClassification.from_pretrained(folder) for _ in range(2)
    )
    train(whole, "ForSequenceClassification", tmp_path / "out", **saving)
    again = transformers.Trainer(
        model=parts,
        args=settings(tmp_path / "out", **saving),
        train_dataset=rows("ForSequenceClassification"),
    )
    again.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-2"))
    for a, b in zip(parts.parameters(), whole.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def test_mixed_precision_keeps_the_names():
    """accelerate turns half-precision outputs back to float32, by rebuilding them."""
    convert = pytest.importorskip("accelerate.utils").convert_to_fp32
    model = potstill.BertForSequenceClassification(tiny.config()).bfloat16().eval()
    out = convert(model(torch.tensor([[2, 9, 3]]), labels=torch.tensor([1])))
    assert out.logits.dtype == out.loss.dtype == torch.float32
