"""When networks are trained without being asked: never, by the number of new labels, or every so many days."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import takewhile

from django.conf import settings
from django.db.models import Count, Max, QuerySet
from django.utils import timezone
from django_tasks import TaskResultStatus, task
from django_tasks_db.models import DBTaskResult

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split, usable_label
from drcaptcha.learning import tasks
from drcaptcha.learning.models import Network, Run
from handwriting.alphabet import ALPHABETS
from handwriting.networks import NAMES

PAUSE = timedelta(hours=1)
"""Between two looks whether a training is due."""

LONGEST = timedelta(days=7)
"""So long at the most is waited after trainings that failed."""


@dataclass(frozen=True)
class Policy:
    """After so many new ``labels``, or so many ``days``, since the last training; never where both are 0."""

    labels: int = 0
    days: int = 0
    networks: tuple[str, ...] = ()
    minutes: int = 0

    @classmethod
    def current(cls) -> "Policy":
        """Read the settings.

        Raises:
            NotPossible: they make no sense; the message names the setting.
        """
        kind, _, number = settings.DRCAPTCHA_RETRAIN.partition(":")
        networks = tuple(settings.DRCAPTCHA_RETRAIN_NETWORKS)
        unknown = [name for name in networks if name not in NAMES]
        if unknown or not networks:
            raise NotPossible(
                f"DRCAPTCHA_RETRAIN_NETWORKS must name networks between commas, of {', '.join(NAMES)}; "
                f"not {', '.join(unknown) or 'none'}."
            )
        if (kind, number) == ("off", ""):
            return cls(networks=networks)
        if kind not in {"labels", "days"} or not number.isdecimal() or int(number) < 1:
            raise NotPossible(
                f"DRCAPTCHA_RETRAIN must be off, labels:NUMBER or days:NUMBER, not {settings.DRCAPTCHA_RETRAIN!r}."
            )
        return cls(**{kind: int(number)}, networks=networks, minutes=settings.DRCAPTCHA_RETRAIN_MINUTES)

    @property
    def on(self) -> bool:
        """Whether it ever trains."""
        return bool(self.labels or self.days)

    def __str__(self) -> str:
        if not self.on:
            return "only when asked for"
        when = f"after {self.labels:,} new labels" if self.labels else f"every {self.days:,} days"
        minutes = f" for {self.minutes:,} minutes" if self.minutes else ""
        return f"{when}: {', '.join(self.networks)}{minutes}"

    @property
    def options(self) -> dict[str, object]:
        """What to train, as ``queue_training`` takes it."""
        return {"networks": list(self.networks)} | ({"minutes": self.minutes} if self.minutes else {})


def new_labels() -> int:
    """Return how many labelled training glyphs there are more than when networks were last trained."""
    last = _last()
    return max(0, _labelled() - (0 if last is None else last.known_labels))


def is_due(policy: Policy, *, now: datetime) -> bool:
    """Tell whether it is time, by ``policy``, to train; never while a training waits or works.

    After trainings that failed it is waited, for twice as long each time. One that has some of its networks is gone on
    with then, whether there are new labels or not.
    """
    if not policy.on or Run.objects.filter(kind="training", state__in=(Run.State.QUEUED, Run.State.RUNNING)).exists():
        return False
    if _is_half_done(policy):
        return now >= _next_try()
    if policy.labels:
        return new_labels() >= policy.labels and now >= _next_try()
    last = Run.objects.filter(kind="training").order_by("-pk").first()
    latest = max((row.created for row in (last, _last()) if row), default=None)
    return _labelled() > 0 and (latest is None or latest <= now - timedelta(days=policy.days))


def retrain_if_due(*, now: datetime) -> Run | None:
    """Queue a training where the policy says that it is time, and return its run.

    It goes on where the last one failed; otherwise it is for the labels of today.
    """
    policy = Policy.current()
    if not is_due(policy, now=now):
        return None
    last = Run.objects.filter(kind="training").order_by("-pk").first()
    failed = last is not None and last.state == Run.State.FAILED
    return tasks.queue_training(policy.options | ({} if failed else {"anew": True}))


@task()
def watch() -> int | None:
    """Train where that is due, and look again later for as long as the policy is on; return the run's number."""
    if not Policy.current().on:
        return None
    keep_watch(after=PAUSE)
    tasks.give_up_orphans(timezone.now())
    run = retrain_if_due(now=timezone.now())
    return None if run is None else int(run.pk)


def keep_watch(*, after: timedelta = timedelta()) -> None:
    """Have the worker look whether a training is due, unless it is going to anyway."""
    waiting = DBTaskResult.objects.filter(status=TaskResultStatus.READY, task_path=watch.module_path)
    if Policy.current().on and not waiting.exists():
        watch.using(run_after=timezone.now() + after).enqueue()


def _is_half_done(policy: Policy) -> bool:
    """Tell whether the last trainings by ``policy`` failed, and have left a network nonetheless."""
    runs = Run.objects.filter(kind="training").order_by("-pk")
    failed = list(takewhile(lambda run: run.state == Run.State.FAILED and _plan_of(run) == policy.options, runs))
    if not failed:
        return False
    return _networks().filter(created__range=(failed[-1].created, failed[0].updated)).exists()


def _plan_of(run: Run) -> dict[str, object]:
    return {key: value for key, value in run.options.items() if key != "anew"}


def _next_try() -> datetime:
    """Return from when on a training may be tried, by how many failed since networks were last trained."""
    last, failed = _last(), Run.objects.filter(kind="training", state=Run.State.FAILED)
    if last is not None:
        failed = failed.filter(updated__gt=last.created)
    count, latest = failed.aggregate(count=Count("pk"), latest=Max("updated")).values()
    return latest + min(LONGEST, PAUSE * 2 ** min(count, 10)) if latest else datetime.min.replace(tzinfo=UTC)


def _labelled() -> int:
    """Count the training glyphs whose label says something in the alphabet in use."""
    alphabet = ALPHABETS[settings.DRCAPTCHA_ALPHABET]
    labelled = Glyph.objects.filter(split=Split.TRAIN).labelled().values_list("label", "data_set__caseless")
    return sum(
        count
        for label, caseless, count in labelled.annotate(Count("pk"))
        if usable_label(label, alphabet, caseless=caseless) is not None
    )


def _last() -> Network | None:
    return _networks().only("created", "known_labels").order_by("-created", "-pk").first()


def _networks() -> QuerySet[Network]:
    """Select those that read the alphabet in use."""
    return Network.objects.filter(classes="".join(ALPHABETS[settings.DRCAPTCHA_ALPHABET].classes))
