from datetime import datetime, timedelta

import pytest
from django.db import transaction
from pytest_django import Settings

from drcaptcha.labelling import sources
from drcaptcha.labelling.models import Salt, Source
from drcaptcha.labelling.sources import source_key, stored
from drcaptcha.sites.models import Site

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_process() -> None:
    sources._known.clear()


@pytest.fixture
def site(db: None) -> Site:
    return Site.objects.create(name="library")


def test_an_address_is_one_source_all_day(site: Site, now: datetime) -> None:
    assert source_key("192.0.2.1", site, now) == source_key("192.0.2.1", site, now + timedelta(hours=11))


def test_a_source_is_stored_once(site: Site, now: datetime) -> None:
    first = stored({"a" * 64: site.pk}, now)
    assert stored({"a" * 64: site.pk, "b" * 64: site.pk}, now)["a" * 64] == first["a" * 64]
    assert list(Source.objects.values_list("site", "created").order_by("pk")) == [(site.pk, now)] * 2


def test_a_source_is_another_one_tomorrow(site: Site, now: datetime) -> None:
    assert source_key("192.0.2.1", site, now) != source_key("192.0.2.1", site, now + timedelta(days=1))


def test_a_source_is_another_one_on_another_site(site: Site, now: datetime) -> None:
    assert source_key("192.0.2.1", site, now) != source_key("192.0.2.1", Site.of(None), now)


def test_it_can_not_be_traced_without_the_key(site: Site, now: datetime, settings: Settings) -> None:
    before = source_key("192.0.2.1", site, now)
    settings.SECRET_KEY = "another"
    assert source_key("192.0.2.1", site, now) != before


def test_after_its_day_nobody_can_try_addresses_on_a_source(site: Site, now: datetime) -> None:
    before = source_key("192.0.2.1", site, now)
    assert source_key("192.0.2.1", site, now + timedelta(hours=1)) == before
    source_key("192.0.2.2", site, now + timedelta(days=1))
    assert Salt.objects.get().day == (now + timedelta(days=1)).date()
    assert source_key("192.0.2.1", site, now) != before


@pytest.mark.django_db(transaction=True)
def test_a_salt_that_was_rolled_back_is_used_no_more(site: Site, now: datetime) -> None:
    with transaction.atomic():
        before = source_key("192.0.2.1", site, now)
        transaction.set_rollback(True)
    key = source_key("192.0.2.1", site, now)
    assert key != before
    Salt.objects.update(value="what another process would read now")
    assert source_key("192.0.2.1", site, now) == key


def test_the_addresses_that_one_visitor_owns_are_one_source(site: Site, now: datetime) -> None:
    assert source_key("2001:db8::1", site, now) == source_key("2001:db8::ffff:2", site, now)
    assert source_key("2001:db8::1", site, now) != source_key("2001:db8:0:1::1", site, now)
    assert source_key("::ffff:192.0.2.1", site, now) == source_key("192.0.2.1", site, now)


def test_the_port_that_a_gateway_adds_makes_no_other_source(site: Site, now: datetime) -> None:
    assert source_key("192.0.2.1:5678", site, now) == source_key("192.0.2.1", site, now)
    assert source_key("[2001:db8::1]:5678", site, now) == source_key("2001:db8::1", site, now)
    assert source_key("[2001:db8::1]", site, now) == source_key("2001:db8::1", site, now)
    assert len({source_key(odd, site, now) for odd in ("", "unknown", "999.1:80", "192.0.2.1:x", "[::g]:1")}) == 5
