"""Whether a text is in a language that a model's vocabulary was made for."""

from __future__ import annotations

from potstill.text.tokenizer import Tokenizer

FOREIGN = 0.35
"""Share of strange words from which a text is in another language: English has 0.04 to 0.2 by the
vocabulary of an English BERT, French and Spanish over 0.4, German, Polish and Russian over 0.6."""
_LEAST = 12
"""Words below which nothing can be said."""
_PIECE = 3.2
"""Letters a piece of a word that is strange: it was spelt out."""
_IDEOGRAMS = 0x2E80
"""Code points from here on are signs of scripts that a vocabulary has one by one, if at all."""


def is_foreign(tokenizer: Tokenizer, text: str) -> bool:
    """Whether most of a text's words are not in the vocabulary: unknown, or spelt out in pieces.

    False for a text of few words, and for numbers, code and tables, which have few.
    """
    encoded = tokenizer.encode(text)
    pieces: dict[int, list[int]] = {}
    for at, word in enumerate(encoded.words.tolist()):
        pieces.setdefault(word, []).append(at)
    n_words = n_strange = 0
    for own in pieces.values():
        word = text[encoded.offsets[own[0], 0] : encoded.offsets[own[-1], 1]].strip()
        if not word.isalpha():
            continue
        n_words += 1
        n_strange += (
            (len(own) > 1 and len(word) < _PIECE * len(own))
            or (len(word) == 1 and ord(word) >= _IDEOGRAMS)
            or any(encoded.ids[at] == tokenizer.unk_id for at in own)
        )
    return n_words >= _LEAST and n_strange >= FOREIGN * n_words
