"""The opinion of the ensemble that serves, stored for the glyphs that it never learned from: their prior."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import SIDE, Glyph, Split
from drcaptcha.learning import registry, snapshots
from drcaptcha.learning.models import Ensemble, Network, Prior
from drcaptcha.learning.signals import priors_changed
from handwriting.ensembles import calibrate, temper
from handwriting.inference import InferenceError

BATCH = 2_000

FEWEST_HELD = 200
"""Validation glyphs that a calibration needs."""


def temperature(ensemble: Ensemble, committee: registry.Committee) -> float:
    """Return the temperature that calibrates ``ensemble`` on the glyphs that all its members were validated on.

    It is 1, which changes nothing, where they share too few.
    """
    held: dict[int, int] | None = None
    for network in _members(ensemble):
        snapshot = snapshots.of(network)
        own = (
            {}
            if snapshot is None
            else dict(zip(snapshot.keys[snapshot.held].tolist(), snapshot.labels[snapshot.held].tolist(), strict=True))
        )
        held = own if held is None else {key: label for key, label in held.items() if own.get(key) == label}
    if not held or len(held) < FEWEST_HELD:
        return 1.0
    said = np.concatenate([committee.probabilities(pictures) for _, pictures in _pictures(sorted(held))])
    return calibrate(said, np.array([held[key] for key in sorted(held)]))


def score(
    ensemble: Ensemble, *, now: datetime, missing: bool = False, progress: Callable[[float], object] = lambda _: None
) -> int:
    """Store what ``ensemble`` thinks of every glyph whose label was not given and that it never learned from.

    With ``missing`` only of those that have no prior yet. A glyph that a member has learned keeps the prior that an
    earlier ensemble gave it. Returns the number of glyphs scored.

    Raises:
        NotPossible: the ensemble was never evaluated, or its files can't be read.
    """
    evaluation = ensemble.evaluation
    if evaluation is None:
        raise NotPossible(f"The ensemble {ensemble} has not been evaluated yet. Evaluate it first.")
    committee = registry.committee(ensemble, threads=0)
    wanted = Glyph.objects.filter(split=Split.TRAIN, given="")
    if missing:
        wanted = wanted.filter(prior=None)
    keys = np.fromiter(wanted.order_by("pk").values_list("pk", flat=True).iterator(), np.int64)
    keys = np.setdiff1d(keys, _learned(ensemble), assume_unique=True)
    done = 0
    try:
        for some, pictures in _pictures(keys.tolist()):
            _store(ensemble, some, temper(committee.probabilities(pictures), evaluation.temperature))
            done += len(some)
            progress(done / len(keys))
    except InferenceError as fault:
        raise NotPossible(f"A network of the ensemble {ensemble} can't be used: {fault}") from fault
    if done:
        priors_changed.send(Ensemble, now=now)
    return done


def _members(ensemble: Ensemble) -> list[Network]:
    return [member.network for member in ensemble.memberships.filter(weight__gt=0).select_related("network")]


def _learned(ensemble: Ensemble) -> NDArray[np.int64]:
    """Return the glyphs that a member has learned. One without a snapshot may have learned any that has a label."""
    learned = [np.empty(0, np.int64)]
    for network in _members(ensemble):
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


def _store(ensemble: Ensemble, keys: Sequence[int], said: NDArray[np.float64]) -> None:
    rows = said.astype(np.float16)
    Prior.objects.bulk_create(
        (
            Prior(glyph_id=key, ensemble=ensemble, probabilities=row.tobytes())
            for key, row in zip(keys, rows, strict=True)
        ),
        update_conflicts=True,
        unique_fields=["glyph"],
        update_fields=["ensemble", "probabilities"],
    )
