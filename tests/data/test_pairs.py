"""Questions put to contexts they were not written for."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.data.negatives import (
    NEGATIVES,
    cut_sentences,
    mine_negatives,
    other_articles,
    swap_names,
    turn_words,
)
from potstill.data.normal import normalize_answer
from potstill.data.pairs import cloze, load_pairs, other_paragraphs
from potstill.data.qa import load_qa
from potstill.errors import DataError, InputError
from potstill.records import QAExample

WORDS = "the king queen won a game 24 in 1990 Paris London red tower, bridge".split()
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(" ".join)


@st.composite
def files(draw):
    """Examples of a few articles, some without a title, with answers taken from their contexts."""
    found = []
    for title in draw(st.lists(st.sampled_from(["", "one", "two"]), min_size=1, max_size=3)):
        for context in draw(st.lists(texts, min_size=1, max_size=4)):
            for question in draw(st.lists(texts, max_size=3)):
                words = context.split()
                answers = tuple(draw(st.lists(st.sampled_from(words), max_size=2)))
                found.append(
                    QAExample(
                        id=f"q{len(found)}",
                        question=question,
                        context=context,
                        answers=answers,
                        starts=tuple(context.index(a) for a in answers),
                        is_impossible=not answers,
                        title=title,
                    )
                )
    return found


def all_of(make, examples, **options):
    """As many pairs as there are, found by asking for ever more."""
    found = []
    try:
        for n in range(1, 1000):
            found = make(examples, n, **options)
    except InputError:
        pass
    return found


@given(examples=files(), seed=st.integers(0, 3))
def test_other_paragraphs_are_all_those_of_the_article_but_the_own(examples, seed):
    found = all_of(other_paragraphs, examples, seed=seed)
    expected = {
        (e.question, e.title, other.context, e.id)
        for e in examples
        for other in examples
        if other.title == e.title and other.context != e.context
    }
    assert {(e.question, e.title, e.context, e.id.split("@")[0]) for e in found} == expected
    assert len(found) == len(expected) == len({e.id for e in found})
    assert not any(e.answers or e.starts or e.is_impossible for e in found)


@given(examples=files(), seed=st.integers(0, 3))
def test_negatives_never_hold_a_gold_answer(examples, seed):
    found = all_of(mine_negatives, examples, seed=seed)
    by_id = {e.id: e for e in examples}
    for negative in found:
        source = by_id[negative.id.split("~")[0]]
        assert negative.is_impossible and not negative.answers
        assert (negative.question, negative.title) == (source.question, source.title)
        assert negative.context != source.context
        asked_alike = [
            e for e in examples
            if e.title == source.title
            and normalize_answer(e.question) == normalize_answer(source.question)
        ]  # fmt: skip
        for gold in (gold for e in asked_alike for gold in e.answers):
            assert normalize_answer(gold) not in normalize_answer(negative.context)
    assert len({(e.id.split("~")[0], e.context) for e in found}) == len(found)


@given(examples=files(), seed=st.integers(0, 3))
def test_cut_paragraphs_never_hold_a_gold_answer(examples, seed):
    by_id = {e.id: e for e in examples}
    for negative in all_of(cut_sentences, examples, seed=seed):
        source = by_id[negative.id.removesuffix("~cut")]
        assert negative.is_impossible and not negative.answers
        assert negative.question == source.question
        assert 0 < len(negative.context) < len(source.context)
        for gold in source.answers:
            assert normalize_answer(gold) not in normalize_answer(negative.context)


@given(examples=files(), seed=st.integers(0, 3))
@pytest.mark.parametrize("make", [other_paragraphs, *NEGATIVES.values()])
def test_more_pairs_only_add_and_the_same_come_again(make, examples, seed):
    found = all_of(make, examples, seed=seed)
    for n in range(1, len(found) + 1):
        assert make(examples, n, seed=seed) == found[:n]


@given(examples=files())
@pytest.mark.parametrize("make", [other_paragraphs, mine_negatives])
def test_without_a_number_one_pair_of_each_question_that_has_one(make, examples):
    every = all_of(make, examples, seed=0)
    sources = list(dict.fromkeys(e.id[:-2] for e in every))
    if every:
        assert make(examples, None, seed=0) == every[: len(sources)]
    else:
        with pytest.raises(InputError, match="only 0"):
            make(examples, None, seed=0)


def example(name, question, context, *answers, title="t"):
    return QAExample(id=name, question=question, context=context, answers=answers, title=title)


def test_every_question_is_asked_once_before_any_is_asked_twice():
    examples = [example(str(i), f"question {i}", f"context {i}") for i in range(6)]
    found = other_paragraphs(examples, 12, seed=5)
    assert [e.id[-2:] for e in found] == ["@1"] * 6 + ["@2"] * 6
    assert other_paragraphs(examples, 12, seed=6) != found


def test_negatives_are_the_hardest_paragraphs_first():
    contexts = (
        "Rollo ruled Normandy.",
        "Nobody was here.",
        "The duke who ruled in Rouen after 911 was not named.",
        "Who knows?",
        "In 911 Rollo became duke.",
    )
    examples = [example(str(i), "?", c, "x") for i, c in enumerate(contexts[1:], start=1)]
    examples.append(example("0", "Who ruled Rouen after 911?", contexts[0], "Rollo"))
    found = [e for e in all_of(mine_negatives, examples, seed=0) if e.id.startswith("0~")]
    assert [e.context for e in found] == [contexts[2], contexts[3], contexts[1]]


def test_a_paragraph_loses_the_sentences_that_answer():
    context = "Rollo ruled Rouen. He came by sea, as Mr. Rollo said. The Duke Rollo. Died old."
    (cut,) = cut_sentences([example("a", "Who ruled?", context, "the duke")], None, seed=0)
    assert cut.context == "Rollo ruled Rouen. He came by sea, as Mr. Rollo said. Died old."
    (cut,) = cut_sentences([example("a", "Who ruled?", context, "Rollo", "duke")], None, seed=0)
    assert (cut.id, cut.context) == ("a~cut", "Died old.")


def test_an_answer_of_two_sentences_is_not_cut():
    with pytest.raises(InputError, match="only 0"):
        cut_sentences([example("a", "Who?", "One is A. B is two.", "A. B")], None, seed=0)


def test_a_name_gives_way_to_one_that_the_paragraph_lacks():
    own = "In 911 Rollo of Norway took Rouen from Charles the Simple."
    other = "In 912 Rollo met Robert's men, and in 911 Harald. He had 40 ships and 12% of Paris."
    examples = [
        example("a", "Which was Rollo's first town of 911?", own, "Rouen"),
        example("b", "Whom did Rollo meet?", other, "Robert"),
    ]
    found = [e for e in all_of(swap_names, examples, seed=0) if e.id.startswith("a~")]
    assert [e.id for e in found] == ["a~swap1", "a~swap2"]
    assert all(e.is_impossible and not e.answers and e.context == own for e in found)
    names = ("Robert", "Harald", "Paris")
    assert found[0].question in [f"Which was {name}'s first town of 911?" for name in names]
    assert found[1].question in [f"Which was Rollo's first town of {n}?" for n in (912, 40)]
    with pytest.raises(InputError, match="other names"):
        swap_names(examples[:1], None, seed=0)
    assert swap_names(examples[:1], None, seed=0, among=examples[1:])[0].id == "a~swap1"


def test_a_year_gives_way_to_a_year():
    examples = [
        example("a", "Who won in 1990?", "Denver won in 1990.", "Denver"),
        example("b", "Who lost?", "Carolina lost 40 games in 1991.", "Carolina"),
    ]
    assert [e.question for e in swap_names(examples, None, seed=0)] == ["Who won in 1991?"]


def test_a_word_is_turned_into_its_opposite():
    own = "The largest town of the north, Leeds, is older than York. New York is later still."
    examples = [
        example("a", "How large is the largest and older town of the North?", own, "Leeds"),
        example("b", "Which town is the oldest?", own, "Leeds"),
        example(
            "c", "Which town lies in the north, and not in the south?", own + " South.", "Leeds"
        ),
    ]
    found = all_of(turn_words, examples, seed=0)
    assert [e.id for e in found] == ["a~turn1", "a~turn2"]
    assert all(e.is_impossible and not e.answers and e.context == own for e in found)
    assert found[0].question == "How large is the smallest and older town of the North?"
    assert found[1].question in [
        f"How large is the largest and {word} town of the North?" for word in ("younger", "newer")
    ]
    with pytest.raises(InputError, match="words with an opposite"):
        turn_words(examples[1:], None, seed=0)


def test_negatives_may_use_the_paragraphs_of_other_examples():
    asked = [example("a", "Who won?", "Denver won.", "Denver")]
    with pytest.raises(InputError):
        mine_negatives(asked, 1, seed=0)
    among = [example("b", "Where?", "They won in Rome.", "Rome"), example("c", "?", "Denver")]
    found = mine_negatives(asked, None, seed=0, among=among)
    assert [(e.id, e.context) for e in found] == [("a~1", "They won in Rome.")]


def test_an_answer_that_cannot_be_looked_for_makes_no_negative():
    examples = [example("a", "Which article?", "one the", "the"), example("b", "?", "two", "two")]
    assert [e.id for e in mine_negatives(examples, None, seed=0)] == ["b~1"]


@pytest.mark.parametrize("make", [other_paragraphs, mine_negatives])
def test_impossible_requests_say_how_many_there_are(make):
    examples = [example("a", "Who?", "one", "one"), example("b", "Who else?", "two", "two")]
    with pytest.raises(InputError, match="cannot make 3 pairs .* only 2: ask for fewer"):
        make(examples, 3, seed=0)
    with pytest.raises(InputError, match="cannot make any pairs"):
        make(examples[:1], None, seed=0)
    with pytest.raises(InputError, match="cannot make 1 pairs"):
        make([], 1, seed=0)
    with pytest.raises(InputError, match="at least 1, not 0"):
        make(examples, 0, seed=0)


PARAGRAPH = "The tower was built by William Smith. It opened in the city in 1889 after two years."


def test_cloze_questions_stream():
    def endless():
        while True:
            yield from (PARAGRAPH + "\n", "= Title =\n", "One line without a figure.\n", "\n")

    found = list(cloze(endless(), 3, seed=0))
    assert [e.id for e in found] == ["cloze@0.1", "cloze@4.1", "cloze@8.1"]
    assert {e.context for e in found} == {PARAGRAPH}
    assert not any(e.answers or e.is_impossible for e in found)
    assert found == list(cloze([PARAGRAPH, "", "", ""] * 3, None, seed=0))


def test_more_cloze_questions_of_a_paragraph():
    found = list(cloze([PARAGRAPH], None, seed=1, per_paragraph=9))
    assert {e.question for e in found} == {
        "The tower was built by who?",
        "It opened in the city in what year after two years?",
    }


def test_impossible_cloze_requests():
    with pytest.raises(InputError, match="at least 1"):
        cloze([PARAGRAPH], 0, seed=0)
    with pytest.raises(InputError, match="cannot make 2 cloze questions .* only 1"):
        list(cloze([PARAGRAPH], 2, seed=0))
    with pytest.raises(InputError, match="cannot make any"):
        list(cloze([], None, seed=0))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.jsonl", '{"question": "Who?", "context": "Rollo."}\n'),
        ("a.jsonl", '{"question": "Who?", "context": "Rollo.", "answers": null}\n'),
        ("a.jsonl", '{"question": "Who?", "context": "Rollo.", "answer": "Rollo"}\n'),
        ("a.csv", "question,context,answer\nWho?,Rollo.,\n"),
    ],
)
def test_own_pairs_are_unlabelled(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    assert load_pairs(path) == [QAExample(id="1", question="Who?", context="Rollo.")]


def squad(**question):
    qas = [{"id": "a", "question": "Who?", **question}]
    paragraphs = [{"context": "Rollo.", "qas": qas}]
    return json.dumps({"data": [{"title": "Normandy", "paragraphs": paragraphs}]})


@pytest.mark.parametrize(
    "question",
    [{}, {"answers": None}, {"answers": [], "is_impossible": True}, {"answers": [{"text": "x"}]}],
)
def test_a_squad_file_without_answers_is_for_pairs_only(tmp_path, question):
    path = tmp_path / "a.json"
    path.write_text(squad(**question))
    expected = QAExample(id="a", question="Who?", context="Rollo.", title="Normandy")
    assert load_pairs(path) == [expected]
    if not question:
        with pytest.raises(DataError, match="has no 'answers'"):
            load_qa(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no questions"),
        ('{"question": " ", "context": "c"}', "question '1': its question is empty"),
        ('{"question": "q", "context": ""}', "question '1': its context is empty"),
        ('{"id": 1, "question": "q", "context": "c"}\n' * 2, "repeat an id"),
        ('{"question": "q"}', "has no 'context'"),
    ],
)
def test_wrong_pairs_files(tmp_path, text, message):
    path = tmp_path / "a.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_pairs(path)


def article(title, *contexts):
    return [
        QAExample(
            id=f"{title}{i}",
            question=f"Where is the {title} tower number {i}?",
            context=context,
            answers=("London",),
            starts=(context.index("London"),),
            title=title,
        )
        for i, context in enumerate(contexts)
    ]


def test_other_articles_give_the_paragraphs_most_like_the_question():
    red = article("red", "The red tower is in London.")
    blue = article("blue", "The blue tower is in London.", "London has a red tower number 0.")
    more = QAExample(id="x", question="x", context="A tower of Paris, number 0.", title="green")
    far = QAExample(id="y", question="y", context="Bread and butter.", title="green")
    (found,) = other_articles(red, 1, seed=0, among=[*blue, more, far])
    # The blue ones hold the answer, the red one is its own article's, bread shares no word.
    assert (found.context, found.is_impossible, found.answers) == (more.context, True, ())
    assert (found.id, found.question) == ("red0~far1", red[0].question)
    with pytest.raises(InputError, match="paragraphs of other articles, only 0"):
        other_articles(red, 1, seed=0, among=[far])
