"""The pictures of an evaluation. Loads matplotlib: for workers and commands only."""

import numpy as np
from django.core.files.base import ContentFile
from numpy.typing import NDArray

from drcaptcha.learning.judging import Test
from drcaptcha.learning.models import Evaluation, Network
from handwriting import metrics
from handwriting.networks import judgement

MOST_MARKS = 500
"""So many of the latest evaluations are drawn against their labels."""


def draw(judged: Evaluation, said: NDArray[np.floating], test: Test) -> None:
    """Draw and store the pictures of ``judged``, which said ``said`` ``(n, classes)`` of the test glyphs."""
    counts = np.array(judged.confusion)
    pictures = {
        "confusion": judgement.confusion_matrix(counts, test.alphabet.classes, metrics.clustered(counts)),
        "reliability": judgement.reliability(_reliability(metrics.reliability(said, test.examples.labels))),
        "errors": judgement.worst_errors(_misses(said, test)),
        "growth": judgement.growth(_marks(judged)),
    }
    for name, content in pictures.items():
        getattr(judged, f"{name}_picture").save(f"{name}.png", ContentFile(content), save=False)
    judged.save(update_fields=[f"{name}_picture" for name in pictures])


def _reliability(bins: metrics.Bins) -> judgement.Reliability:
    hits = np.rint(bins.accuracy * bins.count).astype(int)
    shares = [metrics.share(int(hit), int(count)) for hit, count in zip(hits, bins.count, strict=True)]
    interval = np.array([(share.low, share.high) for share in shares])
    return judgement.Reliability(bins.confidence, bins.accuracy, interval, bins.error)


def _misses(said: NDArray[np.floating], test: Test) -> list[judgement.Miss]:
    """Return the errors that it was the surest of, the surest first."""
    guessed, labels, classes = said.argmax(axis=1), test.examples.labels, test.alphabet.classes
    sure = np.where(guessed == labels, -1, said.max(axis=1))
    worst = [place for place in np.argsort(-sure, kind="stable")[: judgement.SHOWN] if sure[place] >= 0]
    return [
        judgement.Miss(test.examples.glyphs[place], classes[labels[place]], classes[guessed[place]], float(sure[place]))
        for place in worst
    ]


def _marks(judged: Evaluation) -> list[judgement.Mark]:
    """Return the evaluations of ensembles on the same test glyphs, the oldest first."""
    same = Evaluation.objects.filter(test_hash=judged.test_hash).exclude(ensemble=None)
    latest = list(same.only("created", "accuracy", "test_size", "weights").order_by("-created", "-pk")[:MOST_MARKS])
    labels = dict(Network.objects.values_list("pk", "train_size"))
    marks = []
    for row in reversed(latest):
        share = row.share
        learned = max(labels.get(int(key), 0) for key, weight in row.weights.items() if weight > 0)
        marks.append(judgement.Mark(learned, share.value, share.low, share.high, f"{row.created:%Y-%m-%d}"))
    return marks
