import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tiny
from potstill.errors import QuestionTooLongError
from potstill.text.tokenizer import BERT_PAIR, ROBERTA_PAIR, Tokenizer
from potstill.text.windows import assemble, by_token_budget, pad, split, windows

lengths = st.integers(0, 300)


@given(
    n_question=st.integers(0, 50),
    n_context=lengths,
    seq_len=st.integers(4, 90),
    stride=st.integers(0, 90),
    layout=st.sampled_from([BERT_PAIR, ROBERTA_PAIR]),
)
def test_windows_cover_every_token_fit_and_overlap_by_the_stride(
    n_question, n_context, seq_len, stride, layout
):
    room = seq_len - n_question - (4 if layout is ROBERTA_PAIR else 3)
    if room < 1:
        with pytest.raises(QuestionTooLongError):
            split(n_question, n_context, seq_len=seq_len, stride=stride, layout=layout)
        return
    slices = split(n_question, n_context, seq_len=seq_len, stride=stride, layout=layout)
    rows = windows(0, 0, n_question, n_context, seq_len=seq_len, stride=stride, layout=layout)
    assert [(one.start, one.stop) for one in rows] == slices
    assert all(len(one) <= seq_len for one in rows)
    # The last separator stands behind the slice.
    assert all(one.context_at + one.stop - one.start + 1 == len(one) for one in rows)
    assert slices[0][0] == 0
    assert slices[-1][1] == n_context
    overlap = stride if stride < room else room // 2
    for (start, stop), (later, _) in zip(slices, slices[1:], strict=False):
        assert stop - start == room
        assert stop - later == overlap
        assert later > start
    assert all(stop - start <= room for start, stop in slices)


def test_the_numbers_of_bert():
    assert split(10, 371) == [(0, 371)]
    assert split(10, 372) == [(0, 371), (243, 372)]
    assert split(10, 0) == [(0, 0)]


def test_a_question_that_leaves_no_room_says_both_lengths():
    with pytest.raises(QuestionTooLongError, match="381 tokens.*384.*380"):
        split(381, 10)
    assert split(380, 1) == [(0, 1)]


def test_a_row_is_question_and_slice_between_special_tokens(tmp_path):
    tiny.write_tokenizer(tmp_path)
    tokenizer = Tokenizer.from_folder(tmp_path)
    question, context = tokenizer.encode("who won"), tokenizer.encode("the king of the city won")
    rows = windows(0, 0, 2, 6, seq_len=8, stride=1)
    assert [(w.start, w.stop) for w in rows] == [(0, 3), (2, 5), (4, 6)]
    tokens = tokenizer.tokens(assemble(tokenizer, question, context, rows[1]))
    assert tokens == ["[CLS]", "who", "won", "[SEP]", "of", "the", "city", "[SEP]"]
    assert tokens[rows[1].context_at] == "of"
    assert len(rows[2]) == 7


def test_padding():
    batch = pad([np.array([2, 7, 3, 8, 3]), np.array([2, 3, 3])], [3, 2], pad_id=9)
    assert batch.input_ids.tolist() == [[2, 7, 3, 8, 3], [2, 3, 3, 9, 9]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert batch.token_type_ids.tolist() == [[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]]
    assert batch.input_ids.dtype == np.int64


def test_padding_has_no_types_where_the_layout_has_none():
    rows = [np.array([0, 7, 2, 2, 8, 2]), np.array([0, 2, 2, 2])]
    batch = pad(rows, [4, 3], pad_id=1, layout=ROBERTA_PAIR)
    assert batch.attention_mask.tolist() == [[1] * 6, [1, 1, 1, 1, 0, 0]]
    assert not batch.token_type_ids.any()


@given(sizes=st.lists(st.integers(1, 50), max_size=40), budget=st.integers(0, 200))
def test_batches_hold_every_row_once_within_the_budget(sizes, budget):
    batches = by_token_budget(sizes, budget)
    assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) <= budget
    longest = [max(sizes[i] for i in batch) for batch in batches]
    assert longest == sorted(longest, reverse=True)
