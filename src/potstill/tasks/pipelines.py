"""`pipeline` of any task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

from potstill.bundle.added import late
from potstill.errors import InputError
from potstill.tasks.table import every

if TYPE_CHECKING:
    from potstill.runtime.pipelines import QuestionAnsweringPipeline
    from potstill.runtime.task_pipelines import MultipleChoicePipeline, TextClassificationPipeline
    from potstill.runtime.token_pipelines import FillMaskPipeline, TokenClassificationPipeline


@overload
def pipeline(
    task: Literal["question-answering"] = ...,
    model: Any = ...,
    tokenizer: Any = ...,
    **options: Any,
) -> QuestionAnsweringPipeline: ...
@overload
def pipeline(
    task: Literal["text-classification", "sentiment-analysis"],
    model: Any,
    tokenizer: Any = None,
    **options: Any,
) -> TextClassificationPipeline: ...
@overload
def pipeline(
    task: Literal["token-classification", "ner"], model: Any, tokenizer: Any = None, **options: Any
) -> TokenClassificationPipeline: ...
@overload
def pipeline(
    task: Literal["fill-mask"], model: Any, tokenizer: Any = None, **options: Any
) -> FillMaskPipeline: ...
@overload
def pipeline(
    task: Literal["multiple-choice"], model: Any, tokenizer: Any = None, **options: Any
) -> MultipleChoicePipeline: ...
@overload
def pipeline(task: str, model: Any = None, tokenizer: Any = None, **options: Any) -> Any: ...
def pipeline(
    task: str = "question-answering", model: Any = None, tokenizer: Any = None, **options: Any
) -> Any:
    """A pipeline of a task.

    Args:
        task: ``"question-answering"``, ``"text-classification"`` (or ``"sentiment-analysis"``),
            ``"token-classification"`` (or ``"ner"``), ``"fill-mask"`` or ``"multiple-choice"``.
        model: as for the task's class; by default, for question answering alone, the embedded
            model.
        tokenizer: as for the task's class.
        **options: as for the task's class.

    Returns:
        `QuestionAnsweringPipeline`, or the class of `potstill.runtime.task_pipelines` and
        `potstill.runtime.token_pipelines` that is named so.

    Raises:
        InputError: there is no such task, or an option cannot be used.
        ModelError: the model cannot be used.
    """
    having = [one for one in every() if one.pipeline[1]]
    known = {name: one for one in having for name in (one.pipeline[0], *one.aliases)}
    if task not in known:
        raise InputError(f"there is no task {task!r}; supported: {', '.join(known)}")
    found = known[task]
    if model is None and not found.embedded:
        raise InputError(
            f"no model for {task} ships inside the package: name one, a folder or a hub id"
        )
    return late(found.pipeline[1])("default" if model is None else model, tokenizer, **options)
