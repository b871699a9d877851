"""Which ensemble serves: the champion, who stays until another is significantly better or an administrator says so."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.conf import settings
from django.db import transaction
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.learning import judging, registry
from drcaptcha.learning.models import Evaluation, Network, Promotion
from handwriting import metrics
from handwriting.alphabet import ALPHABETS

SIGNIFICANT = 0.05
"""The p-value of McNemar's test below which a challenger that has more right takes over."""

_FROZEN = ("weights", "pooling", "correction", "counts", "temperature", "validation_size", "snapshots")
"""What decides what an evaluated ensemble says, and where that came from."""


@dataclass(frozen=True)
class Comparison:
    """Two evaluations on the same test glyphs: how many either had right alone, and how likely chance explains it."""

    one: Evaluation
    other: Evaluation
    duel: metrics.Duel

    @property
    def significant(self) -> bool:
        """Whether chance alone would hardly set them so far apart."""
        return self.duel.p_value < SIGNIFICANT


def compare(one: Evaluation, other: Evaluation) -> Comparison:
    """Compare two evaluations glyph by glyph.

    Raises:
        NotPossible: they were not made on the same test glyphs with the same labels, or tell other characters apart.
    """
    if not one.test_hash or one.test_hash != other.test_hash:
        raise NotPossible(
            "They were judged on different test glyphs, or before answers were kept. Evaluate both again, then compare."
        )
    networks = Network.objects.filter(pk__in=[int(key) for judged in (one, other) for key in judged.weights])
    if len(set(networks.values_list("classes", flat=True))) > 1:
        raise NotPossible("They tell different characters apart, so they can't be compared glyph by glyph.")
    return Comparison(one, other, metrics.mcnemar(right(one), right(other)))


def right(judged: Evaluation) -> NDArray[np.bool_]:
    """Return which of the test glyphs, in the order of their digests, an evaluation had right."""
    return np.unpackbits(np.frombuffer(bytes(judged.right), np.uint8), count=judged.test_size).astype(bool)


def contest(challenger: Evaluation, test: judging.Test, *, now: datetime) -> Promotion | None:
    """Make ``challenger``, just judged on ``test``, the champion if it deserves that; return the promotion if so.

    The first to be judged is champion at once. A champion that was judged on other test glyphs is judged on these
    before the two are compared. One that is the champion, judged again, stays it with its new figures. Where another
    takes over meanwhile, that one has to be beaten.
    """
    if not _serves_alphabet(challenger):
        return None
    while True:
        holder = registry.promotions().first()
        if holder and holder.evaluation and holder.evaluation.decides_like(challenger):
            if _renew(holder, challenger):
                return None
            continue
        victory = _victory(challenger, holder, test, now)
        if victory is None:
            return None
        with transaction.atomic():
            if _same(registry.locked_holder(), holder):
                return promote(challenger, reason=victory.reason, p_value=victory.p_value, now=now)


@dataclass(frozen=True)
class _Victory:
    """Why a challenger is to take over, and how likely chance alone explains it."""

    reason: str
    p_value: float | None = None


def _victory(challenger: Evaluation, holder: Promotion | None, test: judging.Test, now: datetime) -> _Victory | None:
    if holder is None or holder.evaluation is None:
        return _Victory("the first to be judged")
    lost = registry.lost(holder.evaluation)
    if lost:
        return _Victory(f"the former can't be judged any more: {', '.join(lost)} is lost")
    try:
        champion = _up_to_date(holder, test, now)
    except NotPossible as fault:
        return _Victory(f"the former can't be judged any more: {fault.message}")
    found = compare(challenger, champion).duel
    if found.p_value >= SIGNIFICANT or found.first <= found.second:
        return None
    return _Victory(f"alone right on {found.first:,} glyphs, alone wrong on {found.second:,}", found.p_value)


def promote(judged: Evaluation, *, reason: str, now: datetime, by: str = "", p_value: float | None = None) -> Promotion:
    """Let an ensemble serve as it was judged, from this moment on.

    Its opinion of the glyphs without a label is the caller's to ask for (``opinions.score``), since that takes long.

    Raises:
        NotPossible: it tells the characters of another alphabet apart, one of its networks is lost, or it serves now.
    """
    if judged.ensemble is None or not _serves_alphabet(judged):
        raise NotPossible(
            f"{judged.ensemble or judged.network} does not tell the characters of the alphabet "
            f"{settings.DRCAPTCHA_ALPHABET} apart, which is in use. Only such an ensemble can serve."
        )
    lost = registry.lost(judged)
    if lost:
        raise NotPossible(f"{judged.ensemble} can't serve, for {', '.join(lost)} is lost. Let another serve.")
    with transaction.atomic():
        holder = registry.locked_holder()
        if holder and holder.evaluation_id == judged.pk:
            raise NotPossible(f"{judged.ensemble} serves already, with these weights.")
        return Promotion.objects.create(
            evaluation=judged,
            name=judged.ensemble.name,
            classes=_classes(judged),
            previous=holder,
            reason=reason[:200],
            by=by,
            p_value=p_value,
            created=now,
        )


def roll_back(*, now: datetime, by: str = "", reason: str = "") -> Promotion:
    """Let the ensemble serve again that served before the present one.

    Raises:
        NotPossible: none served before it, or it is gone.
    """
    holder = registry.promotions().first()
    former = holder and registry.promotions().exclude(evaluation=holder.evaluation).filter(pk__lt=holder.pk).first()
    if not former or not former.evaluation:
        raise NotPossible("No other ensemble served before this one, so there is none to go back to.")
    return promote(former.evaluation, reason=reason or "rolled back", by=by, now=now)


def _up_to_date(holder: Promotion, test: judging.Test, now: datetime) -> Evaluation:
    """Return the champion's evaluation on ``test``, made now where its own was made on other glyphs."""
    champion = holder.evaluation
    assert champion is not None, "a promotion without an evaluation holds nothing"  # noqa: S101
    if champion.test_hash == test.fingerprint:
        return Evaluation.objects.get(pk=champion.pk)
    again = Evaluation(ensemble=champion.ensemble, created=now, **{name: getattr(champion, name) for name in _FROZEN})
    judging.judge(again, test)
    _renew(holder, again)
    return again


def _renew(holder: Promotion, judged: Evaluation) -> bool:
    """Let the champion stand with its latest figures; every promotion of what it decides stays one of it.

    Tells whether ``holder`` still was the champion, and is it with these.
    """
    with transaction.atomic():
        if not _same(registry.locked_holder(), holder):
            return False
        Promotion.objects.filter(evaluation=holder.evaluation).update(evaluation=judged)
    holder.evaluation = judged
    return True


def _same(one: Promotion | None, other: Promotion | None) -> bool:
    """Tell whether the same serves by both, as it was judged at the same time."""
    return one == other and (one is None or other is None or one.evaluation_id == other.evaluation_id)


def _serves_alphabet(judged: Evaluation) -> bool:
    return _classes(judged) == "".join(ALPHABETS[settings.DRCAPTCHA_ALPHABET].classes)


def _classes(judged: Evaluation) -> str:
    return registry.members_of(judged)[0].classes
