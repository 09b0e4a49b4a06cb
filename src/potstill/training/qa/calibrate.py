"""The end of a run: a null threshold and a temperature, fitted on questions that were held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from potstill.data.negatives import mine_negatives
from potstill.evaluation.confidence import Calibration, fit_calibration
from potstill.records import QAExample
from potstill.runtime.qa import QAClient
from potstill.runtime.reading import Reading


def calibrate(
    client: QAClient,
    examples: Sequence[QAExample],
    *,
    no_answer: bool,
    answers_kept: float = 0.0,
    workers: int = 1,
) -> Calibration:
    """Fits a null threshold and a temperature to a model as it stands.

    The model reads each question once; its logits are searched again for every temperature.

    Args:
        client: of the model; its own threshold and temperature are set aside.
        examples: questions with gold answers that the model was not trained on; with
            ``no_answer`` of both kinds, see `with_negatives`.
        no_answer: whether the model was trained to say that there is no answer.
        answers_kept: see `fit_calibration`.
        workers: threads that read different questions at the same time.

    Raises:
        InputError: there are no questions, or with ``no_answer`` only questions of one kind.
    """
    pairs = ((example.question, example.context) for example in examples)
    said = list(client.logits_many(pairs, workers=workers))
    options = replace(client.options, no_answer=no_answer, top_k=1)

    def search(temperature: float, null_threshold: float) -> list[Reading]:
        chosen = replace(options, temperature=temperature, null_threshold=null_threshold)
        return [one.search(chosen) for one in said]

    return fit_calibration(examples, search, no_answer=no_answer, answers_kept=answers_kept)


def with_negatives(
    held_out: Sequence[QAExample], *, seed: int, among: Iterable[QAExample] = ()
) -> list[QAExample]:
    """Held-out questions of both kinds: where none is unanswerable, mined negatives are added.

    Args:
        held_out: questions that are kept out of training.
        seed: see `mine_negatives`.
        among: examples whose paragraphs may be used beside the held-out ones.

    Returns:
        ``held_out``, and one negative of each question that has one.

    Raises:
        InputError: no negative can be made: ask before the run and not after it.
    """
    if any(example.is_impossible for example in held_out):
        return list(held_out)
    return [*held_out, *mine_negatives(held_out, None, seed=seed, among=among)]
