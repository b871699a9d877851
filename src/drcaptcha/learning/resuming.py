"""How far a training plan had come when it was broken off, in a folder from which the same plan goes on.

The folder is named by the mark of the plan and of what it learns from, so another plan, or other labels, start anew.
"""

import json
import shutil
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings

from drcaptcha.learning.models import Network

KEPT = timedelta(days=14)
"""After so long nobody goes on with a plan any more."""


@dataclass(frozen=True)
class Trail:
    """The folder of a plan: ``networks.json`` with the numbers of those finished, and a checkpoint of the one begun."""

    folder: Path

    @classmethod
    def of(cls, mark: str, *, now: datetime) -> "Trail":
        """Return the trail of a plan by its ``mark``; throw away those that were left long ago."""
        root = settings.DRCAPTCHA_CHECKPOINTS
        for folder in root.glob("*/"):
            if folder.stat().st_mtime < (now - KEPT).timestamp():
                shutil.rmtree(folder, ignore_errors=True)
        return cls(root / mark)

    def checkpoint(self, position: int) -> Path:
        """Return the file in which the training of one network keeps how far it is."""
        return self.folder / f"{position}.npz"

    def network(self, position: int) -> Network | None:
        """Return the network at this position, if it was finished before and is still there."""
        key = self._finished().get(str(position))
        return None if key is None else Network.objects.filter(pk=key).first()

    def finish(self, position: int, network: Network) -> None:
        """Note that a network is stored, so that its checkpoint is not needed any more."""
        self.folder.mkdir(parents=True, exist_ok=True)
        finished = self._finished() | {str(position): network.pk}
        (self.folder / "networks.json").write_text(json.dumps(finished))
        self.checkpoint(position).unlink(missing_ok=True)

    def remove(self) -> None:
        """Throw the folder away: the plan is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _finished(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads((self.folder / "networks.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found
