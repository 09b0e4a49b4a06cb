import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from potstill.runtime.plans import run_plans
from potstill.runtime.tokenwise import best_slices, plan, slices, softmax


class Echo:
    """Gives each position its own token id, and how many tokens its row has."""

    def __init__(self):
        self.n_rows = 0

    def run(self, batch):
        self.n_rows += len(batch.input_ids)
        lengths = batch.attention_mask.sum(-1, keepdims=True) + 0 * batch.input_ids
        return (np.stack([batch.input_ids, lengths], -1).astype(np.float32),)


@given(
    st.lists(st.integers(1, 5), min_size=1, max_size=40),
    st.integers(3, 30),
    st.integers(0, 12),
)
def test_each_word_is_read_where_it_has_the_most_context(sizes, seq_len, stride):
    words = np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    n = len(words)
    cuts = slices(n, seq_len=seq_len, stride=stride)
    chosen = best_slices(words, cuts)

    def context(token, cut):
        """Tokens between a token's word and the nearer edge that cuts the text."""
        own = np.flatnonzero(words == words[token])
        left = own[0] - cut[0] if cut[0] else n
        right = cut[1] - 1 - own[-1] if cut[1] < n else n
        return min(left, right)

    for token, number in enumerate(chosen.tolist()):
        covering = [cut for cut in cuts if cut[0] <= token < cut[1]]
        assert cuts[number] in covering
        assert context(token, cuts[number]) == max(context(token, cut) for cut in covering)
    for word in range(len(sizes)):
        own = np.flatnonzero(words == word)
        if any(a <= own[0] and own[-1] < b for a, b in cuts):
            assert len(set(chosen[own].tolist())) == 1


def test_windows_are_put_together_in_order(tokenizer):
    texts = [tokenizer.encode("the old king built a tower " * n) for n in (1, 9, 3)]
    session = Echo()
    plans = [plan(tokenizer, text, text.words, seq_len=16, stride=6) for text in texts]
    how = {"pad_id": tokenizer.pad_id, "layout": tokenizer.layout, "token_budget": 64}
    found = run_plans(session, plans, **how)
    for text, logits in zip(texts, found, strict=True):
        assert logits[:, 0].astype(int).tolist() == text.ids.tolist()
        assert logits[:, 1].max() <= 16
    assert session.n_rows > 3


def test_softmax():
    logits = np.array([[1e4, 0.0], [-1e4, -1e4]], np.float32)
    assert softmax(logits).tolist() == [[1.0, 0.0], [0.5, 0.5]]
