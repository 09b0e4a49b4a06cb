"""The null threshold that would have scored best, searched as SQuAD v2.0's script does."""

from __future__ import annotations

from collections.abc import Mapping


def best_threshold(
    scores: Mapping[str, float],
    null_odds: Mapping[str, float],
    *,
    answered: Mapping[str, bool],
    answerable: Mapping[str, bool],
    total: int | None = None,
) -> tuple[float, float]:
    """Finds the null threshold with the highest mean score on these very questions.

    Starts from answering nothing and lets questions in by rising null odds: an answerable one
    adds its score, an unanswerable one takes a point away where its prediction is not empty.
    Equal odds are let in one at a time, in the order of ``null_odds``, as the official script
    does; a threshold between two equal odds cannot be had in practice.

    Args:
        scores: question id → its score in [0, 1] were no threshold applied.
        null_odds: question id → how strongly the model leans to "no answer".
        answered: question id → whether its prediction is not empty.
        answerable: question id → whether it has a gold answer.
        total: number of questions to average over; by default those in ``scores``.

    Returns:
        The best mean score in percent, and the threshold: a prediction is dropped where its null
        odds are strictly above it. It is 0.0 where answering nothing at all is best.

    Source:
        ``find_best_thresh`` of the SQuAD v2.0 evaluation script.
    """
    current = best = float(sum(not answerable[name] for name in scores))
    threshold = 0.0
    for name in sorted(null_odds, key=lambda name: null_odds[name]):
        if name not in scores:
            continue
        if answerable[name]:
            current += scores[name]
        elif answered[name]:
            current -= 1
        if current > best:
            best, threshold = current, null_odds[name]
    return 100.0 * best / (len(scores) if total is None else total), threshold
