"""A model that is served: opened by its task, turning calls into plans and results into JSON."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from pydantic import BaseModel

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HEADS
from potstill.bundle.manifest import Manifest
from potstill.runtime.client import Client
from potstill.runtime.plans import Outputs, Plan, Row
from potstill.serving.batcher import Lane
from potstill.serving.cache import ContextCache
from potstill.serving.faults import Refusal
from potstill.serving.options import Limits

_NARROW = re.compile("[^\u2e80-\ufeff\U00020000-\U0003ffff]+")
"""Characters that are not of Chinese, Japanese or Korean."""
Call = TypeVar("Call", bound=BaseModel)
ClientT = TypeVar("ClientT", bound=Client[Any])


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a model beside its weights."""

    name: str
    folder: Path
    config: ModelConfig
    manifest: Manifest | None


@dataclass(frozen=True, slots=True)
class Column:
    """An output as a tensor."""

    datatype: str
    """Of the Open Inference Protocol: ``BYTES``, ``FP64``, ``INT64``."""
    of: Callable[[Any], Any]
    """Takes what `Served.shape` gives for one input; gives the tensor's element, or its row."""
    many: bool = False
    """Whether it is a row, equally long for all inputs."""


class Served(ABC, Generic[Call, ClientT]):
    """One model; a subclass for each task. Safe to share between threads."""

    task: ClassVar[str]
    schema: ClassVar[type[BaseModel]]
    outputs: ClassVar[tuple[str, ...]]
    """What the model gives, under the names of its ONNX file."""

    texts: ClassVar[Mapping[str, bool]]
    """Names of the texts of one input of a call, and whether each has to be there."""
    columns: ClassVar[Mapping[str, Column]]
    """What is found for an input, as tensors by their names."""

    def __init__(self, facts: Facts, limits: Limits, cache: ContextCache, client: ClientT) -> None:
        self.facts = facts
        self.limits = limits
        self.cache = cache
        self.client = client

    @property
    def seq_len(self) -> int:
        """Longest row in tokens that a call may ask for."""
        return self.client.options.seq_len

    @abstractmethod
    def plans(self, call: Call) -> Iterable[Plan[Any]]:
        """One plan for each question or text of a call, each made when it is asked for.

        Raises:
            Refusal: one of them cannot be used; the refusal names it.
        """

    @abstractmethod
    def shape(self, call: Call, found: Sequence[Any]) -> tuple[Any, int]:
        """The JSON of an answer, and how many inputs had to be cut."""

    def check_tensors(self, call: Call) -> None:
        """Refuses a call whose answers are no tensors."""

    def lane(self) -> Lane:
        """What the batcher has to know."""
        tokenizer = self.client.tokenizer
        ids = np.array([tokenizer.cls_id, tokenizer.sep_id, tokenizer.sep_id], np.int64)
        budget = self.client.options.token_budget
        return Lane(self.client.session, tokenizer, budget, Row(ids, 2))

    def check_count(self, n: int, field: str = "inputs") -> None:
        """Refuses a list that is empty or too long."""
        if not n:
            raise Refusal(400, f"{field} is an empty list: give at least one", field=field)
        if n > self.limits.max_items:
            raise Refusal(
                413,
                f"{n} {field} are above the limit of {self.limits.max_items}: send fewer at a time",
                field=field,
            )

    def check_windows(self, n: int) -> None:
        """Refuses what would take too many windows."""
        if n > self.limits.max_windows:
            raise Refusal(
                413,
                f"the request takes {n} windows or more; the limit is {self.limits.max_windows}: "
                "send less at a time",
                field="inputs",
            )

    def check_texts(self, texts: Iterable[str], field: str = "inputs") -> None:
        """Refuses texts that are too long together, before any of them is tokenized.

        Those of East Asia are a token each, take twice the time of others, and count twice.
        """
        every = set(texts)
        n, most = sum(map(len, every)), max(self.limits.max_text, self.limits.max_context)
        if n <= most:
            n += sum(len(_NARROW.sub("", text)) for text in every)
        if n > most:
            raise Refusal(
                413,
                f"{field}: the texts have {n} characters together, those of East Asia counted "
                f"twice; the limit is {most}: send fewer at a time",
                field=field,
            )

    def gather(self, plans: Iterable[Plan[Any]]) -> Iterator[Plan[Any]]:
        """The plans of a request, as long as they have no more windows than one may have."""
        n = 0
        for plan in plans:
            n += len(plan.rows)
            self.check_windows(n)
            yield plan

    def check_text(self, text: str, field: str) -> None:
        """Refuses a text that is blank or too long."""
        if not text.strip():
            raise Refusal(400, f"{field} is empty: give some text", field=field)
        if len(text) > self.limits.max_context:
            raise Refusal(
                413,
                f"{field} has {len(text)} characters; the limit is {self.limits.max_context}",
                field=field,
            )

    def tensor_plan(self, row: Row, n: int) -> Plan[list[list[Any]]]:
        """The plan of a row of ids as such: each output as nested lists.

        Outputs that speak of tokens are as long as ``n``; behind the row they are 0.
        """

        def finish(said: Sequence[Outputs]) -> list[list[Any]]:
            (outputs,) = said
            by_token = HEADS[self.client.head].by_token
            return [_padded(output, len(row), n) if by_token else output.tolist()
                    for output in outputs]  # fmt: skip

        return Plan([row], finish)


def _padded(output: Any, kept: int, n: int) -> list[Any]:
    found = np.zeros((n, *output.shape[1:]), np.float32)
    found[:kept] = output[:kept]
    return found.tolist()
