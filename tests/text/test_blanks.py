import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from potstill.text.blanks import blank_tokens
from potstill.text.tokenizer import Encoded


def cut(text, bounds):
    offsets = np.array(bounds, np.int32).reshape(-1, 2)
    n = np.zeros(len(offsets), np.int32)
    return Encoded(n, offsets, n)


def test_white_space_is_pythons():
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    found = blank_tokens(every, cut(every, [(i, i + 1) for i in range(len(every))]))
    assert found.tolist() == [one.isspace() for one in every]


@given(st.text(st.sampled_from("ab \t\u3000\udc00é"), max_size=12), st.data())
def test_as_strip_has_it(text, data):
    place = st.integers(0, len(text))
    bounds = [tuple(sorted(pair)) for pair in data.draw(st.lists(st.tuples(place, place)))]
    found = blank_tokens(text, cut(text, bounds))
    assert found.tolist() == [not text[a:b].strip() for a, b in bounds]
