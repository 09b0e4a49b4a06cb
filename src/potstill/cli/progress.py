"""How a training run is shown: a bar on a terminal, a line now and then anywhere else."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from typing_extensions import Self

_LINE_SECONDS = 30.0
"""How often a line is written where there is no terminal."""
_FIRST_STEPS = 5
"""Steps behind the first that an estimate of the time takes at least."""
_FIRST_SECONDS = 10.0
"""Seconds that it takes at least: a run that is over sooner needs none."""
_SMOOTH = 0.98
"""Weight of the past in the running means of loss and speed."""


class TrainingProgress:
    """Shows loss, tokens a second and the time left, on stderr."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[said]}"),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("training", total=None, visible=False, said="")
        self._stages: dict[str, TaskID] = {}
        self._n_steps = 0
        self._first = 0
        self._loss: float | None = None
        self._tokens = 0
        self._began: float | None = None
        self._at = 0.0
        self._line_at = time.monotonic()
        self._estimated = False

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Prints a line."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def start(self, step: int, n_steps: int) -> None:
        """Training begins (or goes on) behind ``step`` of ``n_steps``."""
        self._n_steps, self._first = n_steps, step
        self._bar.update(self._task, total=n_steps, completed=step, visible=True)
        if step:
            self.note(f"going on behind step {step} of {n_steps}")

    def stage(self, name: str, done: int, total: int) -> None:
        """A stage before the training has done so much of so much."""
        if name not in self._stages:
            self._stages[name] = self._bar.add_task(name, total=total, said="")
        self._bar.update(self._stages[name], completed=done)
        if self._console.is_terminal:
            return
        if time.monotonic() - self._line_at > _LINE_SECONDS or done == total:
            self._line_at = time.monotonic()
            self.note(f"{name}: {done:,} of {total:,}")

    def step(self, step: int, loss: float, tokens: int, seconds: float) -> None:
        """A step is done: its number, loss and tokens, and the seconds of training so far."""
        if self._began is None:
            # The first step warms caches up and says nothing of the speed.
            self._began, self._loss = seconds, loss
        else:
            self._tokens += tokens
        self._loss = _SMOOTH * (self._loss or loss) + (1 - _SMOOTH) * loss
        speed = self._tokens / max(seconds - self._began, 1e-9)
        said = f"loss {self._loss:.3f}  {speed:,.0f} tokens/s"
        self._bar.update(self._task, completed=step, said=said)
        done, trained = step - self._first - 1, seconds - self._began
        each = trained / max(1, done)
        if not self._estimated and done >= _FIRST_STEPS and trained >= _FIRST_SECONDS:
            self._estimated = True
            whole = each * (self._n_steps - self._first)
            self.note(f"about {_duration(whole)} for these steps, at {speed:,.0f} tokens/s")
        if self._console.is_terminal:
            return
        if time.monotonic() - self._line_at > _LINE_SECONDS or step == self._n_steps:
            self._line_at = time.monotonic()
            left = _duration((self._n_steps - step) * each)
            self.note(f"step {step}/{self._n_steps}  {said}  {left} left")


def _duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever says it in one or two numbers."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
