"""The simplest rule that one liar can't break: distinct sources have to agree."""

from collections.abc import Iterable
from typing import TypeVar

Source = TypeVar("Source")


def agreement(votes: Iterable[tuple[Source, str]], needed: int) -> str | None:
    """Return the class that the most distinct sources typed, or None while there is no such class.

    ``votes`` are pairs of source and class, in any order; a source that repeats itself counts once. The winner has
    at least ``needed`` sources and strictly more than every other class: at a tie nothing is decided.
    """
    counts: dict[str, int] = {}
    for _, answer in set(votes):
        counts[answer] = counts.get(answer, 0) + 1
    leaders = [answer for answer, count in counts.items() if count == max(counts.values())]
    return leaders[0] if len(leaders) == 1 and counts[leaders[0]] >= needed else None
