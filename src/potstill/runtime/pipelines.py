"""The pipeline "question-answering", which transformers 5.3 removed.

Its call forms, parameters, defaults and result keys are those of transformers 4.57.6
(``pipelines/question_answering.py``). What differs, on purpose: scores come from one distribution
over all windows, answers of one question never overlap, a question is not cut unless
``max_question_len`` is given, and then with a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sized
from numbers import Integral
from pathlib import Path
from types import GeneratorType
from typing import Any, cast

import tokenizers

from potstill.bundle.find import find_model
from potstill.errors import InputError
from potstill.records import Answer
from potstill.runtime.opening import Workers
from potstill.runtime.pipeline_inputs import inputs_of, pair_of, shortened
from potstill.runtime.qa import QAClient
from potstill.runtime.reading import Reading, ReadOptions
from potstill.runtime.torch_session import TorchSession
from potstill.text.tokenizer import Tokenizer

_DEFAULTS: dict[str, Any] = {
    "top_k": 1,
    "doc_stride": None,
    "max_answer_len": 15,
    "max_seq_len": None,
    "max_question_len": None,
    "handle_impossible_answer": False,
    "align_to_words": True,
}
IGNORED = {"padding", "batch_size", "num_workers", "use_fast", "modelcard", "task"}
"""Parameters that change how transformers works, but not what it answers."""

Result = dict[str, Any]


class QuestionAnsweringPipeline:
    """Answers questions, called as the pipeline of transformers 4 is. Safe to share by threads."""

    task = "question-answering"

    def __init__(
        self,
        model: Any = "default",
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
            model: ``"default"``, a model folder or a hub id; a `QAClient`; or a torch model, of
                this package or of transformers, which needs a ``tokenizer``.
            tokenizer: a `Tokenizer`, a folder or hub id, or a fast tokenizer of transformers; by
                default the model folder's own.
            device: where a torch model is moved; anything else runs on the CPU.
            framework: ``"pt"`` or nothing.
            torch_dtype: float32 or ``"auto"``.
            dtype: the newer name of ``torch_dtype``.
            revision: branch, tag or commit of a hub id.
            threads: threads of one question; by default one for each core.
            runtime: what runs the model; see `QAClient.from_options`, and for ``workers``.
            workers: runs at the same time, where many texts are read.
            **defaults: what calls use unless they say otherwise; see `__call__`.

        Raises:
            InputError: a parameter cannot be used.
            ModelError: the model or its tokenizer cannot be used.
        """
        check_surroundings(framework, torch_dtype if dtype is None else dtype)
        opening = {"threads": threads, "runtime": runtime, "workers": workers}
        self.client = _client(model, tokenizer, device, revision, opening)
        self.tokenizer = self.client.tokenizer
        self.model = model
        self._defaults = _DEFAULTS | _parameters(defaults)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Answers.

        Args:
            *args: a dictionary with ``question`` and ``context`` (a text each, or as many of both),
                an object with ``question_text`` and ``context_text``, a list of either, a generator
                of either, or a question and a context.
            **kwargs: ``question`` and ``context`` (a string each, a list of questions with one
                context, or two lists of one length), or ``data`` with any form of ``args``; and

                - ``top_k`` (1): most answers to a question;
                - ``doc_stride`` (128, at most half of ``max_seq_len``): tokens that windows share;
                - ``max_answer_len`` (15): longest answer in tokens;
                - ``max_seq_len`` (384): longest window in tokens, at most the model's positions;
                - ``max_question_len``: a longer question is cut to so many tokens, with a warning;
                - ``handle_impossible_answer`` (False): "no answer", ``""``, competes;
                - ``align_to_words`` (True): widen answers to whole words.

        Returns:
            For one input its answer, ``{"score", "start", "end", "answer"}``, or where ``top_k``
            is above 1 a list of answers, best first; the only one there is comes without a list,
            as in transformers. For several inputs a list of these; for a generator an iterator
            over them.

        Raises:
            InputError: the arguments are of no such form.
            MissingKeyError: a dictionary has no ``question`` or no ``context``.
            EmptyInputError: a question or context is empty.
            QuestionTooLongError: a question leaves no room for context in a window.
        """
        given = {name: kwargs.pop(name) for name in ("question", "context", "data", "X")
                 if name in kwargs}  # fmt: skip
        parameters = self._defaults | _parameters(kwargs)
        inputs = inputs_of(args, given)
        if isinstance(inputs, GeneratorType):
            return self._answer(cast("Iterable[Any]", inputs), parameters)
        results = list(self._answer(inputs, parameters))
        return results[0] if len(results) == 1 else results

    def _answer(self, inputs: Iterable[Any], parameters: dict[str, Any]) -> Iterator[Any]:
        options = read_options(parameters, self.client.options)
        if self.client.max_positions is not None:  # longer windows there are none
            options["seq_len"] = min(options["seq_len"], self.client.max_positions)
        longest = parameters["max_question_len"]
        pairs: Iterable[Any] = (pair_of(item) for item in inputs)
        if longest is not None:
            pairs = ((shortened(self.tokenizer, asked, longest), text) for asked, text in pairs)
        if isinstance(inputs, Sized):  # workers share out evenly what they know the length of
            pairs = list(pairs)
        top_k = parameters["top_k"]
        for reading in self.client.read_many(pairs, **options):
            answers = results_of(reading, parameters["handle_impossible_answer"])[:top_k]
            yield answers if len(answers) > 1 else answers[0]


def read_options(parameters: Mapping[str, Any], own: ReadOptions) -> dict[str, Any]:
    """The parameters in our words."""
    seq_len = parameters["max_seq_len"]
    seq_len = min(384, own.seq_len) if seq_len is None else seq_len
    stride = parameters["doc_stride"]
    return {
        "top_k": parameters["top_k"],
        "seq_len": seq_len,
        "stride": min(seq_len // 2, 128) if stride is None else stride,
        "max_answer_tokens": parameters["max_answer_len"],
        "no_answer": bool(parameters["handle_impossible_answer"]),
        "align_to_words": bool(parameters["align_to_words"]),
    }


def results_of(reading: Reading, with_null: bool) -> list[Result]:
    """The answers under Hugging Face's keys, best first, "no answer" among them if wanted."""
    results = [_result(answer) for answer in reading.spans]
    if with_null:
        results.append({"score": reading.null_score, "start": 0, "end": 0, "answer": ""})
        results.sort(key=lambda result: -result["score"])
    return results


def _result(answer: Answer) -> Result:
    return {
        "score": answer.score,
        "start": answer.start,
        "end": answer.end,
        "answer": answer.text,
    }


def _parameters(given: dict[str, Any]) -> dict[str, Any]:
    """Checks parameters by name and drops those that say nothing."""
    values = {k: v for k, v in given.items() if k not in IGNORED and v is not None}
    if "topk" in values:
        warnings.warn("topk is deprecated, use top_k instead", FutureWarning, stacklevel=3)
        values = {"top_k": values["topk"]} | {k: v for k, v in values.items() if k != "topk"}
    unknown = sorted(values.keys() - _DEFAULTS.keys())
    if unknown:
        raise InputError(no_parameter(unknown[0], _DEFAULTS))
    for name in ("top_k", "max_answer_len", "max_seq_len", "max_question_len"):
        check_count(name, values.get(name))
    stride, longest = values.get("doc_stride", 0), values.get("max_seq_len")
    if not isinstance(stride, Integral) or stride < 0:
        raise InputError(f"doc_stride must be a whole number of at least 0, not {stride!r:.60}")
    if longest is not None and stride > longest:
        raise InputError(
            f"doc_stride, {stride}, is above max_seq_len, {longest}: give a smaller one"
        )
    return values


def check_count(name: str, value: Any) -> None:
    """Checks a parameter that counts something, where it is given.

    Raises:
        InputError: it is not a whole number of at least 1.
    """
    if value is not None and (not isinstance(value, Integral) or value < 1):
        raise InputError(f"{name} must be a whole number of at least 1, not {value!r:.60}")


_OLD_NAMES: Mapping[str, str] = {
    "grouped_entities": 'aggregation_strategy="simple"',
    "ignore_subwords": 'aggregation_strategy="first"',
    "return_all_scores": "top_k=None",
    "max_seq_length": "max_seq_len",
    "max_answer_length": "max_answer_len",
    "max_question_length": "max_question_len",
    "handle_impossible_answers": "handle_impossible_answer",
}
"""Parameters of earlier versions and of scripts → what says the same now."""


def no_parameter(name: str, known: Iterable[str]) -> str:
    """What is said of a parameter that there is not; of an old one, its new spelling."""
    if name in _OLD_NAMES:
        return f"there is no parameter {name!r} any more: give {_OLD_NAMES[name]}"
    return f"there is no parameter {name!r:.60}; there are {', '.join(known)}"


def check_surroundings(framework: str | None, dtype: Any) -> None:
    """Checks what transformers' pipelines take and these have one value for.

    Raises:
        InputError: another value.
    """
    if framework not in (None, "pt"):
        raise InputError(f"framework {framework!r} is not supported; omit it")
    if dtype is not None and str(dtype).removeprefix("torch.") not in ("auto", "float32"):
        raise InputError(
            f"torch_dtype {dtype} is not supported: open the model with "
            "QAClient.from_options(precision=...) and pass that as the model"
        )


def check_device(device: Any) -> None:
    """Checks where a model that is no torch model is to run.

    Raises:
        InputError: not on the CPU.
    """
    if device is not None and str(device) not in ("-1", "cpu"):
        raise InputError(
            f"device {device!r} is not supported: onnxruntime runs on the CPU here; "
            "pass a torch model to run elsewhere"
        )


def _client(
    model: Any, tokenizer: Any, device: Any, revision: str | None, opening: dict[str, Any]
) -> QAClient:
    if isinstance(model, (str, Path, QAClient)):
        check_device(device)
        if not isinstance(model, QAClient):
            model = QAClient.from_options(model, revision=revision, **opening)
        if tokenizer is None:
            return model
        return model.using(tokenizer=as_tokenizer(tokenizer, revision))
    if tokenizer is None:
        raise InputError("a torch model comes without its tokenizer: pass tokenizer= too")
    if device is not None:
        model = model.to({-1: "cpu"}.get(device, device))
    session = TorchSession(model)
    longest = getattr(tokenizer, "model_max_length", session.max_positions)
    seq_len = min(384, session.max_positions, longest)
    return QAClient(as_tokenizer(tokenizer, revision), session, ReadOptions(seq_len=seq_len))


def as_tokenizer(tokenizer: Any, revision: str | None) -> Tokenizer:
    """A tokenizer of any kind as ours.

    Args:
        tokenizer: a `Tokenizer`, one opened as people open transformers' (`text.auto`), a folder
            or hub id, or a fast tokenizer of transformers.
        revision: branch, tag or commit of a hub id.

    Raises:
        InputError: it is none of these.
    """
    from potstill.text.pretrained import PretrainedTokenizer

    if isinstance(tokenizer, Tokenizer):
        return tokenizer
    if isinstance(tokenizer, PretrainedTokenizer):
        return tokenizer.tokenizer
    if isinstance(tokenizer, (str, Path)):
        return Tokenizer.from_folder(find_model(tokenizer, revision=revision))
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if not isinstance(backend, tokenizers.Tokenizer):
        raise InputError(
            f"{type(tokenizer).__name__} is not a tokenizer; pass a folder, a potstill "
            "Tokenizer or "
            "a fast tokenizer of transformers"
        )
    # A copy: ours must not change with the caller's truncation and padding, nor theirs with ours.
    special = {role: getattr(tokenizer, f"{role}_token") for role in ("cls", "sep", "pad", "mask")}
    special = {role: token for role, token in special.items() if token is not None}
    return Tokenizer(tokenizers.Tokenizer.from_str(backend.to_str()), special)
