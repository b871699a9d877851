"""The opinion of the ensemble that serves, stored for the glyphs that it never learned from: their prior."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import numpy as np
from django.db import transaction
from django.db.models import QuerySet
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import SIDE, Glyph, Split, State
from drcaptcha.learning import registry, snapshots, validation
from drcaptcha.learning.models import Ensemble, Evaluation, Prior
from drcaptcha.learning.signals import priors_changed
from handwriting.ensembles import calibrate, combine, correct, log_loss
from handwriting.inference import InferenceError

BATCH = 2_000

STRENGTHS = (-1.0, -0.75, -0.5, -0.25, 0.0, 0.25)
"""Corrections for unequal classes that are tried; below 0 they are expected to be unequal."""


def score(judged: Evaluation, *, now: datetime, progress: Callable[[float], object] = lambda _: None) -> int:
    """Store what the ensemble that serves, as it was ``judged``, thinks of every glyph that was not labelled.

    No label was given, that is: those that votes gave are of interest too. The classes of such glyphs are as unequal as
    those that it learned, so it is corrected and calibrated for that. A glyph that a member has learned keeps the prior
    that an earlier ensemble gave it. One that it has scored before, saying the same, is left out: what was interrupted
    goes on. It ends where another serves. Returns the number scored.

    Raises:
        NotPossible: the files of the ensemble can't be read.
    """
    done, whole = _score(judged, progress)
    if done and whole:
        priors_changed.send(Ensemble, now=now)
    return done


def complete(*, now: datetime, progress: Callable[[float], object] = lambda _: None) -> int:
    """Have the ensemble that serves score what it has not scored yet, and let labels follow; return the number scored.

    They follow also where nothing was left to score, for scoring may have been interrupted just before they did.

    Raises:
        NotPossible: none serves, or its files can't be read.
    """
    judged = registry.champion()
    if judged is None:
        raise NotPossible("No ensemble serves, so none can score glyphs. Train one, or let one serve.")
    done, whole = _score(judged, progress)
    if whole:
        priors_changed.send(Ensemble, now=now)
    return done


def _score(judged: Evaluation, progress: Callable[[float], object]) -> tuple[int, bool]:
    """Return the number of glyphs scored, and whether those are all: another may serve before."""
    committee = _expecting_the_learned(judged)
    wanted = Glyph.objects.filter(split=Split.TRAIN, given="").order_by("pk").values_list("pk", flat=True)
    keys = np.fromiter(wanted.iterator(), np.int64)
    keys = np.setdiff1d(keys, np.concatenate([_learned(judged), _scored(judged)]))
    done = 0
    try:
        for some, pictures in _pictures(keys.tolist()):
            if not _store(judged, some, committee.probabilities(pictures)):
                return done, False
            done += len(some)
            progress(done / len(keys))
    except InferenceError as fault:
        raise NotPossible(f"A network of the ensemble {judged.ensemble} can't be used: {fault}") from fault
    return done, True


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
    """Return the glyphs that a member has learned.

    One without a snapshot may have learned any that had a label at some time: all but those of which nothing was heard.
    """
    learned = [np.empty(0, np.int64)]
    for network in registry.members_of(judged):
        snapshot = snapshots.of(network)
        if snapshot is None:
            heard = Glyph.objects.exclude(state=State.UNKNOWN, heard_from=None).values_list("pk", flat=True)
            learned.append(np.fromiter(heard.iterator(), np.int64))
        else:
            learned.append(snapshot.keys)
    return np.unique(np.concatenate(learned))


def _scored(judged: Evaluation) -> NDArray[np.int64]:
    """Return the glyphs of which the ensemble has said before what it would say now."""
    same = [row.pk for row in _evaluations_of(judged) if row.says_like(judged)]
    keys = Prior.objects.filter(evaluation__in=same).values_list("pk", flat=True)
    return np.fromiter(keys.iterator(), np.int64)


def _evaluations_of(judged: Evaluation) -> QuerySet[Evaluation]:
    return Evaluation.objects.filter(ensemble=judged.ensemble_id).defer("confusion", "said", "right")


def _pictures(keys: Sequence[int]) -> Iterator[tuple[list[int], NDArray[np.uint8]]]:
    """Yield keys, in their order, with pictures ``(n, 28, 28)``."""
    for start in range(0, len(keys), BATCH):
        some = list(keys[start : start + BATCH])
        rows = list(Glyph.objects.filter(pk__in=some).order_by("pk").values_list("pk", "picture"))
        yield (
            [key for key, _ in rows],
            np.frombuffer(b"".join(bytes(picture) for _, picture in rows), np.uint8).reshape(-1, SIDE, SIDE),
        )


def _store(judged: Evaluation, keys: Sequence[int], said: NDArray[np.float64]) -> bool:
    """Store priors, unless another ensemble serves by now; tell whether they were."""
    rows = said.astype(np.float16)
    with transaction.atomic():
        holder = registry.locked_holder()
        if holder is None or holder.evaluation is None or not holder.evaluation.says_like(judged):
            return False
        Prior.objects.bulk_create(
            (
                Prior(glyph_id=key, ensemble=judged.ensemble, evaluation=judged, probabilities=row.tobytes())
                for key, row in zip(keys, rows, strict=True)
            ),
            update_conflicts=True,
            unique_fields=["glyph"],
            update_fields=["ensemble", "evaluation", "probabilities"],
        )
    return True
