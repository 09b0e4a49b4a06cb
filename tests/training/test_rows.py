"""Examples → labelled rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.errors import QuestionTooLongError
from potstill.records import QAExample
from potstill.training.qa.rows import label, make_rows


def example(context, answer, start=None, **more):
    start = context.index(answer) if start is None else start
    return QAExample(
        id="1", question="who won?", context=context, answers=(answer,), starts=(start,), **more
    )


def row_tokens(tokenizer, rows, i):
    return tokenizer.tokens(rows.ids[rows.bounds[i] : rows.bounds[i + 1]])


def test_one_window(tokenizer):
    rows = make_rows([example("The Denver Broncos won.", "Denver Broncos")], tokenizer)
    assert len(rows) == 1
    tokens = row_tokens(tokenizer, rows, 0)
    assert tokens == "[CLS] who won ? [SEP] the denver broncos won . [SEP]".split()
    assert tokens[rows.start[0] : rows.end[0] + 1] == ["denver", "broncos"]
    assert rows.context_at[0] == 5


def test_an_answer_inside_a_word_takes_the_tokens_that_touch_it(tokenizer):
    rows = make_rows([example("in 1998 he won", "99")], tokenizer)
    tokens = row_tokens(tokenizer, rows, 0)
    assert tokens[rows.start[0] : rows.end[0] + 1] == ["##9", "##9"]


def test_windows_that_cut_the_answer_have_none(tokenizer):
    context = " ".join(["the river"] * 10) + " Denver Broncos " + " ".join(["the city"] * 10)
    rows = make_rows([example(context, "Denver Broncos")], tokenizer, seq_len=16, stride=4)
    found = []
    for i in range(len(rows)):
        tokens = row_tokens(tokenizer, rows, i)
        if rows.start[i]:
            found.append(tokens[rows.start[i] : rows.end[i] + 1])
        else:
            assert rows.end[i] == 0
            assert not {"denver", "broncos"} <= set(tokens)
    assert found
    assert all(span == ["denver", "broncos"] for span in found)


def test_the_first_and_the_last_token_of_a_window_count(tokenizer):
    # Room for 4 context tokens: each word is the first or the last of some window.
    context = "won lost won lost denver lost won lost"
    rows = make_rows([example(context, "denver")], tokenizer, seq_len=10, stride=1)
    labelled = [int(rows.start[i] - rows.context_at[i]) for i in range(len(rows)) if rows.start[i]]
    assert labelled == [1]
    rows = make_rows([example("denver lost won lost won", "denver")], tokenizer, seq_len=10)
    assert rows.start[0] == rows.context_at[0]


def test_unanswerable_and_unplaced(tokenizer):
    none = QAExample(id="1", question="who?", context="the city", is_impossible=True)
    unplaced = QAExample(
        id="2", question="who?", context="the city", answers=("x",), starts=(None,)
    )
    rows = make_rows([none, unplaced], tokenizer)
    assert rows.start.tolist() == rows.end.tolist() == [0, 0]


def test_a_question_that_leaves_no_room(tokenizer):
    with pytest.raises(QuestionTooLongError, match="3 tokens"):
        make_rows([example("the city", "city")], tokenizer, seq_len=6)


def test_allowed_is_the_context_and_cls(tokenizer):
    examples = [example("The Denver Broncos won.", "Denver"), example("Paris won.", "Paris")]
    rows = make_rows(examples, tokenizer)
    batch = rows.batch([0, 1])
    for i in range(2):
        tokens = tokenizer.tokens(batch["input_ids"][i].numpy())
        allowed = [t for t, ok in zip(tokens, batch["allowed"][i], strict=True) if ok]
        assert allowed[0] == "[CLS]"
        assert "".join(allowed[1:]).replace("##", "") == ["thedenverbroncoswon.", "pariswon."][i]
    assert batch["attention_mask"].sum(1).tolist() == rows.lengths.tolist()


@given(st.text(alphabet="denvr 19é\u0301😀.", min_size=1, max_size=40), st.data())
def test_labels_cover_the_characters(tokenizer, text, data):
    encoded = tokenizer.encode(text)
    start = data.draw(st.integers(0, len(text) - 1))
    stop = data.draw(st.integers(start + 1, len(text)))
    found = label(encoded, start, stop)
    touching = [i for i, (a, b) in enumerate(encoded.offsets.tolist()) if a < stop and b > start]
    assert found == ((touching[0], touching[-1]) if touching else None)


def test_no_examples_make_no_rows(tokenizer):
    rows = make_rows([], tokenizer)
    assert len(rows) == 0
    assert np.array_equal(rows.bounds, [0])
