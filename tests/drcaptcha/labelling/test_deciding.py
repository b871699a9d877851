from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import permutations

import pytest
from pytest_django import Settings

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling.deciding import decide, set_label
from drcaptcha.labelling.models import Decision, Role, Source

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]
Vote = Callable[..., Glyph]


def test_two_sources_make_a_label_and_a_third_a_control(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph(truth="H")
    went = [vote(glyph, "H", visitor) for visitor in range(3)]
    assert [(g.label, g.state) for g in went] == [
        ("", State.PROVISIONAL),
        ("H", State.ACCEPTED),
        ("H", State.CONTROL),
    ]
    assert [d.after_state for d in glyph.decisions.order_by("pk")] == ["provisional", "accepted", "control"]


def test_one_source_is_enough_where_an_independent_network_agrees(
    make_glyph: MakeGlyph, vote: Vote, set_prior: Callable[..., None]
) -> None:
    glyph = make_glyph()
    set_prior(glyph, H=0.97, N=0.02)
    assert vote(glyph, "H", 1).state == State.ACCEPTED
    decision = glyph.decisions.get()
    assert (decision.votes, decision.sources) == (1, 1)
    assert decision.prior == pytest.approx(0.97, abs=0.01)


def test_one_source_is_not_enough_where_it_does_not(
    make_glyph: MakeGlyph, vote: Vote, set_prior: Callable[..., None]
) -> None:
    glyph = make_glyph()
    set_prior(glyph, N=0.97, H=0.02)
    assert vote(glyph, "H", 1).state == State.PROVISIONAL


def test_no_label_without_a_vote(make_glyph: MakeGlyph, set_prior: Callable[..., None], now: datetime) -> None:
    glyph = make_glyph()
    set_prior(glyph, H=0.9999)
    decide([glyph.pk], now)
    glyph.refresh_from_db()
    assert (glyph.label, glyph.state) == ("", State.UNKNOWN)
    assert glyph.posterior == pytest.approx(1, abs=0.01)


def test_a_label_falls_when_votes_contradict_it(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    went = [vote(glyph, typed, visitor) for visitor, typed in enumerate("HHAAAA")]
    assert [g.label for g in went][:3] == ["", "H", ""]
    assert went[-1].label != "H"


def test_votes_that_are_split_evenly_set_a_glyph_aside(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    for visitor, typed in enumerate("O0O0O0"):
        glyph = vote(glyph, typed, visitor)
    assert (glyph.label, glyph.state) == ("", State.DISPUTED)
    assert "both 0 and O with" in glyph.decisions.latest("pk").reason


def test_look_alikes_take_more_votes(make_glyph: MakeGlyph, vote: Vote) -> None:
    clear, alike = make_glyph(), make_glyph()
    assert [vote(clear, "M", visitor).label for visitor in range(2)] == ["", "M"]
    assert [vote(alike, "1", visitor).label for visitor in range(2)] == ["", ""]


def test_what_nobody_can_read_is_set_aside(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    went = [vote(glyph, "?", visitor) for visitor in range(4)]
    assert went[0].state == State.PROVISIONAL
    assert went[-1].state == State.UNREADABLE
    assert "can't be read" in glyph.decisions.latest("pk").reason


def test_a_glyph_called_unreadable_can_come_back(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    for visitor in range(3):
        vote(glyph, "?", visitor)
    for visitor in range(3, 9):
        glyph = vote(glyph, "K", visitor)
    assert glyph.label == "K"


def test_the_two_cases_of_a_merged_letter_agree(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    assert [vote(glyph, typed, visitor).label for visitor, typed in enumerate("mM")] == ["", "M"]


def test_a_source_votes_once_a_glyph(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    for _ in range(4):
        glyph = vote(glyph, "H", 1)
    assert glyph.state == State.PROVISIONAL
    assert glyph.votes.count() == 4
    assert glyph.decisions.count() == 1


def test_what_is_no_character_is_kept_but_does_not_count(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    for visitor in range(3):
        glyph = vote(glyph, "!", visitor)
    assert glyph.state == State.UNKNOWN
    assert glyph.votes.count() == 3


def test_the_order_of_votes_does_not_matter(make_glyph: MakeGlyph, vote: Vote) -> None:
    ends = set()
    for order in permutations(enumerate("HHNH")):
        glyph = make_glyph()
        for visitor, typed in order:
            vote(glyph, typed, visitor)
        glyph.refresh_from_db()
        ends.add((glyph.label, glyph.state, round(glyph.posterior, 12)))
    assert len(ends) == 1


def test_a_source_that_turns_out_to_lie_loses_the_weight_of_its_old_votes(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph()
    vote(glyph, "H", 1)
    assert vote(glyph, "H", 2).state == State.ACCEPTED
    for label in "ABD":
        vote(make_glyph(label), "K", 2, role=Role.AUDIT)
    glyph.refresh_from_db()
    assert Source.objects.order_by("honesty").first().honesty < 40
    assert glyph.state == State.PROVISIONAL


def test_visitors_alone_do_not_soon_move_a_given_label(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph("A")
    glyph = vote(glyph, "B", 1, role=Role.AUDIT)
    assert (glyph.label, glyph.state) == ("A", State.CONTROL)


def test_a_control_that_honest_people_keep_failing_is_queued_for_review(
    make_glyph: MakeGlyph, miss: Callable[..., Glyph]
) -> None:
    others = [make_glyph(c) for c in "abde"]
    glyph = make_glyph("X", truth="X")
    went = [miss(glyph, others, visitor) for visitor in range(5)]
    assert went[0].state == State.CONTROL
    assert (went[-1].label, went[-1].state, went[-1].given) == ("", State.DISPUTED, "X")
    assert "those who failed it" in glyph.decisions.get().reason


def test_a_demoted_control_comes_back_when_others_read_it_right(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph("X")
    for visitor in range(4):
        vote(glyph, "K", visitor, role=Role.AUDIT)
    for visitor in range(4, 34):
        glyph = vote(glyph, "X", visitor, role=Role.AUDIT)
    assert (glyph.label, glyph.state) == ("X", State.CONTROL)


def test_one_visitor_alone_can_not_bring_a_control_down(make_glyph: MakeGlyph, miss: Callable[..., Glyph]) -> None:
    others = [make_glyph(c) for c in "abde"]
    glyph = make_glyph("X")
    for _ in range(20):
        glyph = miss(glyph, others, 1)
    assert glyph.state == State.CONTROL


def test_a_control_that_votes_made_falls_as_well(make_glyph: MakeGlyph, vote: Vote, miss: Callable[..., Glyph]) -> None:
    others = [make_glyph(c) for c in "abde"]
    glyph = make_glyph()
    for visitor in range(3):
        glyph = vote(glyph, "H", visitor)
    assert glyph.state == State.CONTROL
    for visitor in range(12):
        glyph = miss(glyph, others, visitor)
    assert glyph.state in {State.PROVISIONAL, State.DISPUTED}


def test_liars_have_no_say_in_whether_a_control_is_wrong(
    make_glyph: MakeGlyph, vote: Vote, miss: Callable[..., Glyph]
) -> None:
    others = [make_glyph(c) for c in "abde"]
    glyph = make_glyph("X")
    for visitor in range(8):
        miss(glyph, others, visitor)
    assert Glyph.objects.get(pk=glyph.pk).state == State.DISPUTED
    Source.objects.update(trust=0, doubt=9)
    for visitor in range(8):
        miss(others[0], [glyph, *others[1:]], visitor)
    assert Glyph.objects.get(pk=glyph.pk).state == State.CONTROL


def test_a_control_that_was_read_often_stands(make_glyph: MakeGlyph, miss: Callable[..., Glyph]) -> None:
    others = [make_glyph(c) for c in "abde"]
    glyph = make_glyph("X")
    Glyph.objects.filter(pk=glyph.pk).update(passes=40)
    for visitor in range(6):
        glyph = miss(glyph, others, visitor)
    assert glyph.state == State.CONTROL


def test_audits_find_a_wrong_label_in_an_imported_set(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph("X", truth="X")
    for visitor in range(4):
        glyph = vote(glyph, "K", visitor, role=Role.AUDIT)
    assert (glyph.label, glyph.state, glyph.truth) == ("", State.DISPUTED, "X")


def test_the_truth_is_never_touched_and_never_asked(make_glyph: MakeGlyph, vote: Vote) -> None:
    glyph = make_glyph(truth="A")
    vote(glyph, "B", 1)
    glyph = vote(glyph, "B", 2)
    assert (glyph.label, glyph.truth) == ("B", "A")


def test_a_lower_threshold_accepts_earlier(make_glyph: MakeGlyph, vote: Vote, settings: Settings) -> None:
    settings.DRCAPTCHA_ACCEPT, settings.DRCAPTCHA_AGREEMENT = 0.8, 1
    assert vote(make_glyph(), "H", 1).label == "H"


def test_more_sources_can_be_asked_for(make_glyph: MakeGlyph, vote: Vote, settings: Settings) -> None:
    settings.DRCAPTCHA_AGREEMENT = 4
    glyph = make_glyph()
    assert [vote(glyph, "H", visitor).label for visitor in range(4)] == ["", "", "", "H"]


def test_an_administrator_sets_a_label_and_takes_it_back(make_glyph: MakeGlyph, now: datetime) -> None:
    glyph = make_glyph()
    set_label(glyph, "Q", reason="looked at it", now=now)
    glyph.refresh_from_db()
    assert (glyph.label, glyph.given, glyph.state) == ("Q", "Q", State.CONTROL)
    set_label(glyph, "", reason="was wrong", now=now)
    glyph.refresh_from_db()
    assert (glyph.label, glyph.given, glyph.state) == ("", "", State.UNKNOWN)
    assert list(Decision.objects.values_list("reason", flat=True)) == ["looked at it", "was wrong"]


def test_a_label_taken_by_hand_is_not_given_back_by_old_votes(make_glyph: MakeGlyph, vote: Vote, now: datetime) -> None:
    glyph = make_glyph()
    for visitor in range(3):
        vote(glyph, "H", visitor)
    later = now + timedelta(hours=1)
    set_label(glyph, "", reason="was wrong", now=later)
    decide([glyph.pk], later)
    glyph.refresh_from_db()
    assert glyph.state == State.UNKNOWN
    assert vote(glyph, "N", 7, at=later + timedelta(minutes=1)).state == State.PROVISIONAL


def test_an_administrator_confirms_a_control_that_was_demoted(make_glyph: MakeGlyph, vote: Vote, now: datetime) -> None:
    glyph = make_glyph("X")
    for visitor in range(4):
        vote(glyph, "K", visitor, role=Role.AUDIT)
    later = now + timedelta(hours=1)
    set_label(glyph, "X", reason="it is right", now=later)
    decide([glyph.pk], later)
    glyph.refresh_from_db()
    assert (glyph.label, glyph.state) == ("X", State.CONTROL)


def test_an_administrator_can_not_set_what_is_no_character(make_glyph: MakeGlyph, now: datetime) -> None:
    with pytest.raises(NotPossible, match="not a character"):
        set_label(make_glyph(), "?", reason="slip", now=now)
