"""English words and their opposites, for questions that are to ask for the contrary."""

from __future__ import annotations

import re
from collections.abc import Iterator
from random import Random

_PAIRS = """
    after before, first last, begin end, began ended, begins ends, beginning end, start end,
    started ended, starts ends, early late, earlier later, earliest latest, oldest youngest,
    oldest newest, older younger, older newer, old new, ancient modern, birth death, day night,
    morning evening, summer winter, spring autumn,
    large small, larger smaller, largest smallest, big small, bigger smaller, biggest smallest,
    great small, greater lesser, greatest least, high low, higher lower, highest lowest,
    longer shorter, longest shortest, tall short, taller shorter, tallest shortest,
    most least, more less, maximum minimum, majority minority,
    deep shallow, deepest shallowest, wide narrow, wider narrower, widest narrowest, thick thin,
    thicker thinner, lighter heavier, lightest heaviest, nearest farthest,
    fast slow, faster slower, fastest slowest, strong weak, stronger weaker, strongest weakest,
    hot cold, hotter colder, hottest coldest, warm cool, warmer cooler, warmest coldest, dry wet,
    rich poor, richer poorer, richest poorest, best worst, better worse, good bad,
    popular unpopular, similar different, same different,
    simple complex, single multiple, natural artificial, active inactive, positive negative,
    direct indirect, directly indirectly, formal informal, official unofficial, legal illegal,
    possible impossible, able unable, successful unsuccessful, liberal conservative,
    public private, urban rural, domestic foreign, internal external, inner outer,
    inside outside, above below, upper lower, top bottom, vertical horizontal, offensive defensive,
    north south, northern southern, northernmost southernmost, east west, eastern western,
    easternmost westernmost, northeast southwest, northwest southeast, northeastern southwestern,
    northwestern southeastern,
    male female, man woman, men women, king queen, husband wife, father mother, son daughter,
    brother sister, boys girls, employer employee, teacher student,
    won lost, winning losing, victory defeat, gain loss, gained lost,
    increase decrease, increases decreases, increased decreased, increasing decreasing,
    rise fall, rose fell, rising falling, raised lowered, expand shrink, expanded shrank,
    open close, opened closed, opening closing, arrive depart, arrived departed,
    import export, imports exports, imported exported, buy sell, bought sold,
    supported opposed, supporting opposing, accept reject, accepted rejected, approved rejected,
    agree disagree, agreed disagreed, allowed forbidden, permitted prohibited, always never,
    create destroy, created destroyed, build demolish, built demolished, attacked defended,
    attract repel, absorb emit, add remove, added removed, include exclude, includes excludes,
    included excluded, appointed dismissed, hired fired, success failure,
    advantage disadvantage, advantages disadvantages
"""
_OPPOSITES: dict[str, list[str]] = {}
for _pair in _PAIRS.split(","):
    _one, _other = _pair.split()
    _OPPOSITES.setdefault(_one, []).append(_other)
    _OPPOSITES.setdefault(_other, []).append(_one)
_WORD = re.compile(r"\b[a-z]+\b")
_HOW = re.compile(r"\bhow $", re.IGNORECASE)


def contraries(question: str, context: str, *, seed: str) -> Iterator[str]:
    """A question with one of its words turned into its opposite, for each that can be.

    Only words that the context has, too, and whose opposite it has not: it speaks of the largest,
    and is asked for the smallest. Words with a capital belong to names, and "how long" asks for no
    length in particular: both are left.

    Args:
        question: in English.
        context: what it is asked of.
        seed: which opposite is taken where there are several.
    """
    said = set(_WORD.findall(context.lower()))
    for match in _WORD.finditer(question):
        word = match.group()
        others = [other for other in _OPPOSITES.get(word, ()) if other not in said]
        if not others or word not in said or _HOW.search(question, 0, match.start()):
            continue
        other = Random(f"{seed} {match.start()}").choice(others)
        yield f"{question[: match.start()]}{other}{question[match.end() :]}"
