"""Which glyphs visitors are asked about, besides the controls."""

import numpy as np

from drcaptcha.glyphs.drawing import draw, window
from drcaptcha.glyphs.models import OPEN, State
from drcaptcha.labelling.models import Role
from handwriting import selection

AUDIT_ACCEPTED = 0.4
"""Share of audits that ask again about what votes have labelled; the others ask about labels that were given."""


def choose(count: int, rng: np.random.Generator) -> list[tuple[int, Role]]:
    """Return up to ``count`` different glyphs whose label is wanted, in random order.

    They are picked by what an answer is worth, among neighbours on the wheel of random draws, so that the cost does not
    grow with the number of glyphs. Where fewer are open, accepted ones are asked about again, as audits.
    """
    if not count:
        return []
    windows = [window(state, max(64, 4 * count), rng) for state in OPEN]
    keys = [key for one in windows for key in one.keys]
    worths = np.array([worth for one in windows for worth in one.worths])
    stand_for = np.array([one.population / len(one.keys) for one in windows for _ in one.keys])
    probes = [(keys[index], Role.PROBE) for index in selection.pick(worths, stand_for, count, rng)]
    again = [(key, Role.AUDIT) for key in draw(State.ACCEPTED, count - len(probes), rng)]
    return probes + again


def audits(count: int, rng: np.random.Generator) -> list[tuple[int, Role]]:
    """Return up to ``count`` different glyphs whose label is known, drawn evenly: so what is found holds for all."""
    accepted = draw(State.ACCEPTED, int(rng.binomial(count, AUDIT_ACCEPTED)), rng)
    given = draw(State.CONTROL, count - len(accepted), rng)
    chosen = [(key, Role.AUDIT) for key in accepted + given]
    rng.shuffle(chosen)
    return chosen
