"""Sources and estimates as administrators see them."""

import re
from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.models import Estimate, Miss, Source, Vote
from handwriting.alphabet import BALANCED
from handwriting.consensus.reading import Reading

SOURCES = "/admin/labelling/source/"
ESTIMATES = "/admin/labelling/estimate/"


def rows(client: Client, address: str) -> list[object]:
    response = client.get(address)
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def text(client: Client, address: str) -> str:
    """Return a page, blanks around its tags left out."""
    return re.sub(r"\s*([<>])\s*", r"\1", client.get(address).content.decode())


@pytest.fixture
def sources(make_source: Callable[..., Source]) -> dict[str, Source]:
    return {
        "liar": make_source("bad", honesty=8),
        "doubtful": make_source("ddd", honesty=70),
        "honest": make_source("900d", honesty=97),
        "new": make_source("000"),
    }


def test_a_source_shows_its_honesty_and_leads_to_its_votes(
    owner: Client,
    sources: dict[str, Source],
    make_glyph: Callable[..., Glyph],
    make_vote: Callable[..., Vote],
    now: datetime,
) -> None:
    glyph, liar = make_glyph("A"), sources["liar"]
    mine = [make_vote(glyph.pk, "A", number, source=liar) for number in range(2)]
    make_vote(glyph.pk, "A", 3, source=sources["honest"])
    Miss.objects.create(glyph=glyph, source=liar, captcha=4, alone=True, created=now)
    page = text(owner, SOURCES)
    votes = f"/admin/labelling/vote/?source__id__exact={liar.pk}"
    assert f'href="{votes}">2</a>' in page
    assert ">8%<" in page
    assert rows(owner, votes) == mine[::-1]
    page = text(owner, reverse("admin:labelling_source_change", args=[liar.pk]))
    assert f'href="{votes}">2</a>' in page
    assert ">8%<" in page


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?honesty=low", {"liar"}),
        ("?honesty=middle", {"doubtful"}),
        ("?honesty=high", {"honest"}),
        ("?honesty=none", {"new"}),
        ("?q=bad", {"liar"}),
        ("?q=BAD0", {"liar"}),
        ("?q=bade", set()),
        ("?q=900d", {"honest"}),
        ("?q=%25", set()),
    ],
)
def test_sources_can_be_filtered_and_found(
    owner: Client, sources: dict[str, Source], query: str, expected: set[str]
) -> None:
    found = set(rows(owner, SOURCES + query))
    assert {name for name, source in sources.items() if source in found} == expected


def test_the_list_of_sources_costs_the_same_queries_however_long_it_is(
    owner: Client, make_source: Callable[..., Source]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as queries:
            owner.get(SOURCES)
        return len(queries)

    make_source("a")
    few = queries()
    for number in range(20):
        make_source(f"b{number}f")
    assert queries() == few


@pytest.fixture
def estimate(db: None, now: datetime) -> Estimate:
    """An estimate by which people type 0 for O in two cases of five."""
    zero, letter = BALANCED.classes.index("0"), BALANCED.classes.index("O")
    counts = np.zeros_like(Reading.initial(BALANCED).counts)
    counts[1, letter, zero], counts[1, letter, letter] = 4_000, 6_000
    reading = Reading.initial(BALANCED).learned(counts=counts, honesty=0.815, ambiguity=0.031)
    return Estimate.objects.create(
        parameters=reading.to_json(), votes=12_345, sources=678, moved=1_234, seconds=5.25, created=now
    )


def test_estimates_are_listed_with_their_figures(owner: Client, estimate: Estimate) -> None:
    page = text(owner, ESTIMATES)
    for figure in ("12,345", "678", "81.5%", "3.1%", "1,234", "5.2 s"):
        assert f">{figure}<" in page


def test_an_estimate_shows_what_people_mix_up(owner: Client, estimate: Estimate) -> None:
    page = text(owner, reverse("admin:labelling_estimate_change", args=[estimate.pk]))
    assert '<th scope="row">0</th><th scope="row">O</th><td>39.8%</td>' in page
    assert "<td>10,000</td>" in page
    for figure in ("12,345", "81.5%", "0.5%"):
        assert f">{figure}<" in page


def test_an_estimate_without_confusions_says_so(owner: Client, db: None, now: datetime) -> None:
    parameters = Reading.initial(BALANCED).to_json()
    estimate = Estimate.objects.create(parameters=parameters, votes=0, sources=0, created=now)
    assert "Nothing was mixed up yet." in text(owner, reverse("admin:labelling_estimate_change", args=[estimate.pk]))


@pytest.mark.parametrize("what", ["source", "estimate"])
def test_they_can_be_read_and_not_changed(
    owner: Client, reader: Client, source: Source, estimate: Estimate, what: str
) -> None:
    row = {"source": source, "estimate": estimate}[what]
    page = reverse(f"admin:labelling_{what}_change", args=[row.pk])
    assert reader.get(page).status_code == 200
    assert owner.post(page, {"honesty": "99", "votes": "1"}).status_code == 403
    assert owner.post(reverse(f"admin:labelling_{what}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert owner.get(reverse(f"admin:labelling_{what}_add")).status_code == 403
