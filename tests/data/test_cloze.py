"""A sentence with a name or a figure replaced by a question word of its kind."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.data.cloze import cloze_questions

OTHER = " There is nothing to ask in here."
ASKED = re.compile(r"(?i)what (date|percentage|year|number|place)|how (much money|many)|who|what")


@pytest.mark.parametrize(
    ("sentence", "question", "answer"),
    [
        ("The war ended after talks on 11 November 1918.",
         "The war ended after talks on what date?", "11 November 1918"),
        ("The bridge was opened again on May 4, 1990 by nobody.",
         "The bridge was opened again on what date by nobody?", "May 4, 1990"),
        ("The bridge was opened to all in 1990 by nobody.",
         "The bridge was opened to all in what year by nobody?", "1990"),
        ("The army then had about 1500 men at hand.",
         "The army then had about how many men at hand?", "1500"),
        ("The score of that last game was 24, they say.",
         "The score of that last game was what number, they say?", "24"),
        ("More than 3.5 percent of all voters stayed away.",
         "More than what percentage of all voters stayed away?", "3.5 percent"),
        ("The house was sold for $1.2 million last week.",
         "The house was sold for how much money last week?", "$1.2 million"),
        ("The old painter lived near Paris for ten years.",
         "The old painter lived near what place for ten years?", "Paris"),
        ("The whole symphony was composed by Clara Schumann herself.",
         "The whole symphony was composed by who herself?", "Clara Schumann"),
        ("Clara Schumann wrote many letters to her friends.",
         "Who wrote many letters to her friends?", "Clara Schumann"),
        ("The Holy Roman Empire was none of these things.",
         "The what was none of these things?", "Holy Roman Empire"),
    ],
)  # fmt: skip
def test_question_words_fit_their_kind(sentence, question, answer):
    (found,) = cloze_questions(sentence + OTHER)
    assert (found.question, found.answer) == (question, answer)


@pytest.mark.parametrize(
    "sentence",
    [
        "However it was never built by anyone there.",  # a capital of the sentence alone
        "Windows of this kind were never built there.",  # no telling what the capital means
        "It was 1990.",  # too short to ask anything
        "They saw that Rome was not the Rome of old.",  # the question would hold its answer
        "Was the tower of London built that year?",  # a question already
        "The 19th century was not that bad for mid-20s cars.",  # figures inside words
    ],
)
def test_sentences_that_are_left_alone(sentence):
    assert cloze_questions(sentence + OTHER) == []


def test_one_sentence_alone_is_no_context():
    assert cloze_questions("The old painter lived near Paris for ten years.") == []


def test_abbreviations_do_not_end_a_sentence():
    text = "The work was praised by Dr. J. Smith in the London Review that year." + OTHER
    questions = [found.question for found in cloze_questions(text)]
    assert questions
    assert all(q.startswith(("The work was praised by", "What")) for q in questions)
    assert all(q.endswith("that year?") for q in questions)


pieces = st.one_of(
    st.sampled_from('In 1990 Paris the of King Clara , . ! " ( ) $5 24% 3,000 é 中'.split()),
    st.text(max_size=4),
)


@given(st.lists(pieces, max_size=60).map(" ".join))
def test_putting_the_answer_back_gives_text_of_the_paragraph(text):
    for found in cloze_questions(text):
        assert found.answer and found.answer in text
        assert found.question.endswith("?")
        restored = [
            found.question[: m.start()] + found.answer + found.question[m.end() : -1]
            for m in ASKED.finditer(found.question)
        ]
        assert any(sentence in text for sentence in restored)
