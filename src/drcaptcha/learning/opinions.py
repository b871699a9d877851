"""The opinion of the ensemble that serves, stored for the glyphs that it never learned from: their prior."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import SIDE, Glyph, Split
from drcaptcha.learning import registry, snapshots, validation
from drcaptcha.learning.models import Ensemble, Evaluation, Prior
from drcaptcha.learning.signals import priors_changed
from handwriting.ensembles import calibrate, combine, correct, log_loss
from handwriting.inference import InferenceError

BATCH = 2_000

STRENGTHS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25)
"""Corrections for unequal classes that are tried; below 0 they are expected to be unequal."""


def score(
    judged: Evaluation, *, now: datetime, missing: bool = False, progress: Callable[[float], object] = lambda _: None
) -> int:
    """Store what an ensemble, as it was judged, thinks of every glyph that it never learned and that was not labelled.

    No label was given, that is: those that votes gave are of interest too. The classes of such glyphs are as unequal as
    those that it learned, so it is corrected and calibrated for that. With ``missing`` only those are scored that have
    no prior yet. A glyph that a member has learned keeps the prior that an earlier ensemble gave it. Returns the number
    scored.

    Raises:
        NotPossible: the files of the ensemble can't be read.
    """
    committee = _expecting_the_learned(judged)
    wanted = Glyph.objects.filter(split=Split.TRAIN, given="")
    if missing:
        wanted = wanted.filter(prior=None)
    keys = np.fromiter(wanted.order_by("pk").values_list("pk", flat=True).iterator(), np.int64)
    keys = np.setdiff1d(keys, _learned(judged), assume_unique=True)
    done = 0
    try:
        for some, pictures in _pictures(keys.tolist()):
            _store(judged, some, committee.probabilities(pictures))
            done += len(some)
            progress(done / len(keys))
    except InferenceError as fault:
        raise NotPossible(f"A network of the ensemble {judged.ensemble} can't be used: {fault}") from fault
    if done:
        priors_changed.send(Ensemble, now=now)
    return done


def _expecting_the_learned(judged: Evaluation) -> registry.Committee:
    """Return the ensemble, corrected and calibrated by validation glyphs as they come, whatever their classes.

    What serves is corrected for classes that are met alike; and a network that was trained to expect them alike has to
    be told how unequal they are, which is a correction below 0.
    """
    committee, networks = registry.committee(judged, threads=0), registry.members_of(judged)
    common = validation.of(networks)
    committee.correction, committee.temperature = 0.0, 1.0
    if len(common) < validation.FEWEST:
        return committee
    committee.counts = validation.learned_counts(networks)
    pooled = combine(common.probabilities, committee.weights, committee.pooling)
    committee.correction = min(
        STRENGTHS, key=lambda strength: log_loss(correct(pooled, committee.counts, strength), common.labels)
    )
    committee.temperature = calibrate(correct(pooled, committee.counts, committee.correction), common.labels)
    return committee


def _learned(judged: Evaluation) -> NDArray[np.int64]:
    """Return the glyphs that a member has learned. One without a snapshot may have learned any that has a label."""
    learned = [np.empty(0, np.int64)]
    for network in registry.members_of(judged):
        snapshot = snapshots.of(network)
        labelled = Glyph.objects.labelled().values_list("pk", flat=True)
        learned.append(np.fromiter(labelled, np.int64) if snapshot is None else snapshot.keys)
    return np.unique(np.concatenate(learned))


def _pictures(keys: Sequence[int]) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Yield keys, in their order, with pictures ``(n, 28, 28)``."""
    for start in range(0, len(keys), BATCH):
        some = list(keys[start : start + BATCH])
        rows = list(Glyph.objects.filter(pk__in=some).order_by("pk").values_list("pk", "picture"))
        yield (
            [key for key, _ in rows],
            np.frombuffer(b"".join(bytes(picture) for _, picture in rows), np.uint8).reshape(-1, SIDE, SIDE),
        )


def _store(judged: Evaluation, keys: Sequence[int], said: NDArray[np.float64]) -> None:
    rows = said.astype(np.float16)
    Prior.objects.bulk_create(
        (
            Prior(glyph_id=key, ensemble=judged.ensemble, probabilities=row.tobytes())
            for key, row in zip(keys, rows, strict=True)
        ),
        update_conflicts=True,
        unique_fields=["glyph"],
        update_fields=["ensemble", "probabilities"],
    )
