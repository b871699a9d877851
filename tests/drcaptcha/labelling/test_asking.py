from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.labelling.asking import audits, choose
from drcaptcha.labelling.models import Role

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]


@pytest.fixture
def accepted(make_glyph: MakeGlyph) -> list[int]:
    keys = [make_glyph("H").pk for _ in range(30)]
    Glyph.objects.filter(pk__in=keys).update(state=State.ACCEPTED, given="")
    return keys


def test_what_is_worth_more_is_asked_more_often(make_glyph: MakeGlyph, rng: np.random.Generator) -> None:
    dull, telling = make_glyph(), make_glyph()
    Glyph.objects.filter(pk=dull.pk).update(worth=0.1)
    Glyph.objects.filter(pk=telling.pk).update(worth=2.0, state=State.PROVISIONAL)
    counts = Counter(choose(1, rng)[0][0] for _ in range(300))
    assert counts[telling.pk] > 4 * counts[dull.pk]
    assert counts[dull.pk] > 3


def test_what_is_set_aside_or_labelled_is_not_asked_while_others_are_open(
    make_glyph: MakeGlyph, accepted: list[int], rng: np.random.Generator
) -> None:
    for state in (State.DISPUTED, State.UNREADABLE):
        Glyph.objects.filter(pk=make_glyph().pk).update(state=state)
    wanted = {make_glyph().pk for _ in range(20)}
    make_glyph(split=Split.TEST)
    chosen = choose(10, rng)
    assert {key for key, _ in chosen} <= wanted
    assert {role for _, role in chosen} == {Role.PROBE}


def test_where_too_few_are_open_accepted_ones_are_asked_again(
    make_glyph: MakeGlyph, accepted: list[int], rng: np.random.Generator
) -> None:
    wanted = make_glyph().pk
    chosen = dict(choose(5, rng))
    assert chosen.pop(wanted) == Role.PROBE
    assert set(chosen) <= set(accepted)
    assert set(chosen.values()) == {Role.AUDIT}


def test_audits_are_of_both_kinds_of_labels(
    make_glyph: MakeGlyph, accepted: list[int], rng: np.random.Generator
) -> None:
    given = [make_glyph("K").pk for _ in range(30)]
    chosen = [key for _ in range(20) for key, role in audits(5, rng) if role == Role.AUDIT]
    assert 20 < sum(key in accepted for key in chosen) < 60
    assert set(chosen) <= {*accepted, *given}


@pytest.mark.parametrize("count", [5, 3000])
def test_the_work_does_not_grow_with_the_glyphs(count: int, make_glyph: MakeGlyph, rng: np.random.Generator) -> None:
    first = make_glyph()
    Glyph.objects.bulk_create(
        Glyph(
            data_set=first.data_set,
            digest=n.to_bytes(16, "big"),
            picture=first.picture,
            split=Split.TRAIN,
            place=int(rng.integers(2**31)),
        )
        for n in range(count)
    )
    with CaptureQueriesContext(
        connection,
    ) as queries:
        choose(3, rng)
    assert len(queries) <= 5
    assert all("LIMIT" in query["sql"] for query in queries.captured_queries)
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            sql = queries.captured_queries[0]["sql"]
            plan = " ".join(str(row) for row in cursor.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall())
        assert "glyph_draw" in plan
        assert "TEMP B-TREE" not in plan


def test_all_states_of_a_large_collection_are_weighed_by_their_numbers(
    make_glyph: MakeGlyph, rng: np.random.Generator
) -> None:
    """Nine times as many unknown glyphs as provisional ones are asked about nine times as often."""
    first = make_glyph()
    Glyph.objects.bulk_create(
        Glyph(
            data_set=first.data_set,
            digest=n.to_bytes(16, "big"),
            picture=first.picture,
            split=Split.TRAIN,
            state=State.PROVISIONAL if n % 10 == 0 else State.UNKNOWN,
            place=int(rng.integers(2**31)),
        )
        for n in range(3000)
    )
    states = dict(Glyph.objects.values_list("pk", "state"))
    counts = Counter(states[key] for _ in range(150) for key, _ in choose(4, rng))
    assert counts[State.PROVISIONAL] / counts.total() == pytest.approx(0.1, abs=0.04)
