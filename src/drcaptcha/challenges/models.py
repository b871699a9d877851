"""The pool of captchas, the attempts made on them, and simulations of both."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from django.conf import settings
from django.db import models

from drcaptcha.glyphs.models import Glyph, Split, State, accepted
from drcaptcha.labelling.models import CANT_READ, Role
from drcaptcha.learning.models import Work
from drcaptcha.queries import Blank, Prepared, Question
from drcaptcha.sites.models import Site
from handwriting.alphabet import Alphabet


class Slot(NamedTuple):
    """One place of a captcha: which glyph stands there, why, and for a control what is right."""

    glyph: int
    role: str
    accepts: str

    @property
    def gates(self) -> bool:
        """Whether this slot decides on the pass."""
        return self.role == CONTROL


CONTROL = "control"

NEVER = datetime(9999, 1, 1, microsecond=1, tzinfo=UTC)
"""When a captcha may be issued that was answered. As long as other times, so that SQLite writes it in their place."""

LEAST_CONTROLS = 4
"""So many controls have to be read right, at the least."""


@dataclass(frozen=True)
class Judgement:
    """How the controls of a captcha went, by glyph: read right, or missed (wrongly, or not at all)."""

    right: list[int]
    missed: list[int]
    passed: bool


class CaptchaQuerySet(models.QuerySet["Captcha"]):
    """The selections of captchas that the flows speak of."""

    def waiting(self, now: datetime | Blank, difficulty: str | Blank | None = None) -> Self:
        """Select the pool: those that may be issued now, of the difficulty that is set or this one."""
        return self.filter(difficulty=difficulty or settings.DRCAPTCHA_DIFFICULTY, available__lte=now)


class Captcha(models.Model):
    """A picture composed of glyphs. It is issued to one visitor at a time and judged at most once."""

    picture = models.BinaryField()
    media_type = models.CharField(max_length=20)
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()
    content = models.JSONField(help_text="The slots from left to right: glyph, role, accepted characters.")
    length = models.PositiveSmallIntegerField()
    difficulty = models.CharField(max_length=6, default="normal", help_text="How hard its rendering makes it to read.")
    available = models.DateTimeField(
        default=NEVER, help_text="When it may be issued (again); never, once it was answered."
    )
    created = models.DateTimeField()

    objects = CaptchaQuerySet.as_manager()

    class Meta:
        indexes = [models.Index("difficulty", "available", name="captcha_pool")]

    def __str__(self) -> str:
        return f"captcha {self.pk}"

    @classmethod
    def numbered(cls, number: int) -> Self | None:
        """Return the captcha with this number, without its picture, or None where it is gone."""
        for key, kind, content in _NUMBERED(number):
            return cls.from_db(None, ("id", "media_type", "content"), (key, kind, json.loads(content)))
        return None

    AUDIO = "audio/"
    """How the media type of a captcha begins that is heard. Its sound is not kept, and its one slot has no glyph."""

    @property
    def is_audio(self) -> bool:
        """Whether it is heard, not seen."""
        return self.media_type.startswith(self.AUDIO)

    @property
    def slots(self) -> list[Slot]:
        """The slots from left to right; none where it is heard."""
        return [] if self.is_audio else [Slot(*row) for row in self.content]

    @property
    def spoken(self) -> str:
        """What is spoken, where it is heard."""
        return str(self.content["spoken"])

    def slots_now(self) -> list[Slot]:
        """Return the slots as they stand today: a control whose label was changed gates by the new one.

        One that has lost its label since the captcha was composed does not gate any more; it is asked about.
        """
        slots = self.slots
        rows = _GLYPHS([slot.glyph for slot in slots if slot.gates])
        accepts = {
            key: accepted(label, caseless=bool(caseless))
            for key, label, caseless, *kind in rows
            if kind == [Split.TRAIN, State.CONTROL]
        }
        return [
            slot
            if not slot.gates
            else Slot(slot.glyph, CONTROL, accepts[slot.glyph])
            if slot.glyph in accepts
            else Slot(slot.glyph, Role.PROBE.value, "")
            for slot in slots
        ]

    @staticmethod
    def judge(slots: Sequence[Slot], typed: Sequence[str], alphabet: Alphabet) -> Judgement:
        """Judge what was typed: each control right, or as a character that people can't tell from it.

        One control may be said to be unreadable where there are enough others.
        """
        if len(typed) != len(slots):
            return Judgement([], [], passed=False)
        right: list[int] = []
        wrong: list[int] = []
        unread: list[int] = []
        for slot, character in zip(slots, typed, strict=True):
            if not slot.gates:
                continue
            if any(alphabet.alike(accepted, character) for accepted in slot.accepts):
                right.append(slot.glyph)
            else:
                (unread if character == CANT_READ else wrong).append(slot.glyph)
        passed = not wrong and (not unread or (len(unread) == 1 and len(right) >= LEAST_CONTROLS))
        return Judgement(right, wrong + unread, passed)


_NUMBERED = Question(lambda number: Captcha.objects.filter(pk=number).values_list("pk", "media_type", "content"))

# Asked for controls alone, SQLite would look for these few among all controls.
_GLYPHS = Prepared(
    lambda keys: Glyph.objects.filter(pk__in=keys).values_list("pk", "label", "data_set__caseless", "split", "state")
)


class Attempt(models.Model):
    """The one judged answer of a challenge. What was typed is kept only as votes, and only after a pass.

    Every visitor waits for it to be stored, so it has no more indexes than it needs.
    """

    captcha = models.OneToOneField(Captcha, on_delete=models.CASCADE)
    site = models.ForeignKey(Site, on_delete=models.CASCADE, db_index=False)
    passed = models.BooleanField()
    created = models.DateTimeField()
    redeemed = models.DateTimeField(null=True, help_text="When the site redeemed the response that it earned.")
    redemption = models.UUIDField(null=True, help_text="The key by which the site may ask for the outcome again.")
    ballot = models.TextField(  # noqa: DJ001 -- Null keeps it out of the index of those that wait.
        null=True, help_text="What it tells the labelling, until that was counted."
    )

    class Meta:
        indexes = [models.Index("id", name="attempt_uncounted", condition=models.Q(ballot__isnull=False))]

    def __str__(self) -> str:
        return "passed" if self.passed else "failed"


class Attack(models.Model):
    """What came of letting programs read fresh captchas of one difficulty."""

    difficulty = models.CharField(max_length=6)
    captchas = models.PositiveIntegerField()
    pass_rate = models.FloatField(help_text="The share that the ensemble which serves passes, cutting them up itself.")
    per_character = models.FloatField(help_text="The share of controls that it reads rightly then.")
    nearest_neighbour_pass_rate = models.FloatField(help_text="The share that looking up raw glyphs passes.")
    nearest_neighbour_per_character = models.FloatField()
    told_pass_rate = models.FloatField(help_text="The share that the ensemble passes when told where glyphs stand.")
    created = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.difficulty}, {self.created:%Y-%m-%d}"


class Simulation(Work):
    """A simulation on a copy, with how far it has come and what came of it."""

    crowd = models.CharField(max_length=20, help_text="Who comes.")
    rule = models.CharField(max_length=20, help_text="How votes become labels.")
    probes = models.PositiveIntegerField(help_text="How many glyphs are asked about.")
    accept = models.FloatField(help_text="The posterior that a label has to reach.")
    agreement = models.PositiveSmallIntegerField(help_text="How many sources have to type it.")
    seed = models.PositiveBigIntegerField(default=0)
    outcome: "models.JSONField[dict[str, Any]]" = models.JSONField(
        default=dict, blank=True, help_text="The fields of ``simulating.Outcome``, once it is finished."
    )

    def __str__(self) -> str:
        return f"simulation {self.pk}"
