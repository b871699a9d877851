"""Pictures of characters → guesses, by the ensemble that serves or another."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible, NotReady
from drcaptcha.learning import registry
from drcaptcha.learning.models import Ensemble, Evaluation, Network
from handwriting.formats.folders import picture_files
from handwriting.inference import InferenceError, guesses
from handwriting.preprocessing import PictureError, read

BATCH = 64
"""Pictures that are named at once."""

Guesses = list[tuple[str, float]]
"""Characters with their probabilities, the likeliest first."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recogniser:
    """Networks that decide together, and the evaluation by which they are weighed and calibrated, if there is one."""

    committee: registry.Committee
    judged: Evaluation | None = None

    @property
    def name(self) -> dict[str, object]:
        """What says so: the ensemble and the evaluation that it serves by."""
        if self.judged is None:
            return {}
        return {"id": self.judged.ensemble_id, "name": str(self.judged.ensemble), "evaluation": self.judged.pk}

    def guess(self, glyphs: NDArray[np.uint8], top: int = 3) -> list[Guesses]:
        """Return the ``top`` likeliest characters for each of ``glyphs`` ``(n, 28, 28)``.

        Raises:
            NotReady: the files of the networks can't be read.
        """
        try:
            said = self.committee.probabilities(glyphs)
        except InferenceError as fault:
            raise _unreadable(fault, self.judged) from fault
        return [guesses(row, self.committee.classes, top) for row in said]


def _unreadable(fault: Exception, judged: Evaluation | None) -> NotReady:
    _log.error("The networks can't be used", exc_info=fault)
    lost = registry.lost(judged) if judged else []
    if judged and lost:
        return NotReady(
            f"The networks of this server can't be read: {', '.join(lost)} of the ensemble {judged.ensemble} is lost. "
            "An administrator can let another ensemble serve."
        )
    return NotReady("The networks of this server can't be read. Its log says why.")


@dataclass(frozen=True)
class Reading:
    """What a file was read as; where it could not be, there are no guesses and the error says why."""

    file: str
    guesses: Guesses
    error: str = ""


def serving() -> Recogniser:
    """Return the ensemble that serves.

    Raises:
        NotReady: none serves yet, or one of its networks is gone.
    """
    judged = registry.champion()
    if judged is None:
        raise NotReady("No networks have been trained here yet. An administrator can train some.")
    try:
        return Recogniser(registry.committee(judged), judged)
    except NotPossible as fault:
        raise _unreadable(fault, judged) from fault


def by_ensemble(ensemble: Ensemble) -> Recogniser:
    """Return an ensemble as it is and was judged.

    Raises:
        NotPossible: it was never evaluated as it is, or a network is gone.
    """
    judged = ensemble.evaluation
    if judged is None:
        raise NotPossible(
            f"The ensemble {ensemble} was never evaluated as it is. Do so with: evaluateensemble {ensemble.pk}"
        )
    return Recogniser(registry.committee(judged), judged)


def by_network(network: Network) -> Recogniser:
    """Return a network alone, calibrated as it was when it was judged last; not at all where it never was."""
    judged = network.evaluations.order_by("-created", "-pk").first()
    if judged is not None:
        return Recogniser(registry.committee(judged))
    return Recogniser(registry.Committee([registry.classifier(network)], [1.0]))


def read_files(paths: Sequence[Path], recogniser: Recogniser, *, top: int) -> Iterator[Reading]:
    """Yield a reading for each file, and for each picture below a folder, in order.

    What can't be read yields a reading with an error: a bad file among good ones stops nothing.
    """
    prepared = _prepare(paths)
    while some := list(islice(prepared, BATCH)):
        glyphs = [glyph for _, glyph in some if not isinstance(glyph, str)]
        named = iter(recogniser.guess(np.stack(glyphs), top) if glyphs else [])
        for file, glyph in some:
            yield Reading(file, [], glyph) if isinstance(glyph, str) else Reading(file, next(named))


def _prepare(paths: Sequence[Path]) -> Iterator[tuple[str, NDArray[np.uint8] | str]]:
    """Yield each file with its glyph, or with what is wrong with it."""
    for path in paths:
        files = list(picture_files(path)) if path.is_dir() else [path]
        if not files:
            yield str(path), "This folder holds no pictures."
        for file in files:
            try:
                yield str(file), read(file)
            except PictureError as fault:
                yield str(file), str(fault)
            except OSError as fault:
                yield str(file), f"This file can't be opened: {fault.strerror or fault}."
