"""How far a source is trusted: one number, from a Beta distribution whose evidence fades with time.

Each vote whose answer could be checked against something else (a known label, a network's opinion) adds a part of an
observation: to ``trust`` where an honest visitor would rather have typed it, to ``doubt`` where a dishonest one would.
What tells nothing adds nothing. The parts add up, so their order does not matter.
"""

from datetime import datetime, timedelta

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEP = 1.25

HALF_LIFE = timedelta(days=3)
"""After so long, evidence counts half."""

CONTROL_MISSED = -0.25
"""What a missed control says of its source, in parts of an observation: the careful miss some too."""


def evidence(honest: Floats, junk: Floats, honesty: float) -> Floats:
    """Return what each vote says of its source, -1 (a lie) to 1 (an honest reading), 0 where it could be either.

    ``honest`` and ``junk`` are the probabilities of the answer from a visitor who tries and from one who does not;
    ``honesty`` is the share of honest votes to begin with. The posterior share is measured from there: a rise as part
    of what is missing to 1, a fall as part of what there is to lose.
    """
    posterior = honesty * honest / (honesty * honest + (1 - honesty) * junk)
    return np.where(posterior > honesty, (posterior - honesty) / (1 - honesty), (posterior - honesty) / honesty)


def faded(parts: Floats, age: Floats) -> Floats:
    """Return ``parts`` of observations as they count ``age`` seconds later."""
    left: Floats = parts * np.exp2(-np.maximum(age, 0) / HALF_LIFE.total_seconds())
    return left


def fade(part: float, since: datetime, now: datetime) -> float:
    """Return one part as it counts at ``now``."""
    return float(faded(np.array(part), np.array((now - since).total_seconds())))


def percent(trust: Floats, doubt: Floats, honesty: float, certainty: float) -> Ints:
    """Return the mean of the Beta in whole percents, 1 to 99."""
    return _whole((honesty * certainty + trust) / (certainty + trust + doubt))


def mass(trust: Floats, doubt: Floats, certainty: float) -> Ints:
    """Return on how many observations a honesty rests, as a step of a scale on which each is a quarter more.

    Steps, so that the votes of a source with many of them seldom have to be weighed again.
    """
    steps: Ints = np.rint(np.log(certainty + trust + doubt) / np.log(STEP)).astype(np.int64)
    return steps


def without(share: Ints, mass_step: Ints, part: Floats, certainty: float) -> Ints:
    """Return honesties in percent as they would be without one ``part`` of an observation each.

    What a vote said of its source must not count again when the glyph that said so is judged.
    """
    whole = np.maximum(STEP ** mass_step.astype(np.float64), certainty + np.abs(part))
    trust = np.maximum(share / 100 * whole - np.maximum(part, 0), 0)
    return _whole(trust / (whole - np.abs(part)))


def _whole(mean: Floats) -> Ints:
    return np.clip(np.rint(100 * mean), 1, 99).astype(np.int64)
