import numpy as np
import pytest

from handwriting.alphabet import BALANCED
from handwriting.consensus.beliefs import Votes, believe
from handwriting.consensus.estimation import Hindsight, Log, reestimate
from handwriting.consensus.reading import Reading
from handwriting.consensus.verdicts import given_prior

K = len(BALANCED)
READING = Reading.initial(BALANCED)
GLYPHS, KNOWN, SOURCES, EACH = 600, 300, 120, 24


class Crowd:
    """A made-up log: the first glyphs are asked about, the rest are known; some sources are dishonest."""

    def __init__(self, *, dishonest: float = 0.3, collude: bool = False, slips: float = 0.03, seed: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.truth = rng.integers(0, K, GLYPHS + KNOWN)
        source = np.repeat(np.arange(SOURCES), EACH)
        glyph = np.concatenate(
            [
                np.concatenate([rng.permutation(GLYPHS)[:18], GLYPHS + rng.permutation(KNOWN)[:6]])
                for _ in range(SOURCES)
            ]
        )
        self.liar = np.arange(SOURCES) < dishonest * SOURCES
        agreed = (self.truth + rng.integers(1, K, len(self.truth))) % K
        wrong = agreed[glyph] if collude else rng.integers(0, K, len(glyph))
        errs = self.liar[source] | (rng.random(len(glyph)) < slips)
        answer = np.where(errs, np.where(self.liar[source], wrong, rng.integers(0, K, len(glyph))), self.truth[glyph])
        order = np.lexsort((source, glyph))
        self.log = Log(glyph[order], answer[order], source[order], glyph[order] >= GLYPHS, np.ones(len(glyph)))
        self.prior = np.full((GLYPHS + KNOWN, K), 1 / K)
        none = np.zeros(KNOWN)
        self.prior[GLYPHS:] = given_prior(self.truth[GLYPHS:], none, none, READING.affinity)
        self.level = np.zeros(GLYPHS + KNOWN, np.int64)

    def seen(self, rounds: int = 8) -> Hindsight:
        return reestimate(self.log, self.prior, self.level, np.zeros(SOURCES), READING, rounds=rounds)

    def accuracy(self, seen: Hindsight, some: np.ndarray) -> float:
        votes = Votes(self.log.glyph, self.log.answer, seen.percent[self.log.source])
        said = believe(self.prior, self.level, votes, seen.reading)
        return float((said.top[some] == self.truth[some]).mean())


@pytest.mark.parametrize("collude", [False, True], ids=["random liars", "colluders"])
def test_dishonest_sources_lose_their_weight(*, collude: bool) -> None:
    crowd = Crowd(collude=collude)
    percent = crowd.seen().percent
    assert percent[crowd.liar].max() < 30
    assert percent[~crowd.liar].min() > 70


def test_colluders_do_not_win_though_they_agree() -> None:
    crowd = Crowd(dishonest=0.45, collude=True)
    counts = np.zeros((GLYPHS + KNOWN, K))
    np.add.at(counts, (crowd.log.glyph, crowd.log.answer), 1)
    heard = np.unique(crowd.log.glyph[~crowd.liar[crowd.log.source]])
    some = heard[heard < GLYPHS]
    assert (counts[some].argmax(1) == crowd.truth[some]).mean() < 0.75
    assert crowd.accuracy(crowd.seen(), some) > 0.95


def test_the_share_of_honest_votes_is_found() -> None:
    assert Crowd(dishonest=0.3).seen().reading.honesty == pytest.approx(0.7, abs=0.05)
    assert Crowd(dishonest=0.0).seen().reading.honesty > 0.95


def test_how_people_read_is_learned_from_known_glyphs() -> None:
    crowd = Crowd(dishonest=0.0, slips=0.2)
    before, after = (reading.confusion[0].diagonal().mean() for reading in (READING, crowd.seen().reading))
    assert after < before - 0.02


@pytest.mark.parametrize("bots", [0.0, 0.25])
def test_half_the_share_of_programs_is_found(bots: float) -> None:
    crowd, rng = Crowd(dishonest=0.0), np.random.default_rng(2)
    asked = slice(0, GLYPHS)
    read = np.where(rng.random(GLYPHS) < 0.8, crowd.truth[asked], rng.integers(0, K, GLYPHS))
    crowd.prior[asked] = 0.2 / (K - 1)
    crowd.prior[np.arange(GLYPHS), read] = 0.8
    crowd.level[asked] = 2
    log = crowd.log
    machine = ~log.audit & (log.source < bots * SOURCES)
    log.answer[machine] = read[log.glyph[machine]]
    assert crowd.seen().reading.machines == pytest.approx(bots / 2, abs=0.04)


def test_missed_controls_raise_doubt() -> None:
    crowd = Crowd(dishonest=0.0)
    missed = np.zeros(SOURCES)
    missed[3] = 20.0
    percent = reestimate(crowd.log, crowd.prior, crowd.level, missed, READING).percent
    assert percent[3] < 65 < percent[4]


def test_faded_evidence_counts_less() -> None:
    crowd = Crowd()
    old = Log(crowd.log.glyph, crowd.log.answer, crowd.log.source, crowd.log.audit, np.full(len(crowd.log), 0.01))
    seen = reestimate(old, crowd.prior, crowd.level, np.zeros(SOURCES), READING)
    assert seen.doubt[crowd.liar].max() < 0.5


def test_progress_is_told() -> None:
    heard: list[float] = []
    crowd = Crowd()
    reestimate(crowd.log, crowd.prior, crowd.level, np.zeros(SOURCES), READING, rounds=3, progress=heard.append)
    assert heard == sorted(heard)
    assert 0 < heard[0] <= 1
