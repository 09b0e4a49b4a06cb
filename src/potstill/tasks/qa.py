"""Question answering: all of it but how it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from potstill.bundle.atomic import write_json
from potstill.bundle.config import ModelConfig
from potstill.bundle.manifest import Manifest
from potstill.data.qa import load_qa
from potstill.evaluation.confidence import Confidences, confidences, no_answer_curve
from potstill.evaluation.describe import describe_qa
from potstill.evaluation.kept import asked
from potstill.evaluation.readings import collect, score_predictions
from potstill.records import QAExample
from potstill.runtime.probes import QUESTION
from potstill.runtime.qa import QAClient
from potstill.runtime.reading import QuestionLogits, Reading, search_all
from potstill.tasks.task import Card, Evaluated, Loaded, Scores, Task, Values
from potstill.text.tokenizer import Tokenizer

_SEARCHED = 64
"""Questions whose answers are searched together."""


class QuestionAnswering(Task[QAClient]):
    """Answers questions from texts, or says that there is no answer."""

    head = "qa"
    client = QAClient
    trained = "potstill.training.qa.training:QATraining"
    recipes = (
        "potstill.training.recipe.qa:Recipe",
        "potstill.training.recipe.qa:DistilRecipe",
    )
    verb = "ask", "QUESTION", "FILE"
    does = "answer questions"
    pipeline = "question-answering", "potstill.runtime.pipelines:QuestionAnsweringPipeline"
    columns = ("question", "context")
    eval_options = frozenset("predictions null_odds calibration curve".split())
    planned = True
    believable = True
    documents = True
    embedded = True
    served = "potstill.serving.qa:ServedReader"
    card = Card(
        auto="AutoModelForQuestionAnswering",
        tags=("potstill", "question-answering", "extractive-qa"),
        does="that finds answers to questions in a text",
        code=(
            "from potstill import QAClient",
            "",
            'reader = QAClient.from_options("path/to/this/folder")',
            'reader.predict("Who won?", '
            '"The Denver Broncos defeated the Carolina Panthers 24–10.")',
        ),
        limits="It copies spans: it does not reason, count or combine, and it knows nothing beyond "
        "the text it is given.",
        metrics=("exact", "f1"),
    )

    def read(self, path: str | Path, model: Path | None, columns: Mapping[str, Any]) -> Loaded:
        data = load_qa(path)
        if model is not None:  # it is to be scored
            data.check_golds(path)
        notes = (f"warning: {path}: {data.warning}",) if data.warning else ()
        return Loaded(examples=data.examples, no_answer=data.no_answer, notes=notes, source=data)

    def answer(
        self, client: QAClient, examples: Sequence[QAExample], **given: Any
    ) -> Iterable[Any]:
        """Readings; with ``calibration``, what the model said before the search."""
        pairs = [(example.question, example.context) for example in examples]
        return client.logits_many(pairs) if given.get("calibration") else client.read_many(pairs)

    def score(self, evaluated: Evaluated[QAClient]) -> Scores:
        client, examples = evaluated.client, evaluated.examples
        return score_predictions(
            examples,
            collect(examples, _readings(client, evaluated.answers)),
            rules_v2=evaluated.loaded.no_answer,
            null_threshold=client.options.threshold,
        )

    def metric(self, loaded: Loaded) -> str:
        return "f1"

    def main_score(self, config: ModelConfig) -> str:
        return "f1"

    def item(self, client: QAClient, text: str) -> tuple[str, str]:
        return QUESTION, text

    def extra_tokens(self, tokenizer: Tokenizer) -> int:
        return len(tokenizer.encode(QUESTION)) + 3

    def ask(self, client: QAClient, items: Sequence[tuple[str, str]]) -> Sequence[Any]:
        return client.predict_many(items)

    def gate_options(self, loaded: Loaded) -> dict[str, Any]:
        return {"no_answer": loaded.no_answer}

    def more(self, evaluated: Evaluated[QAClient]) -> Scores:
        """Writes the files that were asked for, and adds how far confidence can be believed."""
        client, examples, given = evaluated.client, evaluated.examples, evaluated.given
        readings = _readings(client, evaluated.answers)
        found = collect(examples, readings)
        predictions, odds = given.get("predictions"), given.get("null_odds")
        if predictions is not None:
            write_json(predictions, found.spans if odds is not None else found.answers)
        if odds is not None:
            write_json(odds, found.null_odds)
        curve, calibration = given.get("curve"), given.get("calibration")
        if curve is None and not calibration:
            return {}
        sure = _confidences(evaluated, readings)
        if curve is not None:
            write_json(curve, sure.curve())
        if not calibration:
            return {}
        plain = search_all(evaluated.answers, replace(client.options, temperature=1.0))
        return {
            **sure.figures(),
            "ece_before": _confidences(evaluated, plain).ece,
            "temperature": client.options.temperature,
        }

    def kept(self, evaluated: Evaluated[QAClient]) -> dict[str, Any]:
        client, examples = evaluated.client, evaluated.examples
        readings = _readings(client, evaluated.answers)
        sure = _confidences(evaluated, readings)
        curve = sure.curve()
        if evaluated.loaded.no_answer and client.options.threshold is not None:
            curve["no_answer"] = no_answer_curve(examples, collect(examples, readings))
        return {
            "curve": curve,
            "questions": asked(examples, readings, sure),
            "scores": sure.figures(),
        }

    def describe(self, loaded: Loaded, tokenizer: Tokenizer, **how: int) -> dict[str, Any]:
        return describe_qa(loaded.source, tokenizer, **how)

    def value_kinds(self, client: QAClient) -> dict[str, str]:
        return {"answer": "string", "score": "double", "start": "int64", "end": "int64"}

    def values(self, client: QAClient, batch: Sequence[tuple[str, ...]]) -> list[Values]:
        found: list[Values] = []
        for reading in client.read_many([(texts[0], texts[1]) for texts in batch]):
            best = next(iter(reading.answers), None)
            nothing = {"answer": None, "score": reading.null_score, "start": None, "end": None}
            found.append(nothing if best is None else best.to_dict())
        return found

    def settings(self, manifest: Manifest) -> dict[str, Any]:
        return {
            "seq_len": manifest.seq_len,
            "stride": manifest.stride,
            "max_answer_tokens": manifest.max_answer_tokens,
        }

    def limits(self, manifest: Manifest) -> str:
        if manifest.no_answer:
            return self.card.limits
        return f"{self.card.limits} It was not trained to say that there is no answer."


def _readings(client: QAClient, answers: Sequence[Any]) -> list[Reading]:
    """The readings of what `answer` gave, searched where that was not done."""
    if not answers or isinstance(answers[0], Reading):
        return list(answers)
    logits: Sequence[QuestionLogits] = answers
    return [
        reading
        for at in range(0, len(logits), _SEARCHED)
        for reading in search_all(logits[at : at + _SEARCHED], client.options)
    ]


def _confidences(evaluated: Evaluated[QAClient], readings: Sequence[Reading]) -> Confidences:
    return confidences(evaluated.examples, readings, rules_v2=evaluated.loaded.no_answer)
