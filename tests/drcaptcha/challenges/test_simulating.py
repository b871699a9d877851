import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from drcaptcha.challenges.simulating import Plan, simulate
from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling.models import Decision, Estimate, Source, Vote
from handwriting.crowds import CROWDS, Nature

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]

LETTERS = "ABDEFGHKMNPRTUWXY"
FIXED = {
    "crowd",
    "rule",
    "accuracy",
    "votes_per_label",
    "accepted",
    "disputed",
    "unreadable",
    "open",
    "answers",
    "pass_rate",
    "calibration_gap",
}


@pytest.fixture
def collection(make_glyph: MakeGlyph, settings: Any) -> None:
    """Labelled glyphs of many classes, and 60 whose truth is kept apart."""
    settings.DRCAPTCHA_MIN_CONTROLS = 50
    for n in range(80):
        make_glyph(LETTERS[n % len(LETTERS)])
    for n in range(60):
        make_glyph(truth=LETTERS[n % len(LETTERS)])


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def call(*words: object) -> dict[str, Any]:
        capsys.readouterr()
        call_command("simulate", "--json", "--verbosity", "0", *map(str, words))
        return json.loads(capsys.readouterr().out)

    return call


def everything() -> list[object]:
    return [list(model.objects.order_by("pk").values()) for model in (Glyph, Vote, Source, Decision, Estimate)]


def test_a_simulation_changes_nothing(collection: None, run: Callable[..., dict[str, Any]]) -> None:
    before = everything()
    outcome = run("--crowd", "liars10", "--probes", 50, "--seed", 1)
    assert everything() == before
    assert set(outcome) >= FIXED
    assert (outcome["crowd"], outcome["rule"]) == ("liars10", "ours")
    assert outcome["accepted"] + outcome["disputed"] + outcome["unreadable"] + outcome["open"] == 50
    assert outcome["accuracy"] > 0.9
    assert 1 < outcome["votes_per_label"] < 6
    assert set(outcome["pass_rate"]) >= {"careful", "careless", "confuser"}
    assert outcome["course"][-1]["accepted"] == outcome["accepted"]


def test_a_seed_gives_the_same_outcome(collection: None, run: Callable[..., dict[str, Any]]) -> None:
    one, same, other = (run("--crowd", "mixed40", "--probes", 30, "--seed", seed) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_more_probes_than_there_are_without_a_label_take_labels_on_the_copy(
    collection: None, run: Callable[..., dict[str, Any]]
) -> None:
    before = everything()
    assert run("--probes", 75)["probes"] == 75
    assert everything() == before


@pytest.mark.parametrize(("probes", "words"), [(1000, "no more than 90"), (0, "at least 1")])
def test_it_says_how_many_probes_there_can_be(collection: None, probes: int, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("simulate", "--probes", str(probes), verbosity=0)


def test_kept_votes_label_the_installation(collection: None, run: Callable[..., dict[str, Any]]) -> None:
    outcome = run("--crowd", "honest", "--probes", 60, "--keep")
    labelled = Glyph.objects.filter(given="").exclude(label="")
    assert labelled.count() == outcome["accepted"] > 50
    assert all(glyph.label == glyph.truth for glyph in labelled)
    assert Vote.objects.exists()
    assert all(source.key.endswith("-simulated") for source in Source.objects.all())


def test_it_can_stop_when_enough_are_decided(collection: None, now: datetime) -> None:
    outcome = simulate(Plan("honest"), now=now, enough=10)
    assert 10 <= outcome.accepted < 60


def test_it_counts_wrong_labels_among_the_controls(collection: None, make_glyph: MakeGlyph, now: datetime) -> None:
    make_glyph("A", truth="B")
    outcome = simulate(Plan(seed=1), now=now, enough=20)
    assert outcome.mislabelled == 1
    assert outcome.mislabelled_found in {0, 1}
    assert outcome.rightly_labelled_lost == 0


@pytest.mark.parametrize("rule", ["first", "agree3", "recaptcha", "dominance3", "majority"])
def test_published_rules_go_through_the_same_flows(rule: str, collection: None, now: datetime) -> None:
    outcome = simulate(Plan("honest", rule=rule), now=now)
    assert outcome.accepted > 50
    least = {"first": 1, "agree3": 3, "recaptcha": 2, "dominance3": 3, "majority": 3}[rule]
    assert outcome.votes_per_label >= least
    assert outcome.calibration_gap == 0
    assert not Glyph.objects.filter(given="", state=State.CONTROL).exists()


@pytest.mark.parametrize("crowd", CROWDS)
def test_every_crowd_comes_to_an_end(crowd: str, collection: None, now: datetime) -> None:
    outcome = simulate(Plan(crowd, seed=2), now=now)
    assert outcome.open == 0
    assert outcome.accuracy > 0.8


def test_a_crowd_can_read_otherwise(collection: None, now: datetime) -> None:
    worse = simulate(Plan("honest", nature=Nature(slips=0.3, dazed=1.0)), now=now)
    assert worse.pass_rate["careful"] < 0.7


def test_what_nobody_knows_can_not_be_simulated_here(collection: None, make_glyph: MakeGlyph, now: datetime) -> None:
    make_glyph()
    with pytest.raises(NotPossible, match="1 glyphs: their truth is not known"):
        simulate(Plan(), now=now)


def test_without_glyphs_it_says_what_is_missing(db: None, now: datetime) -> None:
    with pytest.raises(NotPossible, match="glyphs of known truth"):
        simulate(Plan(), now=now)


@pytest.mark.parametrize("words", [{"crowd": "nobody"}, {"rule": "none"}])
def test_it_names_what_there_is(words: dict[str, str]) -> None:
    with pytest.raises(NotPossible, match="There are: "):
        Plan(**words)


def test_another_threshold_can_be_tried(collection: None, run: Callable[..., dict[str, Any]]) -> None:
    strict, lax = (
        run("--probes", 50, "--accept", accept, "--agreement", sources) for accept, sources in ((0.9999, 4), (0.7, 1))
    )
    assert lax["votes_per_label"] < strict["votes_per_label"] - 0.5


@pytest.mark.parametrize("words", [("--rule", "first"), ("--accept", "0.6"), ("--agreement", "1"), ("--retrain", "2")])
def test_an_installation_is_labelled_by_its_own_rules_alone(words: tuple[str, str], collection: None) -> None:
    with pytest.raises(CommandError, match="are for a copy"):
        call_command("simulate", "--keep", *words, verbosity=0)
    assert not Vote.objects.exists()


def test_no_installation_is_taken_for_a_copy(collection: None) -> None:
    with pytest.raises(CommandError, match="This is no copy"):
        call_command("simulate", "--here", verbosity=0)
    assert not Vote.objects.exists()


@pytest.mark.training
def test_the_course_is_drawn(collection: None, tmp_path: Path) -> None:
    call_command("simulate", "--probes", "20", "--plot", str(tmp_path / "course.png"), verbosity=0)
    assert (tmp_path / "course.png").read_bytes().startswith(b"\x89PNG")
