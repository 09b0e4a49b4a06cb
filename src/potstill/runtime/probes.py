"""Fixed rows of realistic lengths, to measure and to compare runtimes on."""

from __future__ import annotations

from collections.abc import Sequence

from potstill.runtime.plans import Row
from potstill.runtime.texts import join
from potstill.text.tokenizer import Encoded, Tokenizer

LENGTHS = (384, 224, 160, 128, 96, 40)
"""Tokens of the rows, longest first. Their mean is that of SQuAD's windows, about 170."""

QUESTION = "What does copper take out of the vapour?"
TEXT = (
    "A pot still is a kettle with a long neck. It works in batches: the wash is heated until "
    "the spirit, which boils before water does, rises as vapour, passes over the neck and is "
    "cooled in a coil of copper that lies in a tub of cold water. What comes first and what "
    "comes last is set aside and distilled again with the next batch. Copper takes sulphur "
    "compounds out of the vapour, which would otherwise smell of struck matches and boiled "
    "cabbage, and so the coppersmith decides much of what is tasted ten years later. A tall "
    "neck sends the heavier vapours back into the pot, where they are boiled once more; a short "
    "and wide one lets them pass, and the spirit is oily and full. In 1830 Aeneas Coffey, once "
    "an inspector of taxes in Dublin, patented a still of two columns that never has to be "
    "emptied. Steam rises through perforated plates while the wash runs down over them, and a "
    "steady stream of nearly pure alcohol leaves at the top. It needed less coal and fewer "
    "hands, and within fifty years most of the spirit made in Scotland came from such columns. "
    "Those who kept their pots said that purity was not the point: a spirit with nothing left "
    "in it has nothing left to say. Both were right. The column made spirit cheap, and the pot "
    "made it worth waiting for. Today the two are often married in one bottle, grain from the "
    "column for lightness, malt from the pot for character, and the blender, who has neither a "
    "kettle nor a column but only a nose, a row of glasses and a notebook, answers for the "
    "result. What he looks for is that this year's bottle cannot be told from last year's, "
    "though no cask in the warehouse is like any other."
)


def probe_rows(
    tokenizer: Tokenizer, *, longest: int, lengths: Sequence[int] = LENGTHS
) -> list[Row]:
    """Rows of a question and a piece of one text, of ``lengths`` tokens each.

    Args:
        tokenizer: of the model.
        longest: tokens that the model reads; rows that would be longer have as many.
        lengths: tokens of each row, special tokens included; at least 16.
    """
    question, text = tokenizer.encode(QUESTION), tokenizer.encode(TEXT)
    rows: list[Row] = []
    for length in lengths:
        wanted = min(length, longest)
        n_question = min(len(question), wanted // 3)
        n_text = wanted - n_question - tokenizer.layout.n_special
        pair = _part(question, n_question), _part(text, n_text)
        rows.append(join(tokenizer, *pair, seq_len=wanted)[0])
    return rows


def _part(encoded: Encoded, n_tokens: int) -> Encoded:
    """The first tokens of a text, which is begun anew where it has too few."""
    at = [i % len(encoded) for i in range(max(0, n_tokens))]
    return Encoded(encoded.ids[at], encoded.offsets[at], encoded.words[at])
