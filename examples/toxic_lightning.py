"""Toxic comments in a ``LightningModule``: several labels a text, on BERT-Tiny.

::

    pip install 'potstill[train]' 'pytorch-lightning!=2.6.2,!=2.6.3'
    python examples/toxic_lightning.py train.csv runs/toxic
    potstill classify "you are nice" --model runs/toxic
"""

from __future__ import annotations

import sys
from functools import partial

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from toxic_comments import arguments, collate, mean_roc_auc, prepare, save

from potstill.models.classification import ClassificationModel


class ToxicComments(pl.LightningModule):
    """Our classifier as Lightning trains it."""

    def __init__(self, model: ClassificationModel, rate: float) -> None:
        super().__init__()
        # A loaded model is in evaluation mode, and Lightning trains a module in the mode it has.
        self.model = model.train()
        self.rate = rate
        self.seen: list[tuple[Tensor, Tensor]] = []

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        """The loss of a batch."""
        loss = self.model(**batch).loss
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        """Logs the loss, and keeps logits and labels for the scores of an epoch."""
        output = self.model(**batch)
        self.log("val_loss", output.loss, batch_size=len(batch["labels"]))
        self.seen.append((output.logits.cpu(), batch["labels"].cpu()))

    def on_validation_epoch_end(self) -> None:
        """Logs the scores of the epoch."""
        logits, labels = (torch.cat(part).numpy() for part in zip(*self.seen, strict=True))
        self.log("val_roc_auc", mean_roc_auc(logits, labels))
        self.seen.clear()

    def configure_optimizers(self) -> dict[str, object]:
        """AdamW, its rate going down in a straight line after a short way up."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.rate, weight_decay=0.01)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, self.rate, total_steps=steps, pct_start=0.1, anneal_strategy="linear"
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }


def main(argv: list[str]) -> dict[str, float]:
    """Trains, scores and saves; returns the scores."""
    options = arguments(__doc__.splitlines()[0]).parse_args(argv)
    model, tokenizer, train, scored = prepare(options)
    module = ToxicComments(model, options.rate)
    loader = partial(
        DataLoader, batch_size=options.batch, collate_fn=partial(collate, tokenizer=tokenizer)
    )
    trainer = pl.Trainer(max_epochs=options.epochs, logger=False, enable_checkpointing=False)
    trainer.fit(module, loader(train, shuffle=True), loader(scored))
    (scores,) = trainer.validate(module, loader(scored), verbose=False)
    print(f"loss {scores['val_loss']:.4f}, mean ROC-AUC {scores['val_roc_auc']:.4f}")
    save(model, tokenizer, options.out)
    return scores


if __name__ == "__main__":
    main(sys.argv[1:])
