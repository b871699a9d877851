"""The characters that can be told apart: classes, merged cases and look-alikes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from string import ascii_lowercase, ascii_uppercase, digits

LOOK_ALIKES = ("0O", "1IL", "Ff", "q9g", "S5", "Z2")
"""Groups of classes that people can't tell apart when a character stands alone.

On EMNIST these six groups hold half of all confusions of good networks.
"""


@dataclass(frozen=True)
class Alphabet:
    """An ordered set of classes, each named by one character.

    ``merged`` sends a further character to the class that also holds it (``c`` to ``C``); ``look_alikes`` are
    disjoint groups of classes that pass for each other when a visitor is judged.
    """

    name: str
    classes: tuple[str, ...]
    merged: Mapping[str, str] = field(default_factory=dict)
    look_alikes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.classes)) != len(self.classes):
            raise ValueError(f"alphabet {self.name}: a class stands in it twice")
        grouped = [self.class_of(character) for group in self.look_alikes for character in group]
        if None in grouped or len(set(grouped)) != len(grouped):
            raise ValueError(f"alphabet {self.name}: look-alikes must be disjoint groups of its classes")

    def __len__(self) -> int:
        return len(self.classes)

    def class_of(self, character: str) -> str | None:
        """Return the class that holds ``character``, or None when the alphabet does not have it."""
        if character in self._index:
            return character
        return self.merged.get(character)

    def index(self, character: str) -> int | None:
        """Return the position in ``classes`` of the class that holds ``character``, or None."""
        name = self.class_of(character)
        return None if name is None else self._index[name]

    def alike(self, one: str, other: str) -> bool:
        """Tell whether a person may take ``one`` for ``other``: the same class, or a look-alike.

        A character that the alphabet does not have is like itself alone.
        """
        return self._likeness(one) == self._likeness(other)

    @cached_property
    def folds(self) -> tuple[int, ...]:
        """For each class the position of the first class that is alike: equal for look-alikes."""
        kinds = [self._likeness(name) for name in self.classes]
        return tuple(kinds.index(kind) for kind in kinds)

    def _likeness(self, character: str) -> str:
        name = self.class_of(character) or character
        return self._group.get(name, name)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: position for position, name in enumerate(self.classes)}

    @cached_property
    def _group(self) -> dict[str, str]:
        return {self.class_of(c) or c: group for group in self.look_alikes for c in group}


def _merge(lowercase: Iterable[str]) -> dict[str, str]:
    return {character: character.upper() for character in lowercase}


MERGED_LOWERCASE = "cijklmopsuvwxyz"
"""The fifteen letters whose two cases look alike; EMNIST ByMerge and Balanced join them."""

BALANCED = Alphabet(
    "balanced",
    tuple(digits + ascii_uppercase + "abdefghnqrt"),
    _merge(MERGED_LOWERCASE),
    LOOK_ALIKES,
)
"""The 47 classes of EMNIST Balanced and ByMerge (Cohen et al. 2017, https://arxiv.org/abs/1702.05373)."""

BYCLASS = Alphabet(
    "byclass",
    tuple(digits + ascii_uppercase + ascii_lowercase),
    {},
    ("0Oo", "1IiLl", "Ff", "q9g", "Ss5", "Zz2", *(c + c.upper() for c in "cjkmpuvwxy")),
)
"""The 62 classes of EMNIST ByClass; cases that people can't tell apart are look-alikes here."""

ALPHABETS = {alphabet.name: alphabet for alphabet in (BALANCED, BYCLASS)}
