"""What the commands of this app share: an ensemble by its number, and its figures in print."""

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning import registry
from drcaptcha.learning.models import Ensemble, Evaluation


class EnsembleCommand(BaseCommand):
    """A command that does something with one ensemble, which ends in an evaluation, and prints its figures."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="number of the ensemble")
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the figures as one JSON value")

    def handle(self, *, id: int, as_json: bool, **options: Any) -> None:  # noqa: A002
        ensemble = find_ensemble(id)
        try:
            judged = self.act(ensemble, now=timezone.now(), **options)
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        self.stdout.write(report(judged, as_json=as_json))

    def act(self, ensemble: Ensemble, *, now: datetime, **options: Any) -> Evaluation:
        """Do what the command is for."""
        raise NotImplementedError


def find_ensemble(key: int) -> Ensemble:
    """Return the ensemble with this number; a CommandError names those that there are."""
    try:
        return Ensemble.objects.get(pk=key)
    except Ensemble.DoesNotExist as fault:
        there = ", ".join(f"{ensemble.pk} ({ensemble})" for ensemble in Ensemble.objects.order_by("pk"))
        raise CommandError(f"There is no ensemble {key}. There are: {there or 'none yet; train makes one'}.") from fault


def judgement_of(ensemble: Ensemble) -> Evaluation:
    """Return the latest evaluation of an ensemble as it is now; a CommandError says how to get one."""
    judged = ensemble.evaluation
    if judged is None:
        raise CommandError(f"The ensemble {ensemble} was not judged yet, as it is. Run: evaluateensemble {ensemble.pk}")
    return judged


def figures_of(judged: Evaluation) -> dict[str, object]:
    """Return the figures of an evaluation for programs; those that an old one lacks are null."""
    share = judged.share
    return {
        "accuracy": judged.accuracy,
        "interval": [share.low, share.high],
        "macro_f1": judged.macro_f1,
        "top3": judged.top3,
        "folded": judged.folded,
        "log_loss": judged.log_loss,
        "brier": judged.brier,
        "ece": judged.ece,
        "test_size": judged.test_size,
        "test_hash": judged.test_hash,
        "pooling": judged.pooling,
        "correction": judged.correction,
        "temperature": judged.temperature,
    }


def report(evaluation: Evaluation, *, as_json: bool) -> str:
    """Return the figures of an ensemble that was just evaluated: one JSON value, or lines for people."""
    ensemble = evaluation.ensemble
    assert ensemble is not None, "networks alone are not reported"  # noqa: S101
    members = list(ensemble.memberships.select_related("network").order_by("pk"))
    if as_json:
        networks = [
            {
                "id": member.network.pk,
                "architecture": member.network.architecture,
                "accuracy": member.network.accuracy,
                "seconds": round(member.network.seconds, 1),
                "weight": member.weight,
            }
            for member in members
        ]
        serves = evaluation == registry.champion()
        return json.dumps({"ensemble": ensemble.pk, **figures_of(evaluation), "serves": serves, "networks": networks})
    lines = [f"Ensemble {ensemble.pk} ({ensemble}): {evaluation} test glyphs right.", *_more(evaluation)]
    lines += [
        f"  network {member.network.pk}, {member.network.architecture}: {member.network.accuracy:.2%} "
        f"in {member.network.seconds:.0f} s, weight {member.weight:.3f}"
        for member in members
    ]
    return "\n".join(lines)


def _more(judged: Evaluation) -> list[str]:
    share = judged.share
    return [
        f"  95 % interval {share.low:.2%} to {share.high:.2%}, with look-alikes folded {judged.folded:.2%}, "
        f"top 3 {judged.top3:.2%}, macro-F1 {judged.macro_f1:.2%}",
        f"  log-loss {judged.log_loss:.4f}, Brier {judged.brier:.4f}, ECE {judged.ece:.2%}; "
        f"pooled by {judged.pooling}, correction {judged.correction:g}, temperature {judged.temperature:.3f}",
        "  It serves." if judged == registry.champion() else "  It does not serve.",
    ]
