"""Whether a text is in the language of a vocabulary."""

from types import SimpleNamespace

import numpy as np
import pytest

from potstill.bundle.find import find_model
from potstill.text.language import is_foreign
from potstill.text.tokenizer import Encoded, Tokenizer


def said(*words):
    """Whether words are foreign: ``for|eign`` is in two pieces, ``?word`` is not known at all."""
    ids, offsets, numbers, text = [], [], [], ""
    for number, word in enumerate(words):
        for piece in word.lstrip("?").split("|"):
            ids.append(0 if word.startswith("?") else 5)
            offsets.append((len(text), len(text) + len(piece)))
            numbers.append(number)
            text += piece
        text += " "
    encoded = Encoded(np.array(ids), np.array(offsets), np.array(numbers))
    return is_foreign(SimpleNamespace(encode=lambda _: encoded, unk_id=0), text)


PLAIN, SPELT = "house", "mai|son"


def test_a_third_of_strange_words_is_another_language():
    assert said(*[PLAIN] * 13, *[SPELT] * 7)
    assert not said(*[PLAIN] * 14, *[SPELT] * 6)


def test_of_few_words_nothing_can_be_said():
    assert said(*[SPELT] * 12)
    assert not said(*[SPELT] * 11)
    assert not said(*[SPELT] * 11, *["1945", "x=y", "3|4"] * 5)  # numbers and code are no words
    assert said(*[SPELT] * 12, *["1945", "x=y", "3|4"] * 20)


@pytest.mark.parametrize(
    ("word", "strange"),
    [
        ("mai|son", True),  # three letters a piece
        ("mais|ons", False),  # three and a half
        ("a|b|c", True),
        ("?house", True),
        ("a", False),
        ("家", True),  # a sign of its own, whether or not there is one for it
        ("é", False),
        ("house", False),
    ],
)
def test_what_a_strange_word_is(word, strange):
    assert said(*[word] * 12) is strange


TEXTS = {
    "The pot still is made of copper, and whisky is distilled in it twice in Scotland.": False,
    "Les habitants de cette ville vivaient autrefois de la pêche ; aujourd'hui ils travaillent "
    "surtout dans les usines voisines.": True,
    "Der Brennkessel besteht aus Kupfer, und darin wird zweimal gebrannt, nicht öfter.": True,
    "蒸留器は銅でできており、ウイスキーは二回蒸留される。": True,
    "def f(x): return x[0:3] + 12 # 0.5 1.5 2.5 3.5 4.5 5.5": False,
    "": False,
}


@pytest.mark.parametrize("text", TEXTS)
def test_by_the_embedded_vocabulary(text):
    assert is_foreign(Tokenizer.from_folder(find_model("default")), text) is TEXTS[text]
