import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from potstill.runtime.texts import cut, join
from potstill.text.tokenizer import Encoded, Tokenizer

lengths = st.integers(0, 200)
rooms = st.integers(8, 48)


@pytest.fixture(scope="module", params=["bert", "roberta"])
def tokenizer(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    (tiny.write_byte_level if request.param == "roberta" else tiny.write_tokenizer)(folder)
    return Tokenizer.from_folder(folder)


def text(n, first_id=1000):
    """A text of ``n`` tokens, no two alike."""
    nothing = np.zeros((n, 2), np.int32)
    return Encoded(np.arange(first_id, first_id + n, dtype=np.int32), nothing, nothing[:, 0])


def read(rows):
    """All tokens that stand in rows, special ones left out."""
    return {int(token) for row in rows for token in row.ids if token >= 1000}


@given(n=lengths, seq_len=rooms)
def test_as_many_windows_as_it_takes_read_a_text_whole(tokenizer, n, seq_len):
    rows, truncated = cut(tokenizer, text(n), seq_len=seq_len, max_windows=0)
    assert read(rows) == set(text(n).ids.tolist())
    assert not truncated
    assert all(len(row) <= seq_len for row in rows)
    assert len(rows) == max(1, -(-n // (seq_len - 2)))


@given(n=lengths, m=lengths, seq_len=rooms)
def test_a_pair_is_read_whole_too(tokenizer, n, m, seq_len):
    both = text(n), text(m, 5000)
    rows, truncated = cut(tokenizer, *both, seq_len=seq_len, max_windows=0)
    assert read(rows) == {*both[0].ids.tolist(), *both[1].ids.tolist()}
    assert not truncated
    assert all(len(row) <= seq_len for row in rows)
    for row in rows:  # the first text stands in front of the second in every row
        assert all(token < 5000 for token in row.ids[: row.second_at])
        assert not any(1000 <= token < 5000 for token in row.ids[row.second_at :])


@given(n=lengths, m=st.none() | lengths, seq_len=rooms, most=st.integers(1, 4))
def test_fewer_windows_go_from_the_beginning_to_the_end(tokenizer, n, m, seq_len, most):
    both = text(n), None if m is None else text(m, 5000)
    rows, truncated = cut(tokenizer, *both, seq_len=seq_len, max_windows=most)
    assert len(rows) <= most
    everything = {*both[0].ids.tolist(), *(both[1].ids.tolist() if both[1] else ())}
    assert truncated == (read(rows) < everything)
    beginning, cut_off = join(tokenizer, *both, seq_len=seq_len)
    assert rows[0].ids.tolist() == beginning.ids.tolist()
    assert rows[0].second_at == beginning.second_at
    assert cut_off == (read([beginning]) < everything)
    if most > 1 and n:
        assert 1000 + n - 1 in read(rows[-1:])
    if most > 1 and m:
        assert 5000 + m - 1 in read(rows[-1:])
