"""What an ensemble is worth, measured on the test glyphs, and the weights with which it is worth most."""

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Literal

import numpy as np
from django.db import transaction
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.learning import judging, opinions, promoting, registry, validation
from drcaptcha.learning.models import Ensemble, Evaluation, Membership, Network
from handwriting import ensembles
from handwriting.ensembles import POOLINGS, Pooling
from handwriting.inference import InferenceError

_log = logging.getLogger(__name__)

Progress = Callable[[float, str], object]


def evaluate(ensemble: Ensemble, *, now: datetime, progress: Progress = lambda *_: None) -> Evaluation:
    """Measure ``ensemble`` with the weights that it has, and store the result with its pictures.

    Where it is the one that serves from then on, the glyphs whose label is wanted get its opinion as their prior.

    Raises:
        NotPossible: it has no network with a weight, there are no test glyphs, or a file can't be read.
    """
    progress(0, "reading validation glyphs")
    networks = list(Network.objects.filter(memberships__ensemble=ensemble).order_by("pk"))
    _refresh(ensemble, networks)
    evaluation = judging.configured(ensemble, now=now)
    progress(0.2, "judging on the test glyphs")
    test = judging.Test.of(networks[0].classes)
    said = judging.judge(evaluation, test)
    progress(0.5, "comparing with the one that serves")
    promoting.contest(evaluation, test, now=now)
    if registry.champion() == evaluation:
        progress(0.6, "scoring glyphs without a label")
        opinions.score(evaluation, now=now)
    progress(0.9, "drawing")
    _draw(evaluation, said, test)
    _discard_pictures(evaluation)
    return evaluation


def normalise(ensemble: Ensemble, *, now: datetime) -> Evaluation:
    """Scale the weights of ``ensemble`` to add up to 1, and evaluate it again."""
    if not ensemble.memberships.exists():
        raise NotPossible(f"The ensemble {ensemble} has no networks. Add one first.")
    with transaction.atomic():
        ensemble.normalize()
    return evaluate(ensemble, now=now)


def optimise(
    ensemble: Ensemble,
    *,
    now: datetime,
    pooling: Pooling | Literal["auto"] = "auto",
    progress: Progress = lambda *_: None,
) -> Evaluation:
    """Give the networks of ``ensemble`` the weights that suit the validation glyphs best, and evaluate it again.

    ``pooling`` of ``auto`` takes whichever does better; how much is corrected for class frequencies is found too.

    Raises:
        NotPossible: it has no network, its networks share too few validation glyphs, or a file can't be read.
    """
    members = list(ensemble.memberships.select_related("network").order_by("pk"))
    if not members:
        raise NotPossible(f"The ensemble {ensemble} has no networks. Add one first.")
    progress(0, "reading validation glyphs")
    networks = [member.network for member in members]
    _refresh(ensemble, networks)
    progress(0.1, "weighing")
    found = best_weights(networks, pooling)
    for member, weight in zip(members, found.weights, strict=True):
        member.weight = weight
    ensemble.pooling, ensemble.correction = found.pooling, found.correction
    with transaction.atomic():
        Membership.objects.bulk_update(members, ["weight"])
        ensemble.save(update_fields=["pooling", "correction"])
    return evaluate(ensemble, now=now, progress=progress)


def settle(ensemble: Ensemble, *, now: datetime) -> Evaluation:
    """Optimise and evaluate a new ensemble; where too few glyphs are there to weigh by, only evaluate it."""
    networks = list(ensemble.networks.order_by("memberships__pk"))
    _refresh(ensemble, networks)
    enough = len(validation.of(networks)) >= validation.FEWEST
    return optimise(ensemble, now=now) if enough else evaluate(ensemble, now=now)


def best_weights(networks: list[Network], pooling: Pooling | Literal["auto"]) -> ensembles.Found:
    """Return the weights of ``networks``, which tell the same classes apart, that suit their validation glyphs best.

    Raises:
        NotPossible: they share too few validation glyphs.
    """
    common = validation.of(networks)
    if len(common) < validation.FEWEST:
        raise NotPossible(
            f"These networks share {len(common)} validation glyphs, and weights need {validation.FEWEST}. Evaluate the "
            "ensemble first, or train its networks again: those of before the validation glyphs were fixed share few."
        )
    counts = validation.learned_counts(networks)
    tried = POOLINGS if pooling == "auto" else (pooling,)
    return ensembles.find(common.probabilities, common.labels, counts, tried)


def _refresh(ensemble: Ensemble, networks: list[Network]) -> None:
    try:
        validation.refresh(networks)
    except InferenceError as fault:
        raise NotPossible(f"A network of the ensemble {ensemble} can't be used: {fault}") from fault


def _discard_pictures(latest: Evaluation) -> None:
    """Delete the pictures of the evaluations before the ``latest``; those of what serves or served stay."""
    before = Evaluation.objects.filter(ensemble=latest.ensemble, promotions=None).exclude(pk=latest.pk)
    for row in before.exclude(**dict.fromkeys(Evaluation.PICTURES, "")).only(*Evaluation.PICTURES):
        row.discard_pictures()


def _draw(evaluation: Evaluation, said: NDArray[np.floating], test: judging.Test) -> None:
    """Draw the pictures, where what draws is installed. The web process loads this module, and must not load that."""
    try:
        from drcaptcha.learning import drawing  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        _log.warning("Evaluations have no pictures without %s: pip install 'drcaptcha[train]'", missing.name)
        return
    drawing.draw(evaluation, said, test)
