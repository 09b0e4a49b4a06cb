"""What the writers of all formats start from, and how they load the libraries they need."""

from __future__ import annotations

import importlib
import os
from dataclasses import dataclass, field
from typing import Any

from potstill.bundle.config import ModelConfig
from potstill.bundle.heads import HEADS, HeadName
from potstill.bundle.weights import Weights
from potstill.errors import ConfigError, MissingExtraError

INPUTS = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(slots=True)
class Source:
    """A float32 model that is written in several formats."""

    config: ModelConfig
    head: HeadName
    weights: Weights
    """Every parameter under our names, linear weights [out, in]."""
    seq_len: int
    """Length of the rows that a file of fixed length takes."""
    memo: dict[str, Any] = field(default_factory=dict)
    """What one writer made and another needs too."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: token types only where the model tells them apart."""
        return INPUTS if self.config.n_token_types > 1 else INPUTS[:2]

    def check_plain(self, target: str) -> None:
        """Refuses an encoder whose layers a writer does not know.

        Args:
            target: the format, as messages call it.

        Raises:
            ConfigError: they are not BERT's.
        """
        if not self.config.spec.plain:
            raise ConfigError(
                f"{self.config.model_type} models cannot be written as {target} yet: "
                "use onnx, fp16, int8 or openvino"
            )

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs outside ONNX: starts and ends, or the logits of any other head."""
        return output_names(self.head)


def output_names(head: HeadName) -> tuple[str, ...]:
    """``output_0`` and, of question answering, ``output_1``, as TensorFlow numbers a tuple."""
    return tuple(f"output_{i}" for i in range(len(HEADS[head].outputs)))


def library(module: str, extra: str, purpose: str) -> Any:
    """Imports a module of an optional dependency.

    Raises:
        MissingExtraError: it is not installed.
    """
    if module.startswith("tensorflow"):
        # Read once, while TensorFlow is loaded: without it a dozen lines about the processor.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = PACKAGES.get(module.partition(".")[0], module.partition(".")[0])
        if error.name and error.name.partition(".")[0] != module.partition(".")[0]:
            package = f"{package} (which lacks {error.name})"
        raise MissingExtraError(package, extra, purpose) from None


PACKAGES = {
    "tensorflow": "tensorflow-cpu",
    "ai_edge_litert": "ai-edge-litert",
}
"""Module → its package, where that is called otherwise."""
