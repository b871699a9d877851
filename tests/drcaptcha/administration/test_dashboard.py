"""The administration's first page, and who may see it."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from drcaptcha.challenges.models import Attack, Captcha
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.labelling import auditing
from drcaptcha.labelling.models import Decision, Role, Source, Vote
from drcaptcha.learning import promoting
from drcaptcha.learning.models import Ensemble, Evaluation, Run
from drcaptcha.pages import dashboard
from drcaptcha.sites import counting
from drcaptcha.sites.models import Site


@pytest.fixture(autouse=True)
def _nothing_remembered() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def panels(client: Client) -> dict[str, object]:
    response = client.get("/admin/")
    assert response.status_code == 200
    return response.context["panels"]


def test_it_shows_an_empty_installation(owner: Client) -> None:
    shown = panels(owner)
    assert shown["best"] is None
    assert shown["passes"] == {"attempts": 0, "passed": 0, "rate": None}
    assert shown["runs"] == []


def test_it_counts_glyphs_by_state(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    for label in ("A", "B", "A", ""):
        make_glyph(label)
    make_glyph("A", split=Split.TEST)
    glyphs = panels(owner)["glyphs"]
    counts = {row["name"]: (row["count"], row["start"], row["share"]) for row in glyphs["states"]}
    assert list(counts) == ["control", "accepted", "provisional", "unknown", "disputed", "unreadable"]
    assert counts["control"] == (3, 0, 75)
    assert counts["unknown"] == (1, 75, 25)
    assert {counts[name][0] for name in ("accepted", "provisional", "disputed", "unreadable")} == {0}
    assert (glyphs["total"], glyphs["train"], glyphs["test"]) == (5, 4, 1)


def test_every_state_has_a_colour_and_a_link(owner: Client, db: None) -> None:
    page = owner.get("/admin/").content.decode()
    for state in State:
        assert f'class="swatch tone-{state}"' in page
        assert f"state__exact={state}" in page


def test_it_leads_to_what_waits_for_a_review(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    for label in ("A", "", ""):
        Glyph.objects.filter(pk=make_glyph(label).pk).update(state=State.DISPUTED, label="")
    assert panels(owner)["review"] == {"all": 3, "given": 1, "votes": 2}
    page = owner.get("/admin/").content.decode()
    for queue, count in (("all", 3), ("given", 1), ("votes", 2)):
        address = f"/admin/glyphs/glyph/?review={queue}"
        assert f'href="{address}"' in page
        assert len(owner.get(address).context["cl"].result_list) == count


def audits(glyph: Glyph, source: Source, right: int, wrong: int) -> None:
    """Let a source confirm a label so often, and contradict it so often."""
    first = Vote.objects.count()
    Vote.objects.bulk_create(
        Vote(
            glyph=glyph,
            source=source,
            captcha=first + number,
            role=Role.AUDIT,
            typed="A",
            answer="A" if number < right else "B",
            known="A",
            created=timezone.now(),
        )
        for number in range(right + wrong)
    )


def test_it_tells_how_right_labels_are_found_and_claimed_to_be(
    owner: Client, make_glyph: Callable[..., Glyph], make_source: Callable[..., Source]
) -> None:
    assert "There are too few audits yet." in owner.get("/admin/").content.decode()
    cache.clear()
    source = make_source("a", honesty=90)
    voted = make_glyph()
    Glyph.objects.filter(pk=voted.pk).update(state=State.ACCEPTED, label="A", posterior=0.9962)
    audits(voted, source, 90, 10)
    audits(make_glyph("A"), source, 96, 4)
    audit = panels(owner)["labels"]["audit"]
    assert isinstance(audit, auditing.Audit)
    assert audit.accuracy is not None
    page = " ".join(owner.get("/admin/").content.decode().split())
    for text in (">93.8%<", ">99.6%<", ">90 of 100<", ">96 of 100<", "as audited; with 95% certainty from 8"):
        assert text in page


def test_it_counts_labels_by_day(make_glyph: Callable[..., Glyph]) -> None:
    now = timezone.now().replace(hour=15)
    glyph = make_glyph("A")
    ages = [0, 0, 3, dashboard.DAYS - 1, dashboard.DAYS]
    for days in ages:
        Decision.objects.create(glyph=glyph, before="", after="A", reason="", created=now - timedelta(days=days))
    Decision.objects.create(glyph=glyph, before="A", after="", reason="", created=now)
    Decision.objects.create(glyph=glyph, before="A", after="A", after_state=State.CONTROL, reason="", created=now)
    labels = dashboard._labels(now)
    assert [row["count"] for row in labels["days"]] == [1, *[0] * (dashboard.DAYS - 5), 1, 0, 0, 2]
    assert labels["days"][-1]["day"] == now.date()
    assert (labels["total"], labels["highest"]) == (4, 2)


def test_it_shows_the_level_of_the_pool(owner: Client, make_captcha: Callable[..., Captcha]) -> None:
    make_captcha()
    make_captcha(available=timezone.now() + timedelta(minutes=5))
    assert panels(owner)["pool"]["available"] == 1


def test_it_tells_what_programs_read_by_difficulty(owner: Client, now: datetime) -> None:
    assert "Not measured yet" in owner.get("/admin/").content.decode()
    for difficulty, rate in (("hard", 0.5), ("easy", 0.61), ("hard", 0.13), ("normal", 0.38)):
        rates = {"per_character": 0.8, "nearest_neighbour_per_character": 0.7, "told_pass_rate": 0.4}
        Attack.objects.create(
            difficulty=difficulty, captchas=300, pass_rate=rate, nearest_neighbour_pass_rate=0.22, created=now, **rates
        )
    pool = panels(owner)["pool"]
    assert [(one["difficulty"], round(one["share"])) for one in pool["attacks"]] == [
        ("easy", 61),
        ("normal", 38),
        ("hard", 13),
    ]
    assert pool["attack"]["difficulty"] == "normal"
    assert ">13%; 22%<" in owner.get("/admin/").content.decode()


def test_it_shows_how_many_pass_today(
    db: None,
    now: datetime,
) -> None:
    assert dashboard._passes(now) == {"attempts": 0, "passed": 0, "rate": None}
    for name, passed in (("Museum", 2), ("Library", 1)):
        site = Site.objects.create(name=name)
        counting.count(site.pk, now.date(), issued=9, passed=passed, failed=passed - 1)
        counting.count(site.pk, now.date() - timedelta(days=1), failed=1)
    assert dashboard._passes(now) == {"attempts": 4, "passed": 3, "rate": 75}


def test_it_shows_the_ensemble_that_serves_and_the_latest_runs(
    owner: Client, make_ensemble: Callable[..., Ensemble]
) -> None:
    good, bad = make_ensemble(1, name="Good"), make_ensemble(1, name="Bad")
    for ensemble, accuracy in ((bad, 0.8), (good, 0.9)):
        weights = {str(ensemble.networks.get().pk): 1.0}
        judged = Evaluation.objects.create(
            ensemble=ensemble, created=timezone.now(), accuracy=accuracy, test_size=10, weights=weights, seconds=1
        )
        promoting.promote(judged, reason="tried", now=timezone.now())
    runs = [Run.objects.create(kind="training") for _ in range(dashboard.RUNS + 1)]
    shown = panels(owner)
    assert shown["best"] == {"ensemble": good, "share": 90, "lost": ""}
    assert shown["runs"] == runs[:0:-1]


def test_each_panel_takes_the_right_to_see_what_is_in_it(client: Client, newcomer: Client) -> None:
    user = User.objects.create_user("rosa", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["view_run", "view_glyph"]))
    client.force_login(user)
    assert set(panels(client)) == {"glyphs", "review", "runs"}
    assert panels(newcomer) == {}
    assert b"Ask an administrator for permissions" in newcomer.get("/admin/").content


def test_the_sidebar_leads_only_where_one_may_go(reader: Client, newcomer: Client) -> None:
    page = reader.get("/admin/").content.decode()
    assert 'href="/admin/glyphs/glyph/"' in page
    assert 'href="/admin/labelling/source/"' in page
    assert 'href="/admin/labelling/estimate/"' in page
    assert 'href="/admin/challenges/simulation/"' in page
    assert 'href="/admin/learning/run/add/"' not in page
    assert 'href="/admin/glyphs/glyph/"' not in newcomer.get("/admin/").content.decode()


PAGES = [
    "glyphs/glyph", "glyphs/dataset", "labelling/vote", "labelling/source", "labelling/decision",
    "labelling/estimate", "learning/network", "learning/ensemble", "learning/evaluation",
    "learning/promotion", "learning/run", "challenges/captcha",
    "challenges/attempt", "challenges/simulation", "sites/site", "auth/user", "auth/group",
]  # fmt: skip


@pytest.mark.parametrize("page", PAGES)
def test_every_list_takes_a_right(owner: Client, reader: Client, newcomer: Client, client: Client, page: str) -> None:
    address = f"/admin/{page}/"
    assert owner.get(address).status_code == 200
    assert reader.get(address).status_code == 200
    assert newcomer.get(address).status_code == 403
    assert client.get(address).url == f"/admin/login/?next={address}"


def test_an_administrator_can_add_another(owner: Client) -> None:
    password = "a strong one indeed"
    data = {"username": "grace", "password1": password, "password2": password, "usable_password": "true"}
    assert owner.post("/admin/auth/user/add/", data).status_code == 302
    assert User.objects.get(username="grace").check_password(password)
    assert (
        password not in owner.get(f"/admin/auth/user/{User.objects.get(username='grace').pk}/change/").content.decode()
    )
