"""What is noted of challenges is written down soon, once."""

from datetime import datetime

import pytest
from django.db import OperationalError

from drcaptcha.sites import counting
from drcaptcha.sites.models import Site, Traffic

pytestmark = pytest.mark.django_db


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(name="Museum")


def test_challenges_are_written_down_once(site: Site, now: datetime) -> None:
    for _ in range(3):
        counting.take_from_quota(site, now)
    counting.give_back(site, now)
    assert not Traffic.objects.exists()
    counting.write_down()
    counting.write_down()
    assert Traffic.objects.get(site=site, day=now.date()).issued == 2


def test_one_that_is_given_back_late_is_taken_off(site: Site, now: datetime) -> None:
    counting.take_from_quota(site, now)
    counting.write_down()
    counting.give_back(site, now)
    counting.write_down()
    assert Traffic.objects.get().issued == 0


def test_where_writing_fails_they_stay_noted(site: Site, now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OperationalError

    counting.take_from_quota(site, now)
    with monkeypatch.context() as patch:
        patch.setattr(counting, "_add", fail)
        with pytest.raises(OperationalError):
            counting.write_down()
    counting.write_down()
    assert Traffic.objects.get().issued == 1


def test_those_of_a_site_that_was_deleted_are_forgotten(site: Site, now: datetime) -> None:
    other = Site.objects.create(name="Library")
    for one in (site, other):
        counting.take_from_quota(one, now)
    site.delete()
    counting.write_down()
    assert list(Traffic.objects.values_list("site", "issued")) == [(other.pk, 1)]
