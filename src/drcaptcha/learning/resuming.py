"""How far a training plan had come when it was broken off, in a folder from which the same plan goes on.

The folder is named by the mark of the plan, so another plan starts anew. It holds the labels that the plan began with.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from django.conf import settings

from drcaptcha.errors import NotPossible
from drcaptcha.learning import locks
from drcaptcha.learning.models import Ensemble, Network

KEPT = timedelta(days=14)
"""After so long nobody goes on with a plan any more."""


@dataclass(frozen=True)
class Trail:
    """The folder of a plan, with its labels and the checkpoint of the network that was begun.

    Its ``networks.json`` holds the folders of those finished, by position, the number of the ensemble that they became,
    and what else was chosen when the plan began.
    """

    folder: Path

    @classmethod
    def of(cls, mark: str, *, now: datetime) -> "Trail":
        """Return the trail of a plan by its ``mark``; throw away those that were left long ago."""
        root = settings.DRCAPTCHA_CHECKPOINTS
        for folder in root.glob("*/"):
            if folder.stat().st_mtime < (now - KEPT).timestamp() and not locks.is_held(cls(folder).lock):
                shutil.rmtree(folder, ignore_errors=True)
                cls(folder).lock.unlink(missing_ok=True)
        return cls(root / mark)

    @classmethod
    def awaits(cls, network: Network) -> bool:
        """Tell whether ``network`` is of a plan under way, which is going to put it into an ensemble."""
        trails = map(cls, settings.DRCAPTCHA_CHECKPOINTS.glob("*/"))
        return any(trail.has(network) and locks.is_held(trail.lock) for trail in trails)

    @property
    def lock(self) -> Path:
        """The file that is held by whoever works on the plan."""
        return self.folder.with_name(f"{self.folder.name}.lock")

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep all others from working on the plan for the time of the block.

        Raises:
            NotPossible: another does.
        """
        with locks.hold(self.lock) as free:
            if not free:
                raise NotPossible(
                    "The same training is under way right now. Wait until it has ended, or give this one another seed."
                )
            yield

    @property
    def labels(self) -> Path:
        """The file of the labels that the plan began with."""
        return self.folder / "labels.npz"

    @property
    def began(self) -> datetime:
        """When these labels were written."""
        return datetime.fromtimestamp(self.labels.stat().st_mtime, UTC)

    def once(self, name: str, choose: Callable[[], str]) -> str:
        """Return what was chosen under this name when the plan began; where nothing was, choose now."""
        if name not in self._noted():
            self._note(name, choose())
        return str(self._noted()[name])

    def checkpoint(self, position: int) -> Path:
        """Return the file in which the training of one network keeps how far it is."""
        return self.folder / f"{position}.npz"

    def network(self, position: int) -> Network | None:
        """Return the network at this position, if it was finished before and is still there."""
        folder = self._noted().get(str(position))
        return None if folder is None else Network.objects.filter(folder=folder).first()

    def has(self, network: Network) -> bool:
        """Tell whether a network was finished here."""
        return network.folder in self._noted().values()

    def finish(self, position: int, network: Network) -> None:
        """Note that a network is stored, so that its checkpoint is not needed any more."""
        self._note(str(position), network.folder)
        self.checkpoint(position).unlink(missing_ok=True)

    def ensemble(self, networks: Sequence[Network]) -> Ensemble | None:
        """Return the ensemble that just these ``networks`` became before, if it is still there."""
        found = Ensemble.objects.filter(pk=self._noted().get("ensemble", 0)).first()
        return found if found and set(found.networks.all()) == set(networks) else None

    def unite(self, ensemble: Ensemble) -> None:
        """Note the ensemble that the finished networks became."""
        self._note("ensemble", ensemble.pk)

    def remove(self) -> None:
        """Throw the folder away: the plan is done."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _note(self, name: str, key: str | int) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        written = self.folder / "networks.json.part"
        written.write_text(json.dumps(self._noted() | {name: key}))
        written.replace(self.folder / "networks.json")

    def _noted(self) -> dict[str, str | int]:
        try:
            found: dict[str, str | int] = json.loads((self.folder / "networks.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return found
