"""From what networks say of the test glyphs to the figures that are kept of it."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.learning import examples, registry, validation
from drcaptcha.learning.examples import Examples
from drcaptcha.learning.models import Ensemble, Evaluation, Network
from handwriting import metrics
from handwriting.alphabet import Alphabet
from handwriting.ensembles import calibrate, even
from handwriting.inference import InferenceError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Test:
    """The test glyphs in the order of their digests, and the hash that tells whether another test was the same."""

    alphabet: Alphabet
    examples: Examples
    fingerprint: str

    @classmethod
    def of(cls, classes: str) -> "Test":
        """Read the test glyphs of the alphabet that has ``classes``.

        Raises:
            NotPossible: there are none.
        """
        alphabet = examples.alphabet_of(classes)
        found = examples.judging(alphabet)
        order = found.known.by_digest()
        ordered = Examples(found.glyphs[order], found.known[order], found.available)
        return cls(alphabet, ordered, ordered.known.fingerprint(alphabet))


def configured(ensemble: Ensemble, *, now: datetime) -> Evaluation:
    """Return an evaluation of ``ensemble`` as it is now, calibrated but neither judged nor saved.

    The temperature is found on the validation glyphs, each class counting alike, as for the weights; it is 1, which
    changes nothing, where there are too few.

    Raises:
        NotPossible: it has no network with a weight, or a file can't be read.
    """
    weights = {str(key): weight for key, weight in ensemble.memberships.order_by("pk").values_list("network", "weight")}
    if not any(weights.values()):
        raise NotPossible(f"The ensemble {ensemble} has no network with a weight above 0. Give it one.")
    judged = Evaluation(
        ensemble=ensemble, created=now, weights=weights, pooling=ensemble.pooling, correction=ensemble.correction
    )
    networks = registry.members_of(judged)
    judged.snapshots = {str(network.pk): network.snapshot_hash for network in networks}
    if judged.correction:
        judged.counts = validation.learned_counts(networks).tolist()
    return _calibrated(judged, networks)


def judge(judged: Evaluation, test: Test) -> NDArray[np.float64]:
    """Measure ``judged`` on the test glyphs, store it, and return what it said of them ``(n, classes)``.

    Of members that were not judged on these glyphs yet, also of those without a weight, the figures are stored as well.

    Raises:
        NotPossible: a file can't be read.
    """
    started = time.perf_counter()
    networks, committee = registry.members_of(judged), registry.committee(judged, threads=0)
    try:
        opinions = np.stack([member.probabilities(test.examples.glyphs) for member in committee.members])
    except InferenceError as fault:
        raise NotPossible(f"A network of the ensemble {judged.ensemble} can't be used: {fault}") from fault
    said = committee.concluded(opinions)
    _fill(judged, said, test)
    judged.seconds = time.perf_counter() - started
    judged.save()
    _judge_members(judged, {network.pk: alone for network, alone in zip(networks, opinions, strict=True)}, test)
    return said


def _judge_members(judged: Evaluation, opinions: Mapping[int, NDArray[np.float32]], test: Test) -> None:
    """Judge those members alone that never were; ``opinions`` are known, by network, of those with a say."""
    networks = Network.objects.filter(pk__in=[int(key) for key in judged.weights]).defer("history")
    for network in networks.exclude(evaluations__test_hash=test.fingerprint).order_by("pk"):
        try:
            alone = opinions.get(network.pk)
            if alone is None:
                alone = registry.classifier(network, threads=0).probabilities(test.examples.glyphs)
        except InferenceError as fault:
            _log.warning("%s, which has no say in %s, could not be judged alone: %s", network, judged.ensemble, fault)
        else:
            _judge_alone(network, alone, test, judged.created)


def _judge_alone(network: Network, said: NDArray[np.float32], test: Test, now: datetime) -> None:
    alone = Evaluation(
        network=network,
        created=now,
        weights={str(network.pk): 1.0},
        snapshots={str(network.pk): network.snapshot_hash},
        seconds=0,
    )
    _calibrated(alone, [network])
    _fill(alone, registry.committee(alone).concluded(said[np.newaxis]), test)
    alone.save()


def _calibrated(judged: Evaluation, networks: Sequence[Network]) -> Evaluation:
    common = validation.of(networks)
    judged.validation_size = len(common)
    if len(common) >= validation.FEWEST:
        pooled = registry.committee(judged).concluded(common.probabilities)
        judged.temperature = calibrate(pooled, common.labels, even(common.labels, pooled.shape[1]))
    return judged


def _fill(judged: Evaluation, said: NDArray[np.floating], test: Test) -> None:
    labels, guessed = test.examples.labels, said.argmax(axis=1)
    counts = metrics.confusion(guessed, labels, said.shape[1])
    folds = np.array(test.alphabet.folds)
    judged.test_size, judged.test_hash = len(labels), test.fingerprint
    judged.accuracy = float((guessed == labels).mean())
    judged.macro_f1 = metrics.macro_f1(counts)
    judged.top3 = metrics.top_k(said, labels, 3).value
    judged.folded = float((folds[guessed] == folds[labels]).mean())
    judged.log_loss = metrics.log_loss(said, labels)
    judged.brier = metrics.brier(said, labels)
    judged.ece = metrics.reliability(said, labels).error
    judged.confusion = counts.tolist()
    judged.said = guessed.astype(np.uint8).tobytes()
    judged.right = np.packbits(guessed == labels).tobytes()
