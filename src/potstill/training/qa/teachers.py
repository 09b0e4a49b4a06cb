"""Teachers: models that label questions with the logits of every window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from potstill.bundle import layout
from potstill.bundle.cache import ensure_onnx
from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS
from potstill.bundle.manifest import Manifest, read_manifest
from potstill.bundle.weights import read_weights
from potstill.errors import ModelError, QuestionTooLongError, RecipeError
from potstill.models.qa import QuestionAnsweringModel
from potstill.records import QAExample
from potstill.runtime.machine import usable_cores
from potstill.runtime.runtimes import Layout, Runnable, open_usual, usual_budget
from potstill.runtime.session import Logits, Session
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer
from potstill.text.windows import Batch, assemble, by_token_budget, pad, windows
from potstill.training.kept.shards import tokenizer_hash, weights_hash
from potstill.training.qa.teacher_cache import Outputs, WindowOutput

_TORCH_BUDGET = {"cpu": 4096, "cuda": 32_768}
"""Device → most tokens of a batch in torch, which small ones leave idle."""


class Teacher:
    """A question-answering model that others learn from."""

    def __init__(
        self,
        name: str,
        *,
        seq_len: int,
        stride: int,
        device: str = "cpu",
        bf16: bool = False,
        threads: int = 0,
    ) -> None:
        """Opens a teacher; its weights are loaded when it is first asked.

        Args:
            name: a folder, a hub id or ``default``.
            seq_len: longest window, in tokens; less where the teacher has fewer positions.
            stride: tokens that neighbouring windows share.
            device: ``cpu`` or ``cuda``.
            bf16: multiply matrices in bfloat16, as a run of that precision does; on a processor
                that has it three times as quick as in float32. On a CPU an int8 file is read as
                it is, which is quicker still.
            threads: threads on the CPU, 0 for one for each core.

        Raises:
            ModelError: there is no such model, or it does not answer questions.
        """
        self.name = name
        self.folder = find_model(name)
        config = read_config(self.folder)
        manifest = read_manifest(self.folder) or Manifest()
        if manifest.task != HEADS[QuestionAnsweringModel.head].task:
            raise ModelError(
                f"teacher {name} was trained for {manifest.task}, not question answering"
            )
        self.tokenizer = Tokenizer.from_folder(self.folder)
        self.seq_len = min(seq_len, config.max_positions)
        self.stride = stride
        own = layout.onnx_file(self.folder)
        is_int8 = own is not None and layout.precision_of(own) == "int8"
        self._file: Path | None = None
        if device == "cpu" and (is_int8 or not bf16):
            self._file, bf16 = ensure_onnx(self.folder), False  # refuses a folder without the head
        self._device, self._bf16, self._threads = device, bf16, threads
        self._opened: tuple[Session, int] | None = None

    def facts(self) -> dict[str, Any]:
        """All that the outputs depend on, as hashes and numbers."""
        return {
            "weights": weights_hash(self.folder),
            "tokenizer": tokenizer_hash(self.folder),
            "seq_len": self.seq_len,
            "stride": self.stride,
            **({"precision": "bf16"} if self._bf16 else {}),
        }

    def read(self, examples: Sequence[QAExample]) -> list[Outputs]:
        """The logits of every window of every example.

        Raises:
            RecipeError: a question does not fit the teacher's windows.
        """
        texts = list(dict.fromkeys(example.context for example in examples))
        contexts = dict(zip(texts, self.tokenizer.encode_batch(texts), strict=True))
        questions = self.tokenizer.encode_batch([example.question for example in examples])
        rows, at = [], []
        for i, example in enumerate(examples):
            context = contexts[example.context]
            try:
                at += windows(
                    i,
                    i,
                    len(questions[i]),
                    len(context),
                    seq_len=self.seq_len,
                    stride=self.stride,
                    layout=self.tokenizer.layout,
                )
            except QuestionTooLongError as error:
                raise RecipeError(
                    f"question {example.id!r} does not fit the windows of teacher {self.name} "
                    f"({error}): give a larger teacher_seq_len"
                ) from None
            rows += [assemble(self.tokenizer, questions[i], context, w) for w in at[len(rows) :]]
        found: list[Outputs] = [[] for _ in examples]
        said = self._run(rows, [window.context_at for window in at])
        for window, (start, end) in zip(at, said, strict=True):
            found[window.question].append(
                WindowOutput(window.start, window.stop, window.context_at, start, end)
            )
        return found

    def _run(self, rows: list[Any], context_at: list[int]) -> list[tuple[Any, Any]]:
        if self._opened is None:
            self._opened = self._open()
        session, budget = self._opened
        said: list[tuple[Any, Any]] = [((), ())] * len(rows)
        for group in by_token_budget([len(row) for row in rows], budget):
            batch = pad(
                [rows[i] for i in group],
                [context_at[i] for i in group],
                self.tokenizer.pad_id,
                self.tokenizer.layout,
            )
            start, end = session.run(batch)
            for i, s, e in zip(group, start, end, strict=True):
                n = len(rows[i])
                said[i] = s[:n].astype(np.float16), e[:n].astype(np.float16)
        return said

    def open(self) -> Session:
        """Loads its weights."""
        return self._open()[0]

    def _open(self) -> tuple[Session, int]:
        """A session, and most tokens of its batches."""
        threads = self._threads or usable_cores()
        if self._file is not None:
            head = QuestionAnsweringModel.head
            model = Runnable(folder=self.folder, file=self._file, head=head)
            name, session = open_usual(model, Layout(1, threads))
            return session, usual_budget(name, threads)
        config = read_config(self.folder)
        read_weights(self.folder, config)  # refuses a folder without the head
        # A model is made of random numbers before its weights are read: the run that asks must not
        # miss those.
        with torch.random.fork_rng(devices=[]):
            model, _ = QuestionAnsweringModel.from_folder(self.folder, config)
        session = TorchSession(model.to(self._device), threads=self._threads or None)
        computes = _InBf16(session, self._device) if self._bf16 else session
        return computes, _TORCH_BUDGET[self._device]


class _InBf16:
    """A session whose matrices are multiplied in bfloat16."""

    def __init__(self, session: Session, device: str) -> None:
        self._session, self._device = session, device

    def run(self, batch: Batch) -> tuple[Logits, ...]:
        """As the session gives them."""
        with torch.autocast(self._device, torch.bfloat16):
            return self._session.run(batch)
