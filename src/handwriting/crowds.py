"""Simulated visitors: people of several kinds, bots and poisoners, to try the labelling on before real ones come.

How a person reads a glyph is taken from the glyph itself: which known glyphs of other classes look like it, and which
characters people mix up anywhere. None of it comes from the networks or from the model of votes that is being tried.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from handwriting.alphabet import Alphabet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HONEST = {"careful": 0.55, "careless": 0.2, "confuser": 0.25}
"""Shares of those who try: readers, readers in a hurry, and readers who mix up what can be mixed up."""

CARE = {"careful": 0.7, "careless": 2.0, "confuser": 1.1}
"""How many slips each makes for one of the average."""

LOST = 0.05
"""Of a glyph that is sure to be misread, the share of visitors who say that they can't read it."""

CROWDS: dict[str, dict[str, float]] = {
    "honest": {},
    "liars10": {"liar": 0.1},
    "colluders10": {"colluder": 0.1},
    "bots10": {"bot": 0.1},
    "ambiguous": {"liar": 0.1},
    "colluders30": {"colluder": 0.3},
    "mixed40": {"liar": 0.1, "colluder": 0.1, "bot": 0.1, "repeater": 0.05, "lookup": 0.05},
    "onetime": {"liar": 0.1},
}
"""Shares of visitors who don't try, by crowd; the rest are honest."""

AMBIGUOUS = 0.06
"""Share of glyphs that the crowd ``ambiguous`` reads as either of two characters."""

TRUE_SHARE = (0.5, 0.9)
"""Which share of visitors reads such a glyph as what its writer meant, at the least and at the most."""

MIXED_UP = (
    "0ODQ",
    "1IL7",
    "2Z",
    "5S",
    "6Gb",
    "8B",
    "9gq4",
    "Ff",
    "UV",
    "UN",
    "VY",
    "hn",
    "ad",
    "rVY",
    "eC",
    "KX",
    "tf+",
    "JT",
    "HA",
    "MN",
)
"""Characters that people mix up in handwriting, whoever wrote them."""


@dataclass(frozen=True)
class Nature:
    """How this crowd reads: knobs to set away from what the labelling believes.

    ``slips`` is the chance of a slip at a clear glyph, ``confusion`` the chance of another reading where every similar
    glyph is of another class, ``dazed`` the share of slips that are any character at all. ``visits`` is the mean number
    of answers of a visitor.
    """

    slips: float = 0.006
    confusion: float = 0.05
    dazed: float = 0.25
    ambiguous: float = 0.0
    visits: float = 8.0


@dataclass(frozen=True)
class Visitor:
    """One visitor: a number that no other has, a kind, and how many answers are to come."""

    number: int
    kind: str
    answers: int


@dataclass
class Crowd:
    """A crowd in front of ``n`` glyphs.

    ``truth`` ``(n,)`` holds their classes, ``likeness`` ``(n, K)`` how much each looks like glyphs of each class (see
    the function of that name), ``machine`` ``(n,)`` what a bot's network reads. ``kinds`` are the shares of visitors
    who don't try.
    """

    alphabet: Alphabet
    truth: Ints
    likeness: Floats
    machine: Ints
    kinds: dict[str, float]
    nature: Nature
    rng: np.random.Generator
    reading: Floats = field(init=False)
    """``(n, K)``: how a person of average care reads each glyph."""
    _present: list[Visitor] = field(default_factory=list)
    _arrived: int = 0
    _remembered: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.reading = self._people()
        names = [*HONEST, *self.kinds]
        honest = 1 - sum(self.kinds.values())
        self._names = names
        self._shares = np.array([honest * share for share in HONEST.values()] + list(self.kinds.values()))
        # Colluders have agreed on one wrong character for each glyph.
        self._agreed = (self.truth + self.rng.integers(1, len(self.alphabet), len(self.truth))) % len(self.alphabet)

    def arrive(self, count: int) -> list[Visitor]:
        """Return ``count`` different visitors who come to answer; many come again."""
        while len(self._present) < max(200, 4 * count):
            self._present.append(self._newcomer())
        chosen = self.rng.choice(len(self._present), count, replace=False)
        visitors = [self._present[index] for index in chosen]
        for index in sorted(chosen.tolist(), reverse=True):
            one = self._present.pop(index)
            if one.answers > 1:
                number = one.number
                if one.kind == "repeater":  # Comes back under another address.
                    number, self._arrived = self._arrived, self._arrived + 1
                self._present.append(Visitor(number, one.kind, one.answers - 1))
        return visitors

    def answer(self, visitor: Visitor, glyphs: Sequence[int], gates: Sequence[bool]) -> list[int]:
        """Return what ``visitor`` types for the glyphs at these positions: a class each, or K for "can't read".

        ``gates`` tell which decide on the pass. Liars and colluders know them, which is more than they could; but they
        can't tell a glyph whose label is known from one whose label is wanted.
        """
        shown = np.asarray(glyphs)
        typed = self._read(visitor.kind, shown)
        free = ~np.asarray(gates, bool)
        if visitor.kind == "liar":
            typed[free] = self.rng.integers(0, len(self.alphabet), free.sum())
        elif visitor.kind == "colluder":
            typed[free] = self._agreed[shown[free]]
        elif visitor.kind == "bot":
            typed = self.machine[shown].copy()
        elif visitor.kind == "lookup":
            typed = self.truth[shown].copy()
            typed[self.rng.integers(len(typed))] = self.rng.integers(len(self.alphabet))
        elif visitor.kind == "repeater":
            typed = np.array([self._remembered.setdefault(g, t) for g, t in zip(glyphs, typed.tolist(), strict=True)])
        return [int(answer) for answer in typed]

    def _newcomer(self) -> Visitor:
        kind = self._names[self.rng.choice(len(self._names), p=self._shares)]
        number, self._arrived = self._arrived, self._arrived + 1
        return Visitor(number, kind, int(self.rng.geometric(1 / self.nature.visits)))

    def _people(self) -> Floats:
        """Blend what each glyph looks like with what people mix up anywhere, and with the truth."""
        rows = np.arange(len(self.truth))
        others = self.likeness.copy()
        others[rows, self.truth] = 0
        doubt = others.sum(1)
        general = _mixed_up(self.alphabet)[self.truth]
        wrong = 2 * others + 0.3 * general
        wrong /= wrong.sum(1, keepdims=True)
        rate = self.nature.slips + self.nature.confusion * doubt
        even = np.full(len(self.alphabet), 1 / len(self.alphabet))
        reading = rate[:, None] * ((1 - self.nature.dazed) * wrong + self.nature.dazed * even)
        reading[rows, self.truth] += 1 - rate
        for row in np.argsort(-doubt - 0.1 * self.rng.random(len(doubt)))[: round(self.nature.ambiguous * len(doubt))]:
            twin, share = int(wrong[row].argmax()), self.rng.uniform(*TRUE_SHARE)
            reading[row] *= 0.03
            reading[row, self.truth[row]] += 0.97 * share
            reading[row, twin] += 0.97 * (1 - share)
        total: Floats = reading / reading.sum(1, keepdims=True)
        return total

    def _read(self, kind: str, shown: Ints) -> Ints:
        """Read as people do: the careful err less than the average, the careless more, some where it is easy to."""
        rows = np.arange(len(shown))
        reading = self.reading[shown] * CARE.get(kind, CARE["careful"])
        truth = self.truth[shown]
        reading[rows, truth] = 0
        if kind == "confuser":
            reading *= 1 + reading / np.maximum(reading.max(1, keepdims=True), 1e-12)
        reading *= np.minimum(1, 0.9 / np.maximum(reading.sum(1, keepdims=True), 1e-12))
        reading[rows, truth] = 1 - reading.sum(1)
        typed: Ints = (reading.cumsum(1) < self.rng.random((len(shown), 1))).sum(1).clip(max=len(self.alphabet) - 1)
        lost = self.rng.random(len(shown)) < LOST * (1 - reading.max(1))
        typed[lost] = len(self.alphabet)
        return typed


def likeness(
    glyphs: npt.NDArray[np.uint8], known: npt.NDArray[np.uint8], labels: Ints, classes: int, nearest: int = 12
) -> Floats:
    """Return ``(n, classes)``: the shares of classes among the known glyphs nearest to each of ``glyphs``.

    Pictures ``(n, 28, 28)`` are blurred to 7 × 7 blocks of ink and compared by their angle, so that this is a reader of
    its own and no network.
    """
    ours, theirs = _features(glyphs), _features(known)
    shares = np.empty((len(glyphs), classes))
    for start in range(0, len(glyphs), 512):
        near = ours[start : start + 512] @ theirs.T
        best = np.argpartition(-near, nearest, axis=1)[:, : nearest + 1]
        angles = np.take_along_axis(near, best, 1)
        angles[angles > 0.99999] = 0  # The glyph itself, where it is among the known.
        weight = np.maximum(angles - angles.min(1, keepdims=True), 0) + 1e-6
        block = np.zeros((len(near), classes))
        np.add.at(block, (np.arange(len(near))[:, None], labels[best]), weight)
        shares[start : start + 512] = block / block.sum(1, keepdims=True)
    return shares


def _features(glyphs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    blocks = glyphs.reshape(len(glyphs), 14, 2, 14, 2).mean((2, 4), dtype=np.float32).reshape(len(glyphs), -1)
    blocks -= blocks.mean(1, keepdims=True)
    unit: npt.NDArray[np.float32] = blocks / np.maximum(np.linalg.norm(blocks, axis=1, keepdims=True), 1e-6)
    return unit


def _mixed_up(alphabet: Alphabet) -> Floats:
    """Return ``(K, K)``: which other classes each is mixed up with, rows adding up to 1, even where there are none."""
    size = len(alphabet)
    table = np.full((size, size), 0.2 / size)
    for group in MIXED_UP:
        members = sorted({index for c in group if (index := alphabet.index(c)) is not None})
        table[np.ix_(members, members)] += 1
    np.fill_diagonal(table, 0)
    shares: Floats = table / table.sum(1, keepdims=True)
    return shares
