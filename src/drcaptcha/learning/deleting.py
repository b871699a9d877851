"""What of all that was learned can be deleted, and that its files go with it."""

import shutil
from functools import partial
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q

from drcaptcha.errors import NotPossible
from drcaptcha.learning import registry
from drcaptcha.learning.models import Ensemble, Evaluation, Network
from drcaptcha.learning.resuming import Trail


def check(row: Model) -> None:
    """Refuse to delete what others rest on.

    Raises:
        NotPossible: an ensemble that serves, or a network that an ensemble has, or was judged with, or is to have.
    """
    champion = registry.champion()
    if isinstance(row, Ensemble) and champion and champion.ensemble_id == row.pk:
        raise NotPossible(f"{row} serves, so it can't be deleted. Let another ensemble serve first.")
    if isinstance(row, Network) and Trail.awaits(row):
        raise NotPossible(
            f"{row} can't be deleted yet: its training goes on with other networks, and then unites them. "
            "Wait until that has ended."
        )
    users = _users(row) if isinstance(row, Network) else []
    if users:
        raise NotPossible(
            f"{row} can't be deleted: {', '.join(map(str, users))} decides, or has decided, with it. "
            "Delete that first, so that whatever was judged can be traced to its networks."
        )


def hold(sender: object, instance: Model, **_: object) -> None:  # noqa: ARG001
    """Check once more while a row is being deleted, and let none come to serve meanwhile."""
    registry.locked_holder()
    check(instance)


def remove_folder(sender: object, instance: Network, **_: object) -> None:  # noqa: ARG001
    """Remove the files of a network, once it is gone for good."""
    folder = Path(settings.MEDIA_ROOT) / "networks" / instance.folder
    transaction.on_commit(partial(shutil.rmtree, folder, ignore_errors=True))


def remove_pictures(sender: object, instance: Evaluation, **_: object) -> None:  # noqa: ARG001
    """Remove the pictures of an evaluation, once it is gone for good."""
    files = [getattr(instance, name) for name in Evaluation.PICTURES]
    for file in filter(None, files):
        transaction.on_commit(partial(file.storage.delete, file.name), robust=True)


def _users(network: Network) -> list[Ensemble]:
    """Return the ensembles that have a network, or had it when they were judged."""
    judged = Q(evaluations__weights__has_key=str(network.pk))
    return list(Ensemble.objects.filter(Q(memberships__network=network) | judged).distinct().order_by("pk"))
