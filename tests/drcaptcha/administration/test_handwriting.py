"""Glyphs, data sets, votes and decisions as administrators see and move them."""

import base64
import io
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from PIL import Image

from drcaptcha.administration.base import CappedPaginator
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.labelling import reviewing
from drcaptcha.labelling.models import Decision, Miss, Role, Source, Vote
from tests.drcaptcha.administration.conftest import Form

GLYPHS = "/admin/glyphs/glyph/"


def page_of(glyph: Glyph) -> str:
    return reverse("admin:glyphs_glyph_change", args=[glyph.pk])


def listed(client: Client, query: str = "") -> set[int]:
    response = client.get(GLYPHS + query)
    assert response.status_code == 200
    return {glyph.pk for glyph in response.context["cl"].result_list}


def shown(client: Client, glyph: Glyph, query: str = "") -> str:
    """Return the page of a glyph, blanks around its tags left out."""
    return re.sub(r"\s*([<>])\s*", r"\1", client.get(page_of(glyph) + query).content.decode())


def pictures(content: bytes) -> list[np.ndarray]:
    """Return the glyphs that a page shows, ink bright as they are stored."""
    found = re.findall(rb'src="data:image/png;base64,([^"]+)"', content)
    return [255 - np.asarray(Image.open(io.BytesIO(base64.b64decode(data)))) for data in found]


def test_the_list_shows_each_glyph_as_it_is(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    older, newer = make_glyph("A"), make_glyph()
    shown = pictures(owner.get(GLYPHS).content)
    assert np.array_equal(shown, [newer.array, older.array])


def test_the_list_shows_what_visitors_typed(
    owner: Client, make_glyph: Callable[..., Glyph], make_vote: Callable[..., Vote]
) -> None:
    glyph = make_glyph()
    for captcha, typed in enumerate("xqx"):
        make_vote(glyph.pk, typed, captcha)
    assert b"x<small>\xc3\x972</small>" in owner.get(GLYPHS).content


def test_the_list_costs_the_same_queries_however_long_it_is(
    owner: Client, make_glyph: Callable[..., Glyph], make_vote: Callable[..., Vote]
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            owner.get(GLYPHS)
        return len(queries)

    make_vote(make_glyph().pk, "a")
    few = queries()
    for captcha in range(2, 20):
        make_vote(make_glyph().pk, "a", captcha)
    assert queries() == few


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?state__exact=unknown", {"unknown"}),
        ("?state__exact=control", {"A", "B", "test"}),
        ("?state__exact=disputed", {"demoted", "disagreed"}),
        ("?review=all", {"demoted", "disagreed"}),
        ("?review=given", {"demoted"}),
        ("?review=votes", {"disagreed"}),
        ("?review=nonsense", {"A", "B", "unknown", "test", "demoted", "disagreed"}),
        ("?split__exact=test", {"test"}),
        ("?label=A", {"A", "test"}),
        ("?q=B", {"B"}),
        ("?q=b", set()),
        ("?q=nonsense", set()),
        ("?split__exact=train&state__exact=control&label=A", {"A"}),
    ],
)
def test_it_filters_and_searches(
    owner: Client, make_glyph: Callable[..., Glyph], query: str, expected: set[str]
) -> None:
    glyphs = {"A": make_glyph("A"), "B": make_glyph("B"), "unknown": make_glyph(truth="A")}
    glyphs["test"] = make_glyph("A", split=Split.TEST)
    glyphs |= {"demoted": make_glyph("Z"), "disagreed": make_glyph()}
    for name in ("demoted", "disagreed"):
        Glyph.objects.filter(pk=glyphs[name].pk).update(state=State.DISPUTED, label="")
    assert listed(owner, query) == {glyphs[name].pk for name in expected}


def test_it_finds_a_glyph_by_its_number(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    make_glyph("A")
    glyph = make_glyph("B")
    assert listed(owner, f"?q=%23{glyph.pk}") == {glyph.pk}


def test_it_filters_by_data_set(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    make_glyph("A")
    glyph = make_glyph("B", caseless=True)
    assert listed(owner, f"?data_set__id__exact={glyph.data_set_id}") == {glyph.pk}
    assert f"data_set__id__exact={glyph.data_set_id}" in owner.get("/admin/glyphs/dataset/").content.decode()


def test_it_counts_no_further_than_its_limit(
    owner: Client, make_glyph: Callable[..., Glyph], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CappedPaginator, "LIMIT", 3)
    for _ in range(5):
        make_glyph()
    page = owner.get(GLYPHS)
    assert page.context["cl"].result_count == 3
    assert b"search and filters reach the rest" in page.content
    assert b"Show counts" not in owner.get(GLYPHS + "?state__exact=unknown").content


def test_a_page_shows_the_picture_the_votes_and_the_decisions(
    owner: Client, make_glyph: Callable[..., Glyph], make_vote: Callable[..., Vote], now: datetime
) -> None:
    glyph = make_glyph("A", truth="R")
    make_vote(glyph.pk, "x")
    Decision.objects.create(glyph=glyph, before="", after="A", reason="they said so", created=now)
    page = owner.get(page_of(glyph))
    assert np.array_equal(pictures(page.content)[0], glyph.array)
    for text in ("they said so", "55555555", ">R<"):
        assert text in re.sub(r"\s*([<>])\s*", r"\1", page.content.decode())


def test_a_page_says_why_a_glyph_has_its_state(
    owner: Client, make_glyph: Callable[..., Glyph], make_vote: Callable[..., Vote], make_source: Callable[..., Source]
) -> None:
    glyph = make_glyph()
    make_vote(glyph.pk, "H", 1)
    make_vote(glyph.pk, "H", 2, source=make_source("b"))
    page = shown(owner, glyph)
    assert "Accepted as H: posterior" in page
    assert "By what is known now it would be accepted." in page
    assert '<th scope="row">H</th>' in page
    assert "2, each from a source of its own; 2 for H" in page


def test_what_visitors_typed_is_text_and_nothing_else(
    owner: Client, make_glyph: Callable[..., Glyph], make_vote: Callable[..., Vote]
) -> None:
    glyph = make_glyph()
    make_vote(glyph.pk, "<")
    Decision.objects.create(glyph=glyph, reason="<script>alert(1)</script>", created=glyph.created)
    for page in (shown(owner, glyph), owner.get(GLYPHS).content.decode()):
        assert "&lt;" in page
        assert "<script>alert" not in page


def test_a_vote_shows_what_it_was_and_whether_it_counts(
    owner: Client,
    make_glyph: Callable[..., Glyph],
    make_vote: Callable[..., Vote],
    make_source: Callable[..., Source],
    now: datetime,
) -> None:
    glyph = make_glyph("A")
    Glyph.objects.filter(pk=glyph.pk).update(heard_from=now)
    liar = make_source("bad0bad0", honesty=7)
    make_vote(glyph.pk, "Q", 1, source=liar, role=Role.AUDIT, known="A", evidence=-0.91)
    counting = shown(owner, glyph)
    assert counting.count('title="True"') == 1
    for text in (">Q<", ">Audit<", ">bad0bad0<", ">7%<", ">-0.91<"):
        assert text in counting
    make_vote(glyph.pk, "A", 2, source=liar)  # Its second vote.
    make_vote(glyph.pk, "é", 3)  # No character of the alphabet.
    make_vote(glyph.pk, "A", 4, source=make_source("c"), created=now - timedelta(seconds=1))  # Overruled.
    page = shown(owner, glyph)
    assert (page.count('title="True"'), page.count('title="False"')) == (1, 3)


def test_a_decision_shows_the_states_and_the_reason(
    owner: Client, make_glyph: Callable[..., Glyph], now: datetime
) -> None:
    glyph = make_glyph("A")
    states = {"before_state": State.PROVISIONAL, "after_state": State.UNREADABLE}
    Decision.objects.create(glyph=glyph, before="", after="", reason="nobody can", created=now, **states)
    page = shown(owner, glyph)
    for text in (">provisional<", ">unreadable<", ">nobody can<"):
        assert text in page
    page = owner.get("/admin/labelling/decision/").content.decode()
    assert "provisional" in page
    assert "unreadable" in page


def test_a_control_shows_how_often_it_was_passed_and_missed(
    owner: Client, make_glyph: Callable[..., Glyph], make_source: Callable[..., Source], now: datetime
) -> None:
    glyph = make_glyph("A")
    Glyph.objects.filter(pk=glyph.pk).update(passes=41)
    for number, alone in enumerate((True, True, False)):
        source = make_source(f"{number}", honesty=80)
        Miss.objects.create(glyph=glyph, source=source, captcha=number, alone=alone, created=now)
    page = shown(owner, glyph)
    assert "41 visitors read it right; 2 failed it and no other control" in page
    assert page.count(">80%<") == 3


def test_many_votes_take_several_pages(
    owner: Client, make_glyph: Callable[..., Glyph], make_vote: Callable[..., Vote], make_source: Callable[..., Source]
) -> None:
    glyph = make_glyph("A")
    for number in range(53):
        make_vote(glyph.pk, "A", number, source=make_source(f"{number:04x}"))
    assert shown(owner, glyph).count('title="True"') == 50
    assert shown(owner, glyph, "?votes-page=2").count('title="True"') == 3
    assert post(owner, glyph, "B") == 302
    assert post(owner, glyph, "A", query="?votes-page=2") == 302
    assert [decision.after for decision in glyph.decisions.order_by("pk")] == ["B", "A"]


def post(client: Client, glyph: Glyph, label: str, reason: str = "", query: str = "") -> int:
    """Send a glyph's page as a browser does."""
    fields = Form("glyph_form", client.get(page_of(glyph) + query).content.decode()).fields
    return client.post(page_of(glyph), fields | {"new_label": label, "reason": reason}).status_code


def test_a_label_set_by_hand_is_a_decision_with_a_name(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    glyph = make_glyph()
    assert post(owner, glyph, "Q", "the tail is clear") == 302
    glyph.refresh_from_db()
    decision = glyph.decisions.get()
    assert (glyph.label, glyph.state) == ("Q", State.CONTROL)
    assert (decision.before, decision.after, decision.reason) == ("", "Q", "by ada: the tail is clear")


def test_a_label_can_be_taken_back(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    glyph = make_glyph("A")
    assert post(owner, glyph, "") == 302
    glyph.refresh_from_db()
    assert (glyph.label, glyph.state) == ("", State.UNKNOWN)
    assert glyph.decisions.get().before == "A"


def test_saving_without_a_change_decides_nothing(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    glyph = make_glyph("A")
    Glyph.objects.update(state=State.ACCEPTED)
    assert post(owner, glyph, "A", "just looking") == 302
    glyph.refresh_from_db()
    assert glyph.state == State.ACCEPTED
    assert not glyph.decisions.exists()


def test_it_refuses_a_label_outside_the_alphabet(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    glyph = make_glyph()
    assert post(owner, glyph, "ß") == 200
    glyph.refresh_from_db()
    assert glyph.label == ""


def act(client: Client, action: str, glyphs: list[Glyph], label: str = "") -> str:
    data = {"action": action, "new_label": label, "_selected_action": [glyph.pk for glyph in glyphs]}
    return client.post(GLYPHS, data, follow=True).content.decode()


def test_an_action_labels_all_that_were_ticked(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    ticked, other = [make_glyph(), make_glyph("B")], make_glyph()
    assert "2 glyphs have the label A now." in act(owner, "give_label", ticked, "A")
    assert set(Glyph.objects.filter(label="A")) == set(ticked)
    other.refresh_from_db()
    assert other.state == State.UNKNOWN
    assert Decision.objects.count() == 2


def test_an_action_takes_labels_away(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    glyphs = [make_glyph("A"), make_glyph("B")]
    assert "2 glyphs have no label now." in act(owner, "take_label", glyphs)
    assert not Glyph.objects.labelled().exists()


def test_an_action_keeps_given_labels_that_visitors_failed(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    demoted, disagreed = make_glyph("a"), make_glyph()
    Glyph.objects.update(state=State.DISPUTED, label="")
    assert "1 of 2 glyphs keep their given label" in act(owner, "confirm_given", [demoted, disagreed])
    demoted.refresh_from_db()
    assert (demoted.label, demoted.state) == ("a", State.CONTROL)
    assert demoted.decisions.get().reason == "by ada: the given label is right"
    assert reviewing.count()["all"] == 1


def test_an_action_has_visitors_asked_anew(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    glyph = make_glyph()
    Glyph.objects.update(state=State.DISPUTED)
    act(owner, "take_label", [glyph])
    glyph.refresh_from_db()
    assert glyph.state == State.UNKNOWN
    assert glyph.heard_from is not None


def test_to_give_no_label_is_refused_and_changes_nothing(owner: Client, make_glyph: Callable[..., Glyph]) -> None:
    glyph = make_glyph("A")
    assert "Choose the label to give" in act(owner, "give_label", [glyph])
    glyph.refresh_from_db()
    assert glyph.label == "A"


def test_a_reader_can_look_and_not_label(reader: Client, make_glyph: Callable[..., Glyph]) -> None:
    glyph = make_glyph()
    assert reader.get(page_of(glyph)).status_code == 200
    assert reader.post(page_of(glyph), {"new_label": "A"}).status_code == 403
    for action in ("give_label", "confirm_given", "take_label"):
        act(reader, action, [glyph], "A")
    glyph.refresh_from_db()
    assert glyph.label == ""


@pytest.mark.parametrize("what", ["vote", "decision"])
def test_logs_can_be_searched_and_not_changed(
    owner: Client, make_glyph: Callable[..., Glyph], make_vote: Callable[..., Vote], now: datetime, what: str
) -> None:
    glyph, other = make_glyph("A"), make_glyph("B")
    for each in (glyph, other):
        vote = make_vote(each.pk, "x")
        decision = Decision.objects.create(glyph=each, before="", after="A", reason="said so", created=now)
    row = {"vote": vote, "decision": decision}[what]
    rows = owner.get(f"/admin/labelling/{what}/?q={glyph.pk}").context["cl"].result_list
    assert [found.glyph for found in rows] == [glyph]
    page = reverse(f"admin:labelling_{what}_change", args=[row.pk])
    assert owner.get(page).status_code == 200
    assert owner.post(page, {"typed": "y", "reason": "no"}).status_code == 403
    assert owner.post(reverse(f"admin:labelling_{what}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert owner.get(reverse(f"admin:labelling_{what}_add")).status_code == 403
