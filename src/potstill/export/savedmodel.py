"""TensorFlow SavedModel: for TensorFlow Serving, tfjs-node, and the C API that C++ and Go use.

Two signatures under the tag ``serve``, int32 in, float32 out:

- ``serving_default``: rows of one length, [-1, seq_len], as the readers of the DistilBERT article
  know it: ``input_ids`` and ``attention_mask`` to ``output_0`` (starts) and ``output_1`` (ends);
- ``dynamic``: rows of any length, [-1, -1].

A model that tells token types apart takes ``token_type_ids`` too; heads other than question
answering give their logits as ``output_0``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from potstill.bundle.heads import HEADS, HeadName
from potstill.errors import ModelError
from potstill.export.source import Source, output_names
from potstill.export.tf_graph import build_module, signature, tensorflow
from potstill.runtime.session import Logits
from potstill.text.windows import Batch

FIXED, DYNAMIC = "serving_default", "dynamic"


def write(source: Source, file: Path) -> None:
    """Writes the folder of ``file``, which is its ``saved_model.pb``.

    Raises:
        MissingExtraError: TensorFlow is not installed.
    """
    tf, module = tensorflow(), build_module(source)
    signatures = {
        FIXED: signature(source, module, source.seq_len),
        DYNAMIC: signature(source, module, None),
    }
    tf.saved_model.save(module, str(file.parent), signatures=signatures)


class SavedModelSession:
    """A SavedModel in TensorFlow, on the CPU. Safe to share between threads."""

    def __init__(self, file: Path, head: HeadName, *, name: str = DYNAMIC) -> None:
        """Loads the folder of ``file``.

        Args:
            file: ``saved_model.pb``.
            head: what the model carries.
            name: the signature to run.

        Raises:
            MissingExtraError: TensorFlow is not installed.
            ModelError: the folder is damaged or has no such signature.
        """
        self._tf, self.file = tensorflow(), file
        try:
            self._model = self._tf.saved_model.load(str(file.parent))
            self._run = self._model.signatures[name]
        except (OSError, KeyError, ValueError, self._tf.errors.OpError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else name
            raise ModelError(f"{file.parent} is damaged or no SavedModel: {reason}") from None
        specs = self._run.structured_input_signature[1]
        self._inputs, self._outputs = sorted(specs), output_names(head)
        self._by_token = HEADS[head].by_token
        self.seq_len: int | None = specs["input_ids"].shape[1]
        """Length of the rows the signature takes; ``None`` for any."""

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """The outputs, float32, of rows no longer than ``seq_len``: shorter ones are padded."""
        n = batch.input_ids.shape[1]
        more = (self.seq_len or n) - n
        feed = {name: self._tensor(getattr(batch, name), more) for name in self._inputs}
        found = self._run(**feed)
        logits = tuple(found[name].numpy() for name in self._outputs)
        return tuple(one[:, :n] for one in logits) if more and self._by_token else logits

    def _tensor(self, rows: Any, more: int) -> Any:
        return self._tf.constant(np.pad(rows, ((0, 0), (0, more))), dtype=self._tf.int32)
