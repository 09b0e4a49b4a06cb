"""Answers and gold → a browser of mistakes."""

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from potstill.evaluation.kept import KeptQuestion
from potstill.records import QAExample
from potstill.reports.html import tag, text
from potstill.reports.mistakes import (
    KINDS,
    Mistakes,
    browser,
    counted,
    kind_of,
    marked,
    mistakes,
    shown,
)

CONTEXT = "The old king built a tower by the river Thames."


def example(*answers, context=CONTEXT, name="q"):
    return QAExample(
        id=name, question="What was built?", context=context, answers=answers,
        starts=tuple(context.find(one) for one in answers), is_impossible=not answers,
    )  # fmt: skip


def asked(said, confidence=0.5, f1=0.0, name="q", context=CONTEXT):
    return KeptQuestion(
        name, said, context.find(said) if said else -1, confidence, float(f1 == 1), f1
    )


def browsed(name, found, most):
    own = Mistakes(shown(found, most), counted(one.kind for one in found))
    return browser({name: own}, KINDS)


def test_kinds():
    tower = example("a tower")
    assert kind_of(asked("a tower", f1=1.0), tower) is None
    assert kind_of(asked("tower by", f1=0.5), tower) == "partly"
    assert kind_of(asked("king"), tower) == "wrong"
    assert kind_of(asked(""), tower) == "missed"
    assert kind_of(asked("king"), example()) == "invented"


def test_the_surest_come_first_and_foreign_ids_are_left_out():
    examples = {name: example("a tower", name=name) for name in "abc"}
    said = [asked("king", sure, name=name) for name, sure in zip("abcd", (0.1, 0.9, 0.5, 1.0),
                                                                strict=True)]  # fmt: skip
    found = mistakes(said, examples)
    assert [one.asked.id for one in found] == ["b", "c", "a"]
    page = browsed("m", found, 2)
    assert page.count('class="mistake"') == 2
    assert "3 mistakes, the 2 it was surest of are shown; 3 wrong" in page
    assert "no mistakes" in browsed("m", [], 2)


def test_spans_are_marked():
    page = marked(example("a tower"), asked("king built a tower"))
    assert '<mark class="given">king built </mark><mark class="gold given">a tower</mark>' in page
    assert re.sub("<[^>]+>", "", page) == CONTEXT
    long = "x" * 500 + "gold" + "y" * 900 + "said" + "z" * 500
    page = marked(example("gold", context=long), asked("said", context=long))
    assert '<mark class="gold">gold</mark>' in page
    assert '<mark class="given">said</mark>' in page
    assert page.count("…") == 3
    assert len(page) < 800


def test_a_context_that_is_not_the_one_that_was_asked_marks_nothing():
    page = marked(example("a tower"), KeptQuestion("q", "elsewhere", 3, 0.5, 0, 0))
    assert page.count("<mark") == 1
    assert "elsewhere" not in page


@given(st.text(), st.integers(0, 20), st.integers(0, 20), st.integers(-1, 20), st.text())
def test_nothing_of_a_text_becomes_a_tag(context, start, length, at, said):
    gold = context[start : start + length]
    one = QAExample(id="<i>", question=context, context=context, answers=(gold,), starts=(start,))
    page = browsed(
        context, mistakes([KeptQuestion("<i>", said, at, 0.5, 0.0, 0.0)], {"<i>": one}), 9
    )
    known = "div ul li b form label select option input output p mark details summary span small dl"
    assert set(re.findall(r"</?([^\s>]+)", page)) <= {*known.split(), "dt", "dd"}
    page.encode("utf-8")


def test_attributes_are_escaped():
    assert tag("p", "<&>", title='"><script>') == (
        '<p title="&quot;&gt;&lt;script&gt;">&lt;&amp;&gt;</p>'
    )
    assert tag("input", type="search", hidden=True, name=None) == '<input type="search" hidden>'
    assert text("\x00\ud800") == "\ufffd\ufffd"
    assert html.unescape(text("a'b\"c&d")) == "a'b\"c&d"
