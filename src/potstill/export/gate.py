"""The gate: an exported file may not lose more F1 than was allowed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from potstill.data.qa import load_qa
from potstill.errors import DataError, GateError
from potstill.evaluation.readings import collect, score_predictions
from potstill.records import QAExample
from potstill.runtime.qa import QAClient
from potstill.runtime.session import usable_cores


@dataclass(frozen=True, slots=True)
class Gate:
    """Questions with gold answers, and how much F1 a file may lose on them."""

    examples: Sequence[QAExample]
    no_answer: bool
    max_drop: float
    """In points of F1 (percent)."""
    data: str
    """What the questions are called in messages and in the manifest."""

    @classmethod
    def from_file(cls, path: str | Path, max_drop: float) -> Gate:
        """Reads the questions of a data file.

        Raises:
            DataError: the file cannot be read or holds no questions.
        """
        loaded = load_qa(path)
        if not loaded.examples:
            raise DataError(f"{path} holds no questions to measure F1 on")
        return cls(loaded.examples, loaded.no_answer, max_drop, Path(path).name)

    def f1(self, folder: Path, file: Path) -> dict[str, float]:
        """Exact match and F1 of one ONNX file of a folder, through the runtime."""
        client = QAClient.from_options(folder, onnx_file=file, no_answer=self.no_answer, threads=1)
        pairs = ((e.question, e.context) for e in self.examples)
        # Several workers of one thread read faster than one of several, and alike.
        found = collect(self.examples, client.read_many(pairs, workers=usable_cores()))
        scores = score_predictions(
            self.examples, found, rules_v2=self.no_answer, null_threshold=client.options.threshold
        )
        return {name: scores[name] for name in ("exact", "f1", "total")}

    def check(self, name: str, before: float, after: float) -> None:
        """Compares two F1 scores.

        Raises:
            GateError: the file lost more than the gate allows.
        """
        if before - after > self.max_drop:
            raise GateError(
                f"{name} would lose {before - after:.2f} F1 on {self.data}: {before:.2f} in fp32, "
                f"{after:.2f} after; {self.max_drop:g} allowed (--max-drop). Nothing was written"
            )
