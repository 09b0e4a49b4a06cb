"""Float weights read back from an ONNX file that ``bundle.onnx_graph`` wrote.

Initialisers carry our parameter names, so this is a lookup. A parameter ``x.weight`` is stored as
itself, or as ``x.weight.int8`` with ``x.weight.scale`` (and ``x.weight.smooth``); linear weights
lie there as [in, out].
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from potstill.errors import WeightsError

INT8 = ".int8"
SCALE = ".scale"
SMOOTH = ".smooth"
"""What the inputs of a linear layer were divided by, and its weights multiplied with."""


def read_onnx_weights(file: Path) -> dict[str, npt.NDArray[Any]]:
    """Reads the parameters of an ONNX file; int8 ones are multiplied out to float32.

    Returns:
        Our name → array, a linear layer's weight [out, in].

    Raises:
        WeightsError: the file is damaged, or was written by another program.
    """
    try:
        graph = onnx.load(str(file)).graph
    except (DecodeError, OSError, ValueError) as error:
        raise WeightsError(f"{file} is truncated or not an ONNX file ({error})") from None
    stored = {tensor.name: tensor for tensor in graph.initializer}
    if not all(isinstance(name, str) for name in stored):  # protobuf gives what is no text as bytes
        raise WeightsError(f"{file} is damaged: the name of a tensor in it is not text")
    weights: dict[str, npt.NDArray[Any]] = {}
    for name, tensor in stored.items():
        if name.endswith((".weight", ".bias")):
            value = numpy_helper.to_array(tensor)
        elif name.endswith(INT8) and name.removesuffix(INT8) + SCALE in stored:
            name = name.removesuffix(INT8)
            scale = numpy_helper.to_array(stored[name + SCALE])
            value = numpy_helper.to_array(tensor).astype(np.float32) * scale
            if name + SMOOTH in stored:
                value = value / numpy_helper.to_array(stored[name + SMOOTH])[:, None]
        else:
            continue
        is_linear = value.ndim == 2 and not name.startswith("embeddings.")
        weights[name] = np.ascontiguousarray(value.T) if is_linear else value
    if "embeddings.word.weight" not in weights:
        raise WeightsError(
            f"{file} was not written by potstill, so its weights cannot be read back; "
            "use the model's safetensors files"
        )
    return weights
