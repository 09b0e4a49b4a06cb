"""`pipeline` for the tasks that label whole texts: "text-classification", "multiple-choice".

Call forms, parameters, defaults and result keys are those of transformers 5.23
(``pipelines/text_classification.py``); multiple choice, which transformers has no pipeline for, is
made in their manner. What differs, on purpose: a text that is too long is cut with a warning where
``truncation`` is not given, rather than failing inside the model, and probabilities are calibrated
where the model's manifest says how, unless ``function_to_apply`` is given.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import numpy.typing as npt

from potstill.bundle.config import read_config
from potstill.bundle.find import find_model
from potstill.bundle.heads import LOGITS
from potstill.errors import InputError, MissingKeyError
from potstill.runtime.choice import ChoiceOptions, Chooser
from potstill.runtime.classification import Classifier, ClassifyOptions, TextLogits
from potstill.runtime.opening import Workers
from potstill.runtime.pipeline_inputs import as_stream
from potstill.runtime.pipelines import (
    IGNORED,
    as_tokenizer,
    check_count,
    check_device,
    check_surroundings,
    no_parameter,
)
from potstill.runtime.texts import TextOrPair
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer

Result = dict[str, Any]

_CHUNK = 64
"""Items of a stream that are read together."""
_CUTTING = {"truncation", "max_length", "padding", "add_special_tokens", "return_tensors"}
"""Parameters that transformers hands to its tokenizer: rows are always padded and cut here."""


class TaskPipeline(ABC):
    """What the pipelines share: how a model is opened and what a call may be given."""

    task: ClassVar[str]
    client_class: ClassVar[type[Any]]
    parameters: ClassVar[Mapping[str, Any]]
    """Name → default of everything that a call takes beside its inputs."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        *,
        device: Any = None,
        framework: str | None = None,
        torch_dtype: Any = None,
        dtype: Any = None,
        revision: str | None = None,
        threads: int | None = None,
        runtime: str | None = None,
        workers: Workers = None,
        **defaults: Any,
    ) -> None:
        """Opens a model.

        Args:
            model: a model folder or a hub id; a client of this task; or a torch model, of this
                package or of transformers, which needs a ``tokenizer``.
            tokenizer: a tokenizer of this package or a fast one of transformers, a folder or hub
                id; by default the model folder's own.
            device: where a torch model is moved; anything else runs on the CPU.
            framework: ``"pt"`` or nothing.
            torch_dtype: float32 or ``"auto"``.
            dtype: the newer name of ``torch_dtype``.
            revision: branch, tag or commit of a hub id.
            threads: threads of one run; by default one for each core.
            runtime: what runs the model; see `QAClient.from_options`, and for the next.
            workers: runs at the same time, where many texts are read.
            **defaults: what calls use unless they say otherwise; see ``__call__``.

        Raises:
            InputError: a parameter cannot be used.
            ModelError: the model or its tokenizer cannot be used.
        """
        check_surroundings(framework, torch_dtype if dtype is None else dtype)
        opening = {"threads": threads, "runtime": runtime, "workers": workers}
        self.client = self._open(model, tokenizer, device, revision, opening)
        self.tokenizer: Tokenizer = self.client.tokenizer
        self.model = model
        self._given = self._checked(defaults)

    def _open(
        self,
        model: Any,
        tokenizer: Any,
        device: Any,
        revision: str | None,
        opening: Mapping[str, Any],
    ) -> Any:
        if isinstance(model, (str, Path, self.client_class)):
            check_device(device)
            client: Any = model
            if isinstance(model, (str, Path)):
                client = self._of_folder(find_model(model, revision=revision), opening)
            if tokenizer is None:
                return client
            return client.using(tokenizer=as_tokenizer(tokenizer, revision))
        if tokenizer is None:
            raise InputError("a torch model comes without its tokenizer: pass tokenizer= too")
        session = TorchSession(model, LOGITS)
        if device is not None:
            model.to({-1: "cpu"}.get(device, device))
        longest = getattr(tokenizer, "model_max_length", session.max_positions)
        seq_len = min(session.max_positions, longest)
        return self._of_torch(as_tokenizer(tokenizer, revision), session, model.config, seq_len)

    def _of_folder(self, folder: Path, opening: Mapping[str, Any]) -> Any:
        return self.client_class.from_options(folder, **opening)

    @abstractmethod
    def _of_torch(
        self, tokenizer: Tokenizer, session: TorchSession, config: Any, seq_len: int
    ) -> Any:
        """A client of a torch model, whose config has Hugging Face's names."""

    def _checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Checks parameters by name."""
        values = {name: value for name, value in given.items() if name not in IGNORED}
        unknown = sorted(values.keys() - self.parameters.keys())
        if unknown:
            raise InputError(no_parameter(unknown[0], self.parameters))
        check_count("top_k", values.get("top_k"))
        return values

    def _streamed(self, inputs: Iterable[Any], parameters: dict[str, Any]) -> Iterator[Any]:
        """Results of a generator's items, in order, as they are found."""
        chunk: list[Any] = []
        for item in inputs:
            chunk.append(item)
            if len(chunk) == _CHUNK:
                yield from self._results(chunk, parameters)
                chunk = []
        yield from self._results(chunk, parameters)

    @abstractmethod
    def _results(self, items: list[Any], parameters: dict[str, Any]) -> list[Any]:
        """What is found for each item."""


class TextClassificationPipeline(TaskPipeline):
    """Labels texts, called as transformers' own is. Safe to share by threads."""

    task = "text-classification"
    client_class = Classifier
    parameters: ClassVar[Mapping[str, Any]] = {
        "top_k": 1,
        "function_to_apply": None,
        **dict.fromkeys(sorted(_CUTTING)),
    }
    _single_output_is_probability = False

    def __call__(self, inputs: Any, **kwargs: Any) -> Any:
        """Classifies.

        Args:
            inputs: a text, ``{"text": …, "text_pair": …}``, a list of either, or a generator of
                either, or a data set of torch or ``datasets``.
            **kwargs: ``top_k`` (1; ``None`` for all labels), ``function_to_apply`` (``"sigmoid"``,
                ``"softmax"`` or ``"none"``, of the bare logits; by default what the model was
                trained for), ``truncation``, ``max_length`` (reads so many tokens and no more).

        Returns:
            For one text ``[{"label", "score"}]``, its best label; for a list a dictionary each.
            With ``top_k``, a list of dictionaries for each, best first. For a generator an
            iterator.

        Raises:
            InputError: the inputs are of no such form.
            EmptyInputError: a text is empty.
        """
        asked = self._checked(kwargs)
        parameters = self._given | asked
        stream = as_stream(inputs)
        if stream is not None:
            return self._streamed(stream, parameters)
        several = isinstance(inputs, list)
        items = cast("list[Any]", inputs) if several else [inputs]
        results = self._results(items, parameters)
        if several:
            return results
        # As transformers: a bare text gets a list, unless this very call named top_k.
        return [results[0]] if isinstance(inputs, str) and "top_k" not in asked else results[0]

    def _results(self, items: list[Any], parameters: dict[str, Any]) -> list[Any]:
        client: Classifier = self.client
        longest = parameters.get("max_length")
        if longest is not None and longest < client.options.seq_len:
            # Who names a length means one row of it, also of a model that reads long texts whole.
            options = replace(client.options, seq_len=longest, max_windows=1)
            client = client.using(options=options)
        # As transformers: a blank text among others is read as its special tokens alone.
        blanks = len(items) > 1
        found = list(client.read_many([_text(item) for item in items], blanks=blanks))
        n_cut = sum(said.truncated for said in found)
        if n_cut and not parameters.get("truncation"):
            n = client.options.max_windows
            warnings.warn(
                f"{n_cut} of {len(found)} texts were cut to {f'{n} times ' if n > 1 else ''}"
                f"{client.options.seq_len} tokens; truncation=True says that this is meant",
                UserWarning,
                stacklevel=4,
            )
        return [self._result(client, said, parameters) for said in found]

    def _result(self, client: Classifier, said: TextLogits, parameters: dict[str, Any]) -> Any:
        scores = self._scores(client, said, parameters.get("function_to_apply"))
        best: list[Result] = [
            {"label": client.options.labels[i], "score": float(scores[i])}
            for i in np.argsort(-scores, kind="stable")
        ]
        return best[: parameters["top_k"]] if "top_k" in parameters else best[0]

    def _scores(
        self, client: Classifier, said: TextLogits, function: str | None
    ) -> npt.NDArray[np.float64]:
        """The score of every label, in the labels' order."""
        if function is None and self._single_output_is_probability:
            function = "sigmoid"
        if function is None:
            return client.scores(said)
        logits = said.logits.astype(np.float64)
        function = str(function).rpartition(".")[2].lower()  # transformers' enumeration too
        if function == "none":
            return logits
        if function == "sigmoid":
            return 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
        if function != "softmax":
            raise InputError(f"function_to_apply {function!r} is none of sigmoid, softmax, none")
        mass = np.exp(logits - logits.max())
        return mass / mass.sum()

    def _of_folder(self, folder: Path, opening: Mapping[str, Any]) -> Classifier:
        config = read_config(folder)
        self._single_output_is_probability = config.n_labels == 1 and not config.problem
        return Classifier.from_options(folder, **opening)

    def _of_torch(
        self, tokenizer: Tokenizer, session: TorchSession, config: Any, seq_len: int
    ) -> Classifier:
        labels = labels_of(config)
        problem: str | None = config.problem_type
        self._single_output_is_probability = len(labels) == 1 and problem is None
        names = {
            "regression": "regression",
            "multi_label_classification": "multi-label",
        }
        usual = "regression" if len(labels) == 1 else "single-label"
        options = ClassifyOptions(
            labels=labels, problem=names.get(problem or "", usual), seq_len=seq_len
        )
        return Classifier(tokenizer, session, options)


class MultipleChoicePipeline(TaskPipeline):
    """Says which of several texts goes on with another. Safe to share by threads."""

    task = "multiple-choice"
    client_class = Chooser
    parameters: ClassVar[Mapping[str, Any]] = {"top_k": None}

    def __call__(self, inputs: Any, choices: Any = None, **kwargs: Any) -> Any:
        """Chooses.

        Args:
            inputs: a prompt with its ``choices`` beside it, ``{"prompt": …, "choices": […]}``, a
                list of such dictionaries, or a generator of them.
            choices: the ways to go on, where ``inputs`` is a prompt.
            **kwargs: ``top_k`` (all): most choices to return.

        Returns:
            For one prompt a list of ``{"index", "text", "score", "truncated"}``, best first; for
            several a list of these; for a generator an iterator.

        Raises:
            InputError: the inputs are of no such form, or there are fewer than two choices.
            MissingKeyError: a dictionary has no ``prompt`` or no ``choices``.
            EmptyInputError: the prompt or a choice is empty.
        """
        parameters = self._given | self._checked(kwargs)
        if choices is not None:
            inputs = {"prompt": inputs, "choices": choices}
        stream = as_stream(inputs)
        if stream is not None:
            return self._streamed(stream, parameters)
        if isinstance(inputs, list):
            return self._results(cast("list[Any]", inputs), parameters)
        return self._results([inputs], parameters)[0]

    def _results(self, items: list[Any], parameters: dict[str, Any]) -> list[Any]:
        found = self.client.choose_many([_prompt(item) for item in items])
        return [[one.to_dict() for one in scores[: parameters.get("top_k")]] for scores in found]

    def _of_torch(
        self, tokenizer: Tokenizer, session: TorchSession, config: Any, seq_len: int
    ) -> Chooser:
        return Chooser(tokenizer, session, ChoiceOptions(seq_len=seq_len))


def labels_of(config: Any) -> tuple[str, ...]:
    """Names of the labels of a torch model's config, in order."""
    named: Mapping[int, str] = config.id2label
    return tuple(named[i] for i in range(len(named)))


def _text(item: Any) -> TextOrPair:
    if isinstance(item, Mapping):
        values = cast("Mapping[str, Any]", item)
        if "text" not in values:
            raise MissingKeyError("the input has no 'text'; it needs text, and text_pair for two")
        pair = values.get("text_pair")
        return values["text"] if pair is None else (values["text"], pair)
    if isinstance(item, (list, tuple)):
        parts = cast("list[Any]", item)
        if len(parts) == 1 and isinstance(parts[0], (list, tuple)):  # the older form, [[a, b]]
            parts = cast("list[Any]", parts[0])
        if len(parts) != 2 or isinstance(item, list) and item is parts:
            raise InputError('send a pair as {"text": …, "text_pair": …}')
        return parts[0], parts[1]
    return item


def _prompt(item: Any) -> tuple[str, Any]:
    if not isinstance(item, Mapping):
        raise InputError(
            f"a {type(item).__name__} is not an input; pass a prompt and choices, or a "
            "dictionary with "
            "both"
        )
    values = cast("Mapping[str, Any]", item)
    for name in ("prompt", "choices"):
        if name not in values:
            raise MissingKeyError(f"the input has no {name!r}; it needs prompt and choices")
    return values["prompt"], values["choices"]
