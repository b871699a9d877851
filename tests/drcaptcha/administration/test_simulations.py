"""Simulations as administrators start and read them."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from drcaptcha.challenges.models import Simulation
from drcaptcha.challenges.simulating import Plan
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.weighing import OURS
from handwriting.consensus.rules import RULES
from handwriting.crowds import CROWDS
from tests.drcaptcha.administration.conftest import Form

SIMULATIONS = "/admin/challenges/simulation/"
ADD = f"{SIMULATIONS}add/"
ASKED = {"crowd": "liars10", "rule": OURS, "probes": "1200", "accept": "0.99", "agreement": "3", "seed": "5"}

OUTCOME: dict[str, Any] = {
    "crowd": "liars10",
    "rule": "ours",
    "accuracy": 0.9876,
    "folded_accuracy": 0.9912,
    "votes_per_label": 2.345,
    "accepted": 1100,
    "disputed": 40,
    "unreadable": 7,
    "open": 53,
    "answers": 3456,
    "probes": 1200,
    "without_prior": 11,
    "calibration_gap": 0.0123,
    "pass_rate": {"careful": 0.931, "liar": 0.9},
    "poison_rate": {"careful": 0.021},
    "course": [
        {"answers": 0, "votes": 0, "accepted": 0, "accuracy": 0.0},
        {"answers": 1500, "votes": 1300, "accepted": 600, "accuracy": 0.984},
        {"answers": 3456, "votes": 2600, "accepted": 1100, "accuracy": 0.9876},
    ],
}


@pytest.fixture
def finished(db: None) -> Simulation:
    return Simulation.objects.create(
        crowd="liars10",
        rule="ours",
        probes=1200,
        accept=0.99,
        agreement=3,
        seed=5,
        state="finished",
        done=1,
        line="1,100 labels",
        outcome=OUTCOME,
    )


def page_of(simulation: Simulation) -> str:
    return reverse("admin:challenges_simulation_change", args=[simulation.pk])


def text(client: Client, address: str) -> str:
    """Return a page, blanks around its tags left out."""
    return re.sub(r"\s*([<>])\s*", r"\1", client.get(address).content.decode())


def test_the_form_begins_with_the_thresholds_of_this_installation(owner: Client, settings: Settings) -> None:
    settings.DRCAPTCHA_ACCEPT, settings.DRCAPTCHA_AGREEMENT = 0.9975, 4
    fields = Form("simulation_form", owner.get(ADD).content.decode()).fields
    assert (fields["accept"], fields["agreement"], fields["probes"]) == ("0.9975", "4", "5000")
    assert (fields["rule"], fields["seed"]) == (OURS, "0")


def test_every_crowd_and_every_rule_is_offered(owner: Client) -> None:
    page = owner.get(ADD).content.decode()
    for name in (*CROWDS, OURS, *RULES):
        assert f'value="{name}"' in page
        if name in CROWDS:
            Plan(name)


def test_a_simulation_is_queued_and_its_page_opens(owner: Client) -> None:
    answer = owner.post(ADD, ASKED)
    simulation = Simulation.objects.get()
    assert answer.url == page_of(simulation)
    asked = {name: str(getattr(simulation, name)) for name in ASKED}
    assert asked == ASKED
    assert simulation.state == "queued"
    assert DBTaskResult.objects.get().args_kwargs == {"args": [simulation.pk], "kwargs": {}}
    page = text(owner, answer.url)
    assert "Waiting for the worker." in page
    assert "Nothing yet." in page


@pytest.mark.parametrize(
    "wrong",
    [
        {"crowd": "martians"},
        {"rule": "dice"},
        {"probes": "0"},
        {"probes": "1000000"},
        {"accept": "1"},
        {"accept": "0.4"},
        {"accept": "nan"},
        {"agreement": "0"},
        {"seed": "-1"},
        {"seed": ""},
    ],
    ids=str,
)
def test_it_refuses_a_simulation_that_makes_no_sense(owner: Client, wrong: dict[str, str]) -> None:
    assert owner.post(ADD, ASKED | wrong).status_code == 200
    assert not Simulation.objects.exists()
    assert not DBTaskResult.objects.exists()


@pytest.mark.parametrize("rights", [[], ["view_simulation"], ["view_simulation", "add_run", "change_simulation"]])
def test_nobody_simulates_without_the_right_to(client: Client, db: None, rights: list[str]) -> None:
    user = User.objects.create_user("rosa", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client.force_login(user)
    assert client.get(ADD).status_code == 403
    assert client.post(ADD, ASKED).status_code == 403
    assert not Simulation.objects.exists()


def test_the_list_tells_what_came_of_each(reader: Client, finished: Simulation) -> None:
    page = text(reader, SIMULATIONS)
    for figure in ("liars10", "1,200", "99%, 3 sources", "98.76%", "2.35", "47"):
        assert f">{figure}<" in page
    Simulation.objects.update(rule="majority")
    assert ">by majority<" in text(reader, SIMULATIONS)


def test_a_page_shows_figures_kinds_and_the_course(reader: Client, finished: Simulation) -> None:
    page = text(reader, page_of(finished))
    for figure in ("98.76%", "+1.23", "2.35", "1,100", "40", "53", "3,456", "11", "93.1%", "90.0%", "2.1%"):
        assert f"<td>{figure}</td>" in page
    assert "99.12% with look-alikes as one" in page
    assert page.count("<figure") == 2
    for words in ("98.40% after 1,300 votes", "98.76% after 2,600 votes", "91.67% after 2,600 votes"):
        assert f"<title>{words}</title>" in page
    assert "data-progress" not in page


def test_it_can_be_tried_again_with_other_figures(owner: Client, finished: Simulation) -> None:
    page = owner.get(page_of(finished)).content.decode()
    address = re.search(rf'href="({ADD}\?[^"]+)"', page)
    assert address
    fields = Form("simulation_form", owner.get(address[1].replace("&amp;", "&")).content.decode()).fields
    assert {name: fields[name] for name in ASKED} == ASKED


def test_what_is_stored_is_text_and_nothing_else(reader: Client, finished: Simulation) -> None:
    outcome = OUTCOME | {"pass_rate": {"<b>x": 0.5}, "poison_rate": {}}
    Simulation.objects.update(outcome=outcome, line="<i>why</i>")
    page = text(reader, page_of(finished))
    assert "&lt;b&gt;x" in page
    assert "&lt;i&gt;why" in page
    assert "<i>why" not in page


def test_it_shows_the_glyphs_that_got_a_wrong_label(
    reader: Client, finished: Simulation, make_glyph: Callable[..., Glyph]
) -> None:
    glyph = make_glyph("A")
    errors = [[glyph.pk, "A", "H"], [glyph.pk + 1, "B", "8"]]  # The second is gone by now.
    Simulation.objects.update(outcome=OUTCOME | {"errors": errors})
    page = text(reader, page_of(finished))
    assert reverse("admin:glyphs_glyph_change", args=[glyph.pk]) in page
    assert "<small>H for A</small>" in page
    assert "8 for B" not in page


def test_a_simulation_without_a_label_is_shown_too(reader: Client, finished: Simulation) -> None:
    nothing = {"answers": 0, "votes": 0, "accepted": 0, "accuracy": 0.0}
    Simulation.objects.update(outcome=OUTCOME | {"accepted": 0, "accuracy": 0.0, "course": [nothing, nothing]})
    assert text(reader, page_of(finished)).count("<figure") == 1


def test_a_simulation_tells_how_far_it_has_come(
    reader: Client, newcomer: Client, client: Client, finished: Simulation
) -> None:
    Simulation.objects.update(state="running", done=0.25, line="25% of the glyphs are decided", outcome={})
    address = reverse("admin:challenges_simulation_progress", args=[finished.pk])
    answer = reader.get(address).json()
    assert (answer["state"], answer["done"], answer["ended"]) == ("running", 0.25, False)
    page = reader.get(page_of(finished)).content.decode()
    assert f'data-progress="{address}"' in page
    assert "administration/progress.js" in page
    assert newcomer.get(address).status_code == 403
    assert client.get(address).url.startswith("/admin/login/")


def test_a_simulation_can_not_be_changed_or_removed(owner: Client, finished: Simulation) -> None:
    assert owner.post(page_of(finished), ASKED).status_code == 403
    address = reverse("admin:challenges_simulation_delete", args=[finished.pk])
    assert owner.post(address, {"post": "yes"}).status_code == 403
