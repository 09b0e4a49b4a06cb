import sys
import unicodedata

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from potstill.text.blanks import blank_tokens
from potstill.text.tokenizer import Encoded


def cut(text, bounds):
    offsets = np.array(bounds, np.int32).reshape(-1, 2)
    n = np.zeros(len(offsets), np.int32)
    return Encoded(n, offsets, n)


def test_white_space_is_pythons_and_punctuation_unicodes():
    every = "".join(map(chr, range(sys.maxunicode + 1)))
    blank, bare = blank_tokens(every, cut(every, [(i, i + 1) for i in range(len(every))]))
    assert blank.tolist() == [one.isspace() for one in every]
    kinds = [unicodedata.category(one) for one in every]
    marks = [kind[0] in "PZ" or kind in ("Cc", "Cf") for kind in kinds]
    common = [*range(0x3100), *range(0xFE10, 0xFF60)]
    assert [bare[i] for i in common] == [marks[i] for i in common]
    assert not any(b and not m for b, m in zip(bare.tolist(), marks, strict=True))


@given(st.text(st.sampled_from("ab \t\u3000\udc00é.—$"), max_size=12), st.data())
def test_tokens_of_several_letters(text, data):
    place = st.integers(0, len(text))
    bounds = [tuple(sorted(pair)) for pair in data.draw(st.lists(st.tuples(place, place)))]
    blank, bare = blank_tokens(text, cut(text, bounds))
    assert blank.tolist() == [not text[a:b].strip() for a, b in bounds]
    assert bare.tolist() == [not text[a:b].strip(".— \t\u3000") for a, b in bounds]
