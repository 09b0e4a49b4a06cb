"""The bodies of the Open Inference Protocol, as pydantic models."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field

from potstill.serving.schemas import Body


class InferInput(Body):
    """A tensor of texts: ``BYTES``, of the shape ``[n]`` or ``[n, 1]``, flat or nested."""

    name: str = Field(examples=["question"])
    shape: list[Annotated[int, Field(ge=0, lt=2**63)]] = Field(examples=[[1]])
    datatype: str = Field(examples=["BYTES"])
    parameters: dict[str, Any] | None = None
    data: list[Any] = Field(examples=[["Who won?"]])


class InferOutput(Body):
    """The name of an output that is asked for."""

    name: str = Field(examples=["answer"])
    parameters: dict[str, Any] | None = None


class InferCall(Body):
    """A request of the Open Inference Protocol."""

    id: str | None = Field(default=None, description="Comes back with the answer.")
    parameters: dict[str, Any] | None = Field(
        default=None, description="Those of POST /, as far as the outputs keep their shape."
    )
    inputs: list[InferInput] = Field(min_length=1)
    outputs: list[InferOutput] | None = Field(default=None, description="By default all.")


class TensorOut(BaseModel):
    """A tensor: its elements in the order of its last axis, flat."""

    name: str
    shape: list[int]
    datatype: str
    data: list[str | float | int]


class InferOut(BaseModel):
    """An answer of the Open Inference Protocol."""

    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[TensorOut]


class TensorFacts(BaseModel):
    """What a tensor is; -1 for an axis of any length."""

    name: str
    datatype: str
    shape: list[int]


class ModelOut(BaseModel):
    """What a model takes and gives."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorFacts]
    outputs: list[TensorFacts]


class ServerOut(BaseModel):
    """What a server is."""

    name: str
    version: str
    extensions: list[str]


class PlainErrorOut(BaseModel):
    """An error as the Open Inference Protocol has it."""

    error: str
