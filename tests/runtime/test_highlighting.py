"""Sentences that answer a question, are worth keeping, or support a claim."""

from __future__ import annotations

import numpy as np
import pytest

from potstill.errors import EmptyInputError, InputError
from potstill.text.spans import WindowLogits, search, start_scores

PASSAGES = [
    "The king built a tower in Paris. The queen wrote a red book. It was new.",
    "Denver won the first game. Carolina lost.",
]
QUESTION = "Who wrote the book?"


def test_every_sentence_is_scored_and_the_scores_add_up(reader):
    found = reader.highlight(QUESTION, PASSAGES)
    assert len(found) == 5
    assert sum(one.score for one in found) == pytest.approx(1)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    for one in found:
        assert PASSAGES[one.source][one.start : one.end] == one.text
        assert one.n_tokens == len(reader.tokenizer.encode(one.text))
    assert reader.highlight(QUESTION, PASSAGES, top_k=2) == found[:2]
    assert reader.highlight(QUESTION, reader.prepare(PASSAGES[1]))[0].source == 0


def test_a_sentence_of_one_span_has_its_probability():
    logits = WindowLogits(0, 0, np.array([1, 5, 0, 2], np.float32), np.zeros(4, np.float32), 3.0)
    result = search([logits], top_k=9, max_answer_tokens=1, null_threshold=0.0, temperature=2.0)
    scores = start_scores([logits], max_answer_tokens=1, null_threshold=0.0, temperature=2.0)
    by_start = {span.start: span.score for span in result.spans}
    np.testing.assert_allclose(scores[0], [by_start[i] for i in range(4)])
    assert scores[0].sum() + result.null_score == pytest.approx(1)
    assert start_scores([]) == {}


def test_what_is_kept_stands_in_order_and_within_the_budget(reader):
    ranked = reader.highlight(QUESTION, PASSAGES)
    kept = reader.prune(QUESTION, PASSAGES, tokens=ranked[0].n_tokens + ranked[1].n_tokens)
    assert [(one.source, one.start) for one in kept] == sorted((o.source, o.start) for o in kept)
    assert {one.text for one in ranked[:2]} == {one.text for one in kept}
    assert reader.prune(QUESTION, PASSAGES, tokens=1) == []
    assert len(reader.prune(QUESTION, PASSAGES, enough=1)) == 5
    (best,) = reader.prune(QUESTION, PASSAGES, enough=0.01)
    assert best.text == ranked[0].text
    few = reader.prune(QUESTION, PASSAGES, enough=0.5)
    assert {one.text for one in few} <= {one.text for one in ranked[: len(few)]}


def test_what_supports_a_claim_has_its_words(reader):
    answer = "The queen wrote a book. Elephants came."
    first, second = reader.cite(answer, PASSAGES)
    assert (first.text, answer[first.start : first.end]) == ("The queen wrote a book.",) * 2
    (source,) = first.sources
    assert source.text == "The queen wrote a red book."
    assert PASSAGES[source.source][source.start : source.end] == source.text
    assert 0.6 <= source.score <= 1
    assert (second.text, second.sources) == ("Elephants came.", ())
    assert len(reader.cite("The queen.", PASSAGES, top_k=3)[0].sources) <= 3


def test_numbers_weigh_more_than_words(reader):
    passages = ["In 1998 the king built a tower. In 2007 the king built a bridge in Paris."]
    (claim,) = reader.cite("The king built in 2007.", passages)
    assert [one.text for one in claim.sources] == ["In 2007 the king built a bridge in Paris."]


def test_bad_input(reader):
    for call in (reader.highlight, reader.prune, reader.cite):
        with pytest.raises(EmptyInputError):
            call(QUESTION, [])
        with pytest.raises(EmptyInputError):
            call(QUESTION, ["x", " "])
    with pytest.raises(EmptyInputError):
        reader.highlight(" ", PASSAGES)
    with pytest.raises(InputError, match="tokens"):
        reader.prune(QUESTION, PASSAGES, tokens=0)
    with pytest.raises(InputError, match="enough"):
        reader.prune(QUESTION, PASSAGES, enough=1.5)
