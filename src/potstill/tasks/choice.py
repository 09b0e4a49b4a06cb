"""Multiple choice: all of it but how it is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from potstill.data.choice import load_choices
from potstill.evaluation.choice import baselines, chance, score_choices
from potstill.evaluation.describe_texts import describe_choices
from potstill.evaluation.kept import KeptAnswer
from potstill.records import ChoiceExample, ChoiceScore
from potstill.runtime.choice import Asked, Chooser, best
from potstill.tasks.task import Card, Evaluated, Loaded, Scores, Task
from potstill.text.tokenizer import Tokenizer


class MultipleChoice(Task[Chooser]):
    """Says which of several texts goes on with another."""

    head = "choice"
    client = Chooser
    trained = "potstill.training.labels.choice:ChoiceTraining"
    recipes = (
        "potstill.training.recipe.choice:ChoiceRecipe",
        "potstill.training.recipe.choice:ChoiceDistilRecipe",
    )
    verb = "choose", "TEXT", "ENDING", "ENDING"
    does = "choose between texts"
    pipeline = "multiple-choice", "potstill.runtime.task_pipelines:MultipleChoicePipeline"
    eval_options = frozenset(("held_out", "train"))
    card = Card(
        auto="AutoModelForMultipleChoice",
        tags=("potstill", "multiple-choice"),
        does="that says which of several texts goes on with another",
        code=(
            "from potstill import Chooser",
            "",
            'chooser = Chooser.from_options("path/to/this/folder")',
            'chooser.choose("He was tired, so", ["he went to bed.", "he ran a mile."])',
        ),
        limits="It takes the most probable of what it is given, however unlikely all of it is, and "
        "goes by the manner of its training data's wrong choices as much as by sense.",
        metrics=("accuracy",),
    )

    def read(self, path: str | Path, model: Path | None, columns: Mapping[str, Any]) -> Loaded:
        return Loaded(examples=load_choices(path))

    def answer(
        self, client: Chooser, examples: Sequence[ChoiceExample], **given: Any
    ) -> Iterable[list[ChoiceScore]]:
        return client.score_many([(example.prompt, example.choices) for example in examples])

    def score(self, evaluated: Evaluated[Chooser]) -> Scores:
        made = [best(scores) for scores in evaluated.answers]
        return {**score_choices(evaluated.examples, made)}

    def metric(self, loaded: Loaded) -> str:
        return "accuracy"

    def item(self, client: Chooser, text: str) -> Asked:
        return text, ("yes.", "no.")

    def extra_tokens(self, tokenizer: Tokenizer) -> int:
        return len(tokenizer.encode("no.")) + 3

    def ask(self, client: Chooser, items: Sequence[Asked]) -> Sequence[Any]:
        return client.choose_many(items)

    def baselines(self, evaluated: Evaluated[Chooser]) -> dict[str, Scores]:
        examples = evaluated.examples
        if evaluated.train is None:
            return {"a guess": {"accuracy": chance(examples), "total": len(examples)}}
        return {**baselines(evaluated.train, examples)}

    def said(self, evaluated: Evaluated[Chooser]) -> Sequence[KeptAnswer]:
        found: list[KeptAnswer] = []
        for example, scores in zip(evaluated.examples, evaluated.answers, strict=True):
            made = best(scores)
            found.append(KeptAnswer(example.id, (str(made),), round(scores[made].score, 5)))
        return found

    def describe(self, loaded: Loaded, tokenizer: Tokenizer, **how: int) -> dict[str, Any]:
        return describe_choices(loaded.examples)
