"""Dynamic masking: shares, what is never hidden, whole words, and where the draws come from."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import tiny
from potstill.errors import RecipeError
from potstill.text.tokenizer import Tokenizer
from potstill.training.lm.masking import Masking, mask_tokens

MASK = tiny.VOCABULARY.index("[MASK]")
N_SPECIAL = 5


def rows(n_rows=200, seq_len=64, seed=0):
    source = torch.Generator().manual_seed(seed)
    ids = torch.randint(N_SPECIAL, len(tiny.VOCABULARY), (n_rows, seq_len), generator=source)
    ids[:, 0], ids[:, -1], ids[:, 20] = 2, 3, 1  # [CLS], [SEP], [UNK]
    ids[: n_rows // 2, 50:] = 0
    return ids


@given(seed=st.integers(0, 1000), share=st.sampled_from([0.05, 0.15, 0.4, 0.9]))
def test_what_is_chosen(tokenizer, seed, share):
    torch.manual_seed(seed)
    ids = rows(seed=seed)
    shown, labels = mask_tokens(ids, Masking.of(tokenizer, share=share))
    chosen = labels != -100
    text = ids >= N_SPECIAL
    assert not chosen[~text].any()  # nothing special, no padding
    assert torch.equal(labels[chosen], ids[chosen])
    assert torch.equal(shown[~chosen], ids[~chosen])
    assert not ((shown < N_SPECIAL) & text & (shown != MASK)).any()
    n = int(text.sum())
    assert abs(int(chosen.sum()) / n - share) < 6 * (share * (1 - share) / n) ** 0.5
    masked = float((shown == MASK)[chosen].float().mean())
    same = float((shown == ids)[chosen].float().mean())
    spread = 6 * (0.25 / int(chosen.sum())) ** 0.5
    assert abs(masked - 0.8) < spread
    # A random token is now and then the one that was there.
    assert abs(same - 0.1 - 0.1 / (len(tiny.VOCABULARY) - N_SPECIAL)) < spread


@given(seed=st.integers(0, 1000))
def test_whole_words_are_chosen_with_all_their_pieces(tokenizer, seed):
    torch.manual_seed(seed)
    ids = rows(seed=seed)
    _, labels = mask_tokens(ids, Masking.of(tokenizer, whole_words=True))
    goes_on = torch.tensor([token.startswith("##") for token in tiny.VOCABULARY])
    joined = goes_on[ids[:, 1:]] & (ids[:, :-1] >= N_SPECIAL)
    assert joined.any()
    chosen = labels != -100
    assert torch.equal(chosen[:, 1:][joined], chosen[:, :-1][joined])
    assert not chosen[ids < N_SPECIAL].any()
    share = float(chosen[ids >= N_SPECIAL].float().mean())
    assert abs(share - 0.15) < 0.05


def test_draws_come_from_the_global_generator_or_from_the_one_given(tokenizer):
    masking, ids = Masking.of(tokenizer), rows()
    torch.manual_seed(1)
    first, second = mask_tokens(ids, masking), mask_tokens(ids, masking)
    assert not torch.equal(first[1], second[1])
    torch.manual_seed(1)
    assert torch.equal(mask_tokens(ids, masking)[0], first[0])
    before = torch.get_rng_state()
    fixed = [mask_tokens(ids, masking, torch.Generator().manual_seed(7)) for _ in range(2)]
    assert torch.equal(fixed[0][0], fixed[1][0])
    assert torch.equal(torch.get_rng_state(), before)


def test_a_vocabulary_without_a_mask_or_without_pieces(tmp_path):
    tiny.write_tokenizer(tmp_path)
    words = [word for word in tiny.VOCABULARY if not word.startswith("##")]
    (tmp_path / "vocab.txt").write_text("\n".join(words))
    with pytest.raises(RecipeError, match="whole_words needs a WordPiece vocabulary"):
        Masking.of(Tokenizer.from_folder(tmp_path), whole_words=True)
    (tmp_path / "vocab.txt").write_text("\n".join(w for w in words if w != "[MASK]"))
    with pytest.raises(RecipeError, match="no mask token"):
        Masking.of(Tokenizer.from_folder(tmp_path))
