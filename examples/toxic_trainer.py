"""Toxic comments under Hugging Face's ``Trainer``: several labels a text, on BERT-Tiny.

::

    pip install 'potstill[train]' transformers accelerate
    python examples/toxic_trainer.py train.csv runs/toxic
    potstill classify "you are nice" --model runs/toxic

The model is ours, the loop is theirs. What ``Trainer`` writes while it runs are bare weights; the
model folder is what ``save_pretrained`` writes at the end.
"""

from __future__ import annotations

import sys
from functools import partial

from toxic_comments import arguments, collate, mean_roc_auc, prepare, save
from transformers import EvalPrediction, Trainer, TrainingArguments


def metrics(found: EvalPrediction) -> dict[str, float]:
    """What `Trainer.evaluate` reports beside the loss."""
    return {"roc_auc": mean_roc_auc(found.predictions, found.label_ids)}


def main(argv: list[str]) -> dict[str, float]:
    """Trains, scores and saves; returns the scores."""
    options = arguments(__doc__.splitlines()[0]).parse_args(argv)
    model, tokenizer, train, scored = prepare(options)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(options.out / "trainer"),
            num_train_epochs=options.epochs,
            per_device_train_batch_size=options.batch,
            per_device_eval_batch_size=options.batch,
            learning_rate=options.rate,
            weight_decay=0.01,
            warmup_steps=0.1,
            eval_strategy="epoch",
            save_strategy="no",
            report_to=[],
        ),
        data_collator=partial(collate, tokenizer=tokenizer),
        train_dataset=train,
        eval_dataset=scored,
        compute_metrics=metrics,
    )
    trainer.train()
    scores = trainer.evaluate()
    print(f"loss {scores['eval_loss']:.4f}, mean ROC-AUC {scores['eval_roc_auc']:.4f}")
    save(model, tokenizer, options.out)
    return scores


if __name__ == "__main__":
    main(sys.argv[1:])
