"""What the commands of this app print about an ensemble."""

import json

from django.core.management.base import CommandError

from drcaptcha.learning.models import Ensemble


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
