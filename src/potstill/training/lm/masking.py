"""Dynamic masking: which tokens a masked language model has to find, drawn anew for every batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from potstill.errors import RecipeError
from potstill.losses.lm import IGNORE
from potstill.text.tokenizer import Tokenizer

_MASKED, _RANDOM = 0.8, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Masking:
    """BERT's masking over one vocabulary."""

    share: float
    """Of the tokens that may be chosen, how many are."""
    mask_id: int
    special: Tensor
    """True for tokens that are never chosen, bool ``[vocab]``."""
    ordinary: Tensor
    """All other tokens, one of which is put in now and then, int64 ``[n]``."""
    continues: Tensor | None
    """True for tokens that go on with a word, bool ``[vocab]``: whole words are chosen then."""

    @classmethod
    def of(cls, tokenizer: Tokenizer, *, share: float = 0.15, whole_words: bool = False) -> Masking:
        """The masking for a tokenizer's vocabulary.

        Raises:
            RecipeError: the vocabulary has no mask token, or does not mark the pieces of words.
        """
        if tokenizer.mask_id is None:
            raise RecipeError(
                "base has no mask token ([MASK]) in its vocabulary: name a model that has one"
            )
        continues = torch.from_numpy(tokenizer.continuations()) if whole_words else None
        if continues is not None and not continues.any():
            raise RecipeError(
                "whole_words needs a WordPiece vocabulary (##ing), which base does not have: "
                "set whole_words=false"
            )
        special = torch.from_numpy(tokenizer.special())
        ordinary = (~special).nonzero().flatten()
        return cls(share, tokenizer.mask_id, special, ordinary, continues)

    def to(self, device: torch.device) -> Masking:
        """The same on another device."""
        continues = None if self.continues is None else self.continues.to(device)
        special, ordinary = self.special.to(device), self.ordinary.to(device)
        return Masking(self.share, self.mask_id, special, ordinary, continues)


def mask_tokens(
    input_ids: Tensor, masking: Masking, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Hides a share of the tokens.

    Devlin et al. 2019, §3.1 and A.1 (https://arxiv.org/abs/1810.04805): of the chosen tokens 80%
    become the mask, 10% a random token, 10% stay. Special tokens and padding are never chosen.
    Chosen anew for every batch, as in Liu et al. 2019, §4.1 (https://arxiv.org/abs/1907.11692);
    whole words as in BERT's release of May 2019: a word is chosen with all its pieces or not at
    all, each piece being replaced by a draw of its own.

    Args:
        input_ids: int64 ``[batch, seq]``.
        masking: on the same device.
        generator: where the draws come from; torch's own by default, whose state is part of every
            checkpoint.

    Returns:
        The ids to show, and the labels: the token where one was chosen, -100 elsewhere.
    """

    def draw() -> Tensor:
        return torch.rand(input_ids.shape, generator=generator, device=input_ids.device)

    chance = draw()
    if masking.continues is not None:
        # One draw a word: that at the word's number in its row.
        chance = chance.gather(1, (~masking.continues[input_ids]).cumsum(1).sub(1).clamp(min=0))
    chosen = (chance < masking.share) & ~masking.special[input_ids]
    labels = torch.where(chosen, input_ids, IGNORE)
    fate = draw()
    pick = torch.randint(
        len(masking.ordinary), input_ids.shape, generator=generator, device=input_ids.device
    )
    shown = torch.where(chosen & (fate < _MASKED), masking.mask_id, input_ids)
    swapped = chosen & (fate >= _MASKED) & (fate < _MASKED + _RANDOM)
    return torch.where(swapped, masking.ordinary[pick], shown), labels


@dataclass(frozen=True, slots=True, eq=False)
class MaskedRows:
    """A batch with its tokens hidden."""

    shown: Tensor
    """Ids with masks, int64 ``[batch, seq]``."""
    attention_mask: Tensor | None
    """1 for real tokens, ``[batch, seq]``; ``None`` where nothing is padded."""
    positions: Tensor
    """True where a token is to be found, bool ``[batch, seq]``."""
    gold: Tensor
    """The tokens to be found, int64 ``[n]``."""

    @classmethod
    def of(
        cls,
        batch: dict[str, Tensor],
        masking: Masking,
        generator: torch.Generator | None = None,
    ) -> MaskedRows:
        """Masks a batch of `CorpusRows`, by torch's own generator unless one is given."""
        shown, labels = mask_tokens(batch["input_ids"], masking, generator)
        positions = labels != IGNORE
        return cls(shown, batch.get("attention_mask"), positions, labels[positions])

    @property
    def real(self) -> Tensor:
        """True for tokens that are no padding, bool ``[batch, seq]``."""
        if self.attention_mask is None:
            return torch.ones_like(self.positions)
        return self.attention_mask.bool()
