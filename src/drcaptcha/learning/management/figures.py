"""What the commands of this app share: an ensemble by its number, and its figures in print."""

import json
from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning.models import Ensemble, Evaluation


class EnsembleCommand(BaseCommand):
    """A command that does something with one ensemble, which ends in an evaluation, and prints its figures."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="number of the ensemble")
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the figures as one JSON value")

    def handle(self, *, id: int, as_json: bool, **options: Any) -> None:  # noqa: A002
        ensemble = find_ensemble(id)
        try:
            self.act(ensemble, now=timezone.now())
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        self.stdout.write(report(ensemble, as_json=as_json))

    def act(self, ensemble: Ensemble, *, now: datetime) -> Evaluation:
        """Do what the command is for."""
        raise NotImplementedError


def find_ensemble(key: int) -> Ensemble:
    """Return the ensemble with this number; a CommandError names those that there are."""
    try:
        return Ensemble.objects.get(pk=key)
    except Ensemble.DoesNotExist as fault:
        there = ", ".join(f"{ensemble.pk} ({ensemble})" for ensemble in Ensemble.objects.order_by("pk"))
        raise CommandError(f"There is no ensemble {key}. There are: {there or 'none yet; train makes one'}.") from fault


def report(ensemble: Ensemble, *, as_json: bool) -> str:
    """Return the figures of an evaluated ensemble: one JSON value, or lines for people."""
    evaluation = ensemble.evaluations.latest("created", "pk")
    members = list(ensemble.memberships.select_related("network").order_by("pk"))
    if as_json:
        networks = [
            {
                "id": member.network.pk,
                "architecture": member.network.architecture,
                "accuracy": member.network.accuracy,
                "seconds": round(member.network.seconds, 1),
            }
            for member in members
        ]
        return json.dumps({"ensemble": ensemble.pk, "accuracy": evaluation.accuracy, "networks": networks})
    lines = [f"Ensemble {ensemble.pk} ({ensemble}): {evaluation} test glyphs right."]
    lines += [
        f"  network {member.network.pk}, {member.network.architecture}: {member.network.accuracy:.2%} "
        f"in {member.network.seconds:.0f} s, weight {member.weight:.3f}"
        for member in members
    ]
    return "\n".join(lines)
