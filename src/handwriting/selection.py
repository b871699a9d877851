"""Which glyph to ask about next: where an answer is worth most, among those that people can read."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

POWER = 1.0
"""To what power the worth of a question is raised: 0 asks about any glyph, large ones about the few best alone."""

COVERAGE = 0.1
"""Share of questions that go to any open glyph, whatever it is worth: nothing is forgotten, and nothing is biased."""


def worth(posterior: Floats, answers: Floats, entropies: Floats, readable: Floats) -> Floats:
    """Return ``(n,)``: the expected drop of entropy by one more vote, in nats, times the chance that it can be read.

    ``posterior`` ``(n, H)`` weighs what a glyph may be; ``answers`` ``(H, A)`` holds the probability of each answer for
    each of these, and ``entropies`` ``(H,)`` their entropies. The drop is the mutual information of the two (Lindley
    1956, https://doi.org/10.1214/aoms/1177728069): what can't be read promises little, however uncertain it is.
    """
    said = posterior @ answers
    drop = -(said * np.log(np.maximum(said, 1e-300))).sum(1) - posterior @ entropies
    value: Floats = np.maximum(drop, 0) * readable
    return value


def pick(worths: Floats, stand_for: Floats, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Return ``count`` different positions, or all there are, in random order.

    Each is drawn in proportion to its worth raised to ``POWER``, times how many glyphs it stands for; a share of
    ``COVERAGE`` in proportion to the latter alone.
    """
    if not len(worths):
        return np.empty(0, np.int64)
    anything = np.maximum(stand_for, 1e-12)
    valued = anything * np.maximum(worths, 1e-9) ** POWER
    chance = (1 - COVERAGE) * valued / valued.sum() + COVERAGE * anything / anything.sum()
    # The keys of Efraimidis & Spirakis 2006 (https://doi.org/10.1016/j.ipl.2005.11.003), in their logarithm.
    keys = np.log(rng.random(len(chance))) / chance
    return np.argsort(-keys)[:count]
