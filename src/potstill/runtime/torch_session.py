"""A torch model that the caller already holds, run where a session is expected.

torch is imported inside the calls only: whoever has such a model has loaded it already.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from potstill.bundle.config import position_offset
from potstill.errors import InputError
from potstill.runtime.session import QA_OUTPUTS, Logits
from potstill.text.windows import Batch


class TorchSession:
    """A model of this package's or of transformers', as a session."""

    def __init__(self, model: Any, outputs: tuple[str, ...] = QA_OUTPUTS) -> None:
        """Takes the model as it is, on the device it is on; it is put into evaluation mode.

        Args:
            model: called with ``input_ids``, ``attention_mask`` and, where its config has several,
                ``token_type_ids``; gives an object with the outputs. A model of multiple choice
                gets each row as a question with one choice.
            outputs: those to give, in this order.

        Raises:
            InputError: the object is no such model.
        """
        config = getattr(model, "config", None)
        if config is None or not hasattr(model, "parameters") or not hasattr(model, "eval"):
            raise InputError(f"{type(model).__name__} is no model of torch")
        self._model, self._outputs = model.eval(), outputs
        # Our configs and Hugging Face's name the same two numbers differently.
        self.max_positions: int = getattr(config, "max_positions", None) or _positions(config)
        types = getattr(config, "n_token_types", getattr(config, "type_vocab_size", 0))
        self._inputs = ["input_ids", "attention_mask"] + ["token_type_ids"] * (types > 1)
        named = type(model).__name__.endswith("ForMultipleChoice")
        self._chooses = named or getattr(model, "head", None) == "choice"

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs that were asked for, float32."""
        import torch

        device = next(self._model.parameters()).device
        feed = {name: torch.from_numpy(getattr(batch, name)).to(device) for name in self._inputs}
        if self._chooses:
            feed = {name: rows.unsqueeze(1) for name, rows in feed.items()}  # (n, 1, batch_len)
        with torch.inference_mode():
            output = self._model(**feed)
        return tuple(_numpy(getattr(output, name)) for name in self._outputs)


def _positions(config: Any) -> int:
    """Longest row of a model of transformers."""
    unused = position_offset(getattr(config, "model_type", ""), getattr(config, "pad_token_id", 0))
    return getattr(config, "max_position_embeddings", 512) - unused


def _numpy(logits: Any) -> Logits:
    return np.asarray(logits.float().cpu().numpy())
