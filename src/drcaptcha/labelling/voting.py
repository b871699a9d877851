"""Taking votes."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.deciding import decide
from drcaptcha.labelling.models import Role, Source, Vote


@transaction.atomic
def record(typed: Mapping[int, str], *, source: Source, captcha: int, now: datetime) -> None:
    """Keep what a visitor who passed typed, by glyph id, and let each glyph's label follow its votes.

    What can't be a character (a control code) is no vote.
    """
    votes = {glyph: character for glyph, character in typed.items() if character.isprintable()}
    # The rows are locked in one order, so that of two answers about one glyph the second sees the first one's vote.
    glyphs = list(Glyph.objects.select_for_update().filter(pk__in=votes).order_by("pk"))
    Vote.objects.bulk_create(
        Vote(glyph=glyph, source=source, captcha=captcha, role=Role.PROBE, typed=votes[glyph.pk], created=now)
        for glyph in glyphs
    )
    for glyph in glyphs:
        decide(glyph, now)
