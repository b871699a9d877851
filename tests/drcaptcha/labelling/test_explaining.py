from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.labelling import deciding
from drcaptcha.labelling.explaining import Confusion, confusions, explain, percent
from drcaptcha.labelling.models import Estimate
from handwriting.alphabet import BALANCED
from handwriting.consensus.reading import Reading

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]
Vote = Callable[..., Glyph]
SetPrior = Callable[..., None]


def test_it_says_what_is_known_before_any_vote(make_glyph: MakeGlyph, set_prior: SetPrior) -> None:
    glyph = make_glyph()
    assert explain(glyph).sentence == "Nobody was heard about it yet; no network had an opinion."
    assert explain(glyph).chances == []
    set_prior(glyph, H=0.93, N=0.05)
    why = explain(glyph)
    assert why.sentence == "Nobody was heard about it yet; the network said H with 93.0% before any vote."
    assert [chance.character for chance in why.chances[:2]] == ["H", "N"]
    assert why.ensemble is not None


def test_it_says_why_a_label_is_accepted(make_glyph: MakeGlyph, vote: Vote, set_prior: SetPrior) -> None:
    glyph = make_glyph()
    set_prior(glyph, H=0.93, N=0.05)
    vote(glyph, "H", 1)
    why = explain(vote(glyph, "H", 2))
    assert why.sentence.startswith("Accepted as H: posterior ")
    assert "2 of 2 votes say so, each from a source of its own; the network said H with 93.0%" in why.sentence
    assert (why.votes, why.support, why.label, why.outdated) == (2, 2, "H", False)
    assert why.posterior >= why.needed
    assert why.chances[0].now > 0.99
    assert why.chances[0].before == pytest.approx(0.93, abs=0.01)


def test_it_says_what_is_missing(make_glyph: MakeGlyph, vote: Vote, set_prior: SetPrior) -> None:
    lone, doubtful = make_glyph(), make_glyph()
    assert "needs 99.5%; the one vote says so" in explain(vote(lone, "H", 1)).sentence
    set_prior(doubtful, N=0.97, H=0.02)
    why = explain(vote(doubtful, "H", 1))
    assert why.state == State.PROVISIONAL
    assert "the network said N with 97.0% before any vote" in why.sentence


def test_a_network_of_the_same_opinion_makes_one_source_enough(
    make_glyph: MakeGlyph, vote: Vote, set_prior: SetPrior
) -> None:
    glyph = make_glyph()
    set_prior(glyph, H=0.97, N=0.02)
    assert explain(vote(glyph, "H", 1)).sources == 1
    assert explain(vote(make_glyph(), "H", 1)).sources == 2


def test_it_says_that_votes_made_a_control(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    for visitor in range(3):
        glyph = vote(glyph, "H", visitor)
    assert explain(glyph).sentence.startswith("A control by votes: H has a posterior of ")
    assert "3 of 3 votes say so" in explain(glyph).sentence


def test_it_names_the_two_characters_of_an_ambiguous_glyph(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    for visitor, typed in enumerate("O0O0O0"):
        glyph = vote(glyph, typed, visitor)
    why = explain(glyph)
    assert why.sentence.startswith("Set aside: it is both 0 and O with ")
    assert why.pair == ("0", "O")
    assert why.ambiguous > 0.6


def test_it_says_that_a_glyph_can_not_be_read(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    for visitor in range(4):
        glyph = vote(glyph, "?", visitor)
    assert glyph.state == State.UNREADABLE
    why = explain(glyph)
    assert "4 of 4 votes say so" in why.sentence
    assert why.unreadable >= 0.9


def test_it_says_how_a_given_label_has_fared(make_glyph: MakeGlyph, miss: Callable[..., Glyph]) -> None:
    glyph, others = make_glyph("A"), [make_glyph(character) for character in "BDEH"]
    assert explain(glyph).sentence == (
        "A control: its label A was given; 0 visitors read it right, 0 failed it and no other control."
    )
    for visitor in range(6):
        glyph = miss(glyph, others, visitor)
    why = explain(glyph)
    assert why.state == State.DISPUTED
    assert why.sentence.startswith("Set aside: its given label A has only ")
    assert "6 failed it and no other control" in why.sentence
    assert "A" in {chance.character for chance in why.chances}


def test_what_an_administrator_overruled_does_not_count(make_glyph: MakeGlyph, vote: Vote, now: datetime) -> None:
    glyph = make_glyph()
    assert explain(vote(glyph, "H", 1)).votes == 1
    deciding.set_label(glyph, "N", reason="by ada", now=now + timedelta(days=1))
    assert explain(Glyph.objects.get(pk=glyph.pk)).votes == 0


def test_a_label_that_may_mean_two_characters_is_left_alone(make_glyph: MakeGlyph, settings: Settings) -> None:
    settings.DRCAPTCHA_ALPHABET = "byclass"
    glyph = make_glyph("A", caseless=True)
    why = explain(glyph)
    assert "may mean two characters of the alphabet byclass" in why.sentence
    assert not why.outdated


def test_a_test_glyph_is_never_asked_about(make_glyph: MakeGlyph) -> None:
    assert explain(make_glyph("A", split=Split.TEST)).sentence.startswith("A test glyph")


def test_it_tells_when_a_threshold_was_changed_since(make_glyph: MakeGlyph, vote: Vote, settings: Settings) -> None:
    glyph = make_glyph()
    for visitor in range(2):
        glyph = vote(glyph, "M", visitor)
    settings.DRCAPTCHA_AGREEMENT = 3
    why = explain(glyph)
    assert glyph.state == State.ACCEPTED
    assert (why.outdated, why.state) == (True, State.PROVISIONAL)
    assert "needs 3 sources that say so" in why.sentence


def test_a_glyph_that_is_gone_is_told(make_glyph: MakeGlyph) -> None:
    glyph = make_glyph()
    Glyph.objects.all().delete()
    glyph.pk = 1
    with pytest.raises(NotPossible, match="not there any more"):
        explain(glyph)


@pytest.mark.parametrize(
    ("share", "said"),
    [
        (0, "0.0%"),
        (1, "100.0%"),
        (0.995, "99.5%"),
        (0.9995, "99.95%"),
        (0.99999, ">99.99%"),
        (1e-6, "<0.01%"),
        (0.0004, "0.04%"),
    ],
)
def test_shares_are_written_as_people_read_them(share: float, said: str) -> None:
    assert percent(share) == said


@given(st.floats(0, 1))
def test_nothing_uncertain_is_written_as_certain(share: float) -> None:
    said = percent(share)
    assert abs(float(said.strip("<>%")) / 100 - share) <= 0.0005
    assert (said == "100.0%") <= (share == 1)
    assert (said == "0.0%") <= (share == 0)


def estimate(now: datetime, *seen: tuple[str, str, float]) -> Estimate:
    counts = np.zeros_like(Reading.initial(BALANCED).counts)
    for meant, typed, times in seen:
        counts[1, BALANCED.classes.index(meant), BALANCED.classes.index(typed)] = times
    reading = Reading.initial(BALANCED).learned(counts=counts)
    return Estimate.objects.create(parameters=reading.to_json(), votes=1, sources=1, created=now)


def test_the_biggest_confusions_come_first(now: datetime) -> None:
    found = confusions(estimate(now, ("O", "0", 400), ("O", "O", 600), ("M", "N", 100), ("M", "M", 900)))
    assert [(confusion.typed, confusion.meant) for confusion in found] == [("0", "O"), ("N", "M")]
    assert found[0].share == pytest.approx(0.4, abs=0.05)
    assert found[0].readings == 1000


def test_confusions_that_are_only_assumed_are_not_named(now: datetime) -> None:
    assert confusions(estimate(now, ("O", "O", 600), ("M", "N", 0.2))) == list[Confusion]()
