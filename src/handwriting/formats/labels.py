"""What is known of glyphs, one row a glyph, and its form as JSON Lines, from which it is read again."""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from handwriting.formats.errors import DamagedError
from handwriting.formats.idx import LIMIT, RENEW, StoredFile, reading

LEAST = 0.001
"""Characters less likely than this are left out of a distribution."""

DIGEST_BYTES = 16

_MOST_LINE_BYTES = 1 << 14
_FORMS = {
    "split": re.compile("train|test"),
    "label": re.compile("[!-~]?"),
    "truth": re.compile("[!-~]?"),
    "data_set": re.compile("[-a-zA-Z0-9_]{1,100}"),
    "digest": re.compile(f"[0-9a-f]{{{2 * DIGEST_BYTES}}}"),
}


class LabelRow(NamedTuple):
    """One glyph. None is what is not known.

    ``digest`` is the picture's, in hexadecimal. ``label`` is the character that is accepted for it, ``given`` the one
    that came with the data set or from an administrator, ``truth`` what the data set said. ``posterior`` is the
    probability of the label, or of the likeliest character where there is none. ``distribution`` has the probability
    of each character, if the glyph can be read at all, and ``unreadable`` the probability that it can't. ``votes`` are
    all in the log, ``sources`` those that count, each once.
    """

    glyph: int
    digest: str
    data_set: str
    caseless: bool
    split: str
    state: str
    label: str | None
    given: str | None
    truth: str | None
    posterior: float | None
    distribution: dict[str, float] | None
    unreadable: float | None
    votes: int
    sources: int

    def to_json(self) -> str:
        """Return the row as one line of JSON, without its end."""
        return json.dumps(self._asdict(), separators=(",", ":"), allow_nan=False)


def digest(picture: bytes) -> bytes:
    """Return what a picture, 28×28 bytes row by row, is known by: two glyphs never share it."""
    return hashlib.blake2b(picture, digest_size=DIGEST_BYTES).digest()


def distributions(probabilities: NDArray[np.float64], characters: Sequence[str]) -> list[dict[str, float]]:
    """Return for each row of ``probabilities`` (n, K) the characters that are likely enough, the likeliest first."""
    row, column = np.nonzero(probabilities >= LEAST)
    order = np.lexsort((-probabilities[row, column], row))
    names = np.array(list(characters))[column[order]].tolist()
    shares = probabilities[row, column][order].round(4).tolist()
    ends = np.bincount(row, minlength=len(probabilities)).cumsum().tolist()
    return [
        dict(zip(names[start:end], shares[start:end], strict=True))
        for start, end in zip([0, *ends], ends, strict=False)
    ]


@dataclass
class PartRows:
    """What the rows of one part say, in the order of its pictures; an empty label or truth is none."""

    labels: list[str] = field(default_factory=list)
    truths: list[str] = field(default_factory=list)
    data_sets: list[str] = field(default_factory=list)
    digests: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.labels)

    def digest(self, index: int) -> bytes:
        """Return the digest of the picture at ``index``."""
        return bytes(self.digests[index * DIGEST_BYTES : (index + 1) * DIGEST_BYTES])


@dataclass(frozen=True)
class Rows:
    """The rows of a file by part, and its data sets, each with whether its labels stand for both cases."""

    name: str
    parts: Mapping[str, PartRows]
    data_sets: Mapping[str, bool]


def read_rows(file: StoredFile) -> Rows:
    """Read ``LabelRow``s that were written as JSON Lines, and keep of each what an import needs.

    Raises:
        DamagedError: a line is no such row, or two do not agree on their data set.
    """
    parts = {"train": PartRows(), "test": PartRows()}
    data_sets: dict[str, bool] = {}
    for number, line in enumerate(_lines(file), start=1):
        try:
            row = _parsed(line)
        except (ValueError, KeyError, TypeError, RecursionError) as fault:
            raise DamagedError(file.name, f"line {number:,} is not a row of labels ({fault})", RENEW) from fault
        # The names are few, so each is kept once.
        name, caseless = sys.intern(row["data_set"]), row["caseless"]
        if data_sets.setdefault(name, caseless) != caseless:
            raise DamagedError(file.name, f"line {number:,} says of {name} what other lines do not", RENEW)
        part = parts[row["split"]]
        part.labels.append(row["label"])
        part.truths.append(row["truth"])
        part.data_sets.append(name)
        part.digests += bytes.fromhex(row["digest"])
    return Rows(file.name, parts, data_sets)


def _lines(file: StoredFile) -> Iterator[bytes]:
    with reading(file) as stream:
        for _ in range(2 * LIMIT):
            line = stream.readline(_MOST_LINE_BYTES)
            if not line:
                return
            yield line
    raise DamagedError(file.name, f"has more than {2 * LIMIT:,} lines", RENEW)


def _parsed(line: bytes) -> dict[str, Any]:
    row = json.loads(line)
    found = {name: "" if row[name] is None else row[name] for name in _FORMS}
    for name, form in _FORMS.items():
        if not form.fullmatch(found[name]):
            raise ValueError(f"{name} is {found[name]!r:.40}")
    if not isinstance(row["caseless"], bool):
        raise TypeError("caseless is neither true nor false")
    return found | {"caseless": row["caseless"]}
