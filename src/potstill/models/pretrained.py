"""Models from folders and hub ids, and back: ``from_pretrained`` and ``save_pretrained``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from typing_extensions import Self

from potstill.bundle import layout
from potstill.bundle.atomic import write_json
from potstill.bundle.config import ModelConfig, read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import HEADS, HeadName, architecture, hf_config
from potstill.bundle.hf_configs import PretrainedConfig, as_pretrained, with_options
from potstill.bundle.weights import Weights, check_weights, read_weights, write_weights
from potstill.errors import ConfigError

_ENCODER = "encoder."
"""Where a model keeps its encoder; a bundle's parameter names leave it out."""


class Pretrained(nn.Module):
    """Base of all models that are read from and written to model folders."""

    model_type: ClassVar[str | None] = None
    """The only ``model_type`` a class accepts; ``None`` for any."""
    head: ClassVar[HeadName]
    """The head that a class puts on its encoder."""

    def __init__(self, config: ModelConfig) -> None:
        """Makes the model with random weights.

        Raises:
            ConfigError: the config describes another type of model, or one that has no such head.
        """
        super().__init__()
        if self.model_type not in (None, config.model_type):
            raise ConfigError(
                f"{type(self).__name__} needs a {self.model_type} config, "
                f"not a {config.model_type} one"
            )
        architecture(config, self.head)  # refuses a head that such models do not have
        self.config: PretrainedConfig = as_pretrained(config)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path,
        *,
        config: ModelConfig | None = None,
        revision: str | None = None,
        **options: Any,
    ) -> Self:
        """Loads a model in float32 and evaluation mode.

        A folder without the head of this class (a bare encoder, one with another head, or with a
        head for other labels) gives a model whose head is random, with a warning: it has to be
        trained.

        Args:
            model: ``"default"``, a model folder (Hugging Face's or a bundle) or a hub id.
            config: in place of the model's own.
            revision: branch, tag or commit of a hub id.
            options: fields of the config to have other values, in Hugging Face's names, such as
                ``num_labels``, ``id2label`` and ``problem_type``.

        Raises:
            ModelNotFoundError: there is no such model.
            ConfigError: an unsupported config, or one of another type of model.
            WeightsError: the weights are damaged or do not fit the config.
            TypeError: an option that no such config has.
        """
        folder = find_model(model, revision=revision)
        config = read_config(folder) if config is None else config
        unknown = [name for name in options if not hasattr(config, name)]
        if unknown:
            raise TypeError(f"{cls.__name__}.from_pretrained takes no option {unknown[0]!r}")
        loaded, new = cls.from_folder(folder, with_options(config, options))
        if new:
            warnings.warn(
                f"{folder} has no {HEADS[cls.head].title}: a new one was made, train it before use",
                UserWarning,
                stacklevel=2,
            )
        return loaded.eval()

    @classmethod
    def from_folder(cls, folder: Path, config: ModelConfig) -> tuple[Self, bool]:
        """Loads the weights of ``folder`` into a model of ``config``.

        Returns:
            The model, and whether its head is new (random) because the folder has none.
        """
        weights = read_weights(folder, config, head=cls.head, require_head=False)
        model = cls(config)
        new = any(name not in weights for name, _ in model._named())
        model.load_weights(weights)
        return model, new

    def load_weights(self, weights: Weights) -> None:
        """Takes over arrays under the bundle's names; the head stays as it is where absent.

        Raises:
            WeightsError: a name or a shape that is not this model's.
        """
        own = dict(self._named())
        head = HEADS[self.head].shapes(self.config)
        shapes = {n: tuple(p.shape) for n, p in own.items() if n in weights or n not in head}
        check_weights(weights, shapes, where="the weights")
        with torch.no_grad():
            for name in shapes:
                # A copy: arrays that came from a file may be read-only.
                own[name].copy_(torch.from_numpy(np.array(weights[name], np.float32)))

    def to_weights(self) -> Weights:
        """The parameters as numpy arrays under the bundle's names, float32."""
        return {name: p.detach().float().cpu().numpy() for name, p in self._named()}

    def save_pretrained(self, folder: str | Path, *, half: bool = False) -> None:
        """Writes ``config.json`` and ``model.safetensors``, as Hugging Face lays them out.

        Args:
            folder: made where it is missing; other files in it stay.
            half: store float16.

        Raises:
            OutputError: a file could not be written; it is as it was before.
        """
        dtype = np.float16 if half else np.float32
        weights = {name: array.astype(dtype) for name, array in self.to_weights().items()}
        folder = Path(folder)
        write_weights(folder / layout.WEIGHTS, weights, self.config, self.head)
        write_json(
            folder / layout.CONFIG, hf_config(self.config, self.head, dtype=np.dtype(dtype).name)
        )

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return [(name.removeprefix(_ENCODER), p) for name, p in self.named_parameters()]
