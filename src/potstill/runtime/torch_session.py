"""A torch model run where a session is expected: one that the caller holds, or a model folder's.

torch and `potstill.models` are imported inside the calls only.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.added import late
from potstill.bundle.config import position_offset
from potstill.bundle.heads import HEADS, QA_OUTPUTS, HeadName
from potstill.errors import InputError, MissingExtraError
from potstill.runtime.session import Logits
from potstill.text.windows import Batch


class TorchSession:
    """A model of this package's or of transformers', as a session."""

    def __init__(
        self, model: Any, outputs: tuple[str, ...] = QA_OUTPUTS, *, threads: int | None = None
    ) -> None:
        """Takes the model as it is, on the device it is on; it is put into evaluation mode.

        Args:
            model: called with ``input_ids``, ``attention_mask`` and, where its config has several,
                ``token_type_ids``; gives an object with the outputs. A model of multiple choice
                gets each row as a question with one choice.
            outputs: those to give, in this order.
            threads: of one run on the CPU; by default as many as torch is set to.

        Raises:
            InputError: the object is no such model.
        """
        config = getattr(model, "config", None)
        if config is None or not hasattr(model, "parameters") or not hasattr(model, "eval"):
            raise InputError(f"{type(model).__name__} is not a model of torch")
        self._model, self._outputs, self.threads = model.eval(), outputs, threads
        # Our configs and Hugging Face's name the same two numbers differently.
        self.max_positions: int = getattr(config, "max_positions", None) or _positions(config)
        types = getattr(config, "n_token_types", getattr(config, "type_vocab_size", 0))
        self._inputs = ["input_ids", "attention_mask"] + ["token_type_ids"] * (types > 1)
        ours = HEADS.get(getattr(model, "head", ""))
        self._grouped = ours.grouped if ours else type(model).__name__.endswith("ForMultipleChoice")

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs that were asked for, float32."""
        import torch

        device = next(self._model.parameters()).device
        feed = {name: torch.from_numpy(getattr(batch, name)).to(device) for name in self._inputs}
        if self._grouped:
            feed = {name: rows.unsqueeze(1) for name, rows in feed.items()}  # (n, 1, batch_len)
        with torch.inference_mode(), _threads(self.threads):
            output = self._model(**feed)
        return tuple(_numpy(getattr(output, name)) for name in self._outputs)


def open_torch(
    folder: Path,
    head: HeadName,
    *,
    outputs: tuple[str, ...] = QA_OUTPUTS,
    threads: int | None = None,
    device: str = "cpu",
    bf16: bool = False,
) -> TorchSession:
    """A session of a model folder's float weights.

    Args:
        folder: a model folder.
        head: which of its heads.
        outputs: those to give, in this order.
        threads: of one run on the CPU; by default as many as torch is set to.
        device: ``cpu`` or ``cuda``.
        bf16: hold the weights and compute in bfloat16.

    Raises:
        MissingExtraError: torch is not installed.
        InputError: there is no such device here.
        ConfigError: models of this type have no such head.
        WeightsError: the weights are damaged or do not fit the config.
    """
    try:
        import torch
    except ImportError:
        raise MissingExtraError("torch", "train", "the runtime torch") from None
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("torch finds no CUDA device here: use the runtime torch or onnxruntime")
    model: Any = late(HEADS[head].model).from_pretrained(folder)
    model = model.to(device=device, dtype=torch.bfloat16 if bf16 else torch.float32)
    return TorchSession(model, outputs, threads=threads)


@contextmanager
def _threads(wanted: int | None) -> Generator[None, None, None]:
    """Lets torch compute with so many threads in this thread, and then as before."""
    import torch

    before = torch.get_num_threads()
    if wanted is None or wanted == before:
        yield
        return
    torch.set_num_threads(wanted)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _positions(config: Any) -> int:
    """Longest row of a model of transformers."""
    unused = position_offset(getattr(config, "model_type", ""), getattr(config, "pad_token_id", 0))
    return getattr(config, "max_position_embeddings", 512) - unused


def _numpy(logits: Any) -> Logits:
    return np.asarray(logits.float().cpu().numpy())
