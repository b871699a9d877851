"""Registering sites from the command line."""

import json
import subprocess
import sys
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from drcaptcha.sites.checks import test_keys as check_test_keys
from drcaptcha.sites.models import Secret, Site
from drcaptcha.sites.registering import register, rotate

pytestmark = pytest.mark.django_db


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_it_prints_the_keys_as_json() -> None:
    hosts = ("--host", "www.museum.example", "--host", ".books.example")
    keys = json.loads(run("createsite", "Library", *hosts, "--json"))
    assert set(keys) == {"sitekey", "secret"}
    assert all(key.isalnum() and key.isascii() for key in keys.values())
    site = Site.of(keys["sitekey"])
    assert (site.name, site.hosts, site.quota, site.owner) == (
        "Library",
        ["www.museum.example", ".books.example"],
        0,
        None,
    )
    assert Secret.site_of(keys["secret"], timezone.now()) == site


def test_it_tells_people_what_the_keys_are_for() -> None:
    assert "stays on the site's server" in run("createsite", "Library", "--host", "www.museum.example")


def test_a_site_can_have_a_quota_and_an_owner() -> None:
    ada = User.objects.create_user("ada")
    run("createsite", "Library", "--host", "localhost", "--quota", "500", "--owner", "ada")
    site = Site.objects.get(name="Library")
    assert (site.quota, site.owner) == (500, ada)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("Library", "--host", "https://library.example"), "is no host"),
        (("Library", "--host", " "), "needs a host"),
        (("Library", "--host", "a.example", "--owner", "nobody"), "no user 'nobody'"),
        (("Taken", "--host", "a.example"), "already"),
        ((Site.HOME, "--host", "a.example"), "already"),
        ((" ", "--host", "a.example"), "needs a name"),
        (("Library", "--host", "a.example", "--quota", "-1"), "is not a number of challenges"),
        (("Library",), "required: --host"),
    ],
)
def test_what_makes_no_site_is_refused(words: tuple[str, ...], complaint: str) -> None:
    Site.objects.create(name="Taken")
    with pytest.raises(CommandError, match=complaint):
        run("createsite", *words)
    assert Site.objects.count() == 1


def test_a_secret_is_changed_again_and_each_old_one_keeps_its_end() -> None:
    site = Site.objects.create(name="Library")
    first = rotate(site, now=timezone.now())
    second = json.loads(run("rotatesecret", site.sitekey, "--json"))["secret"]
    assert "holds until" in run("rotatesecret", site.sitekey)
    now = timezone.now()
    assert Secret.site_of(first, now) == Secret.site_of(second, now) == site
    assert Secret.objects.filter(site=site, ends=None).count() == 1


def test_a_site_that_is_none_gets_no_secret() -> None:
    with pytest.raises(CommandError, match="No site has this site key"):
        run("rotatesecret", "nobody")


def test_test_keys_in_production_are_warned_of(settings: Settings) -> None:
    settings.PRODUCTION, settings.DRCAPTCHA_TEST_KEYS = True, True
    assert [warning.id for warning in check_test_keys()] == ["sites.W001"]
    settings.DRCAPTCHA_TEST_KEYS = False
    assert check_test_keys() == []


@pytest.mark.parametrize(
    ("environment", "known"),
    [
        ({}, "True"),
        ({"DRCAPTCHA_TEST_KEYS": "0"}, "False"),
        ({"DRCAPTCHA_ENV": "production"}, "False"),
        ({"DRCAPTCHA_ENV": "production", "DRCAPTCHA_TEST_KEYS": "1"}, "True"),
    ],
)
def test_production_knows_no_test_keys_unless_it_is_told(
    tmp_path: object, environment: dict[str, str], known: str
) -> None:
    basis = {"DRCAPTCHA_SECRET_KEY": "k" * 40, "DRCAPTCHA_HOSTS": "a.example", "DRCAPTCHA_STATE": str(tmp_path)}
    program = "from django.conf import settings; print(settings.DRCAPTCHA_TEST_KEYS)"
    path = {"PYTHONPATH": ":".join(sys.path), "DJANGO_SETTINGS_MODULE": "drcaptcha.settings"}
    command = [sys.executable, "-c", program]
    said = subprocess.run(command, env=basis | path | environment, capture_output=True, text=True, check=True).stdout
    assert said.strip() == known


def test_a_site_is_closed_and_opened_again_but_not_the_services_own() -> None:
    site = register("Library", ["www.museum.example"], now=timezone.now()).site
    for option, closed in (([], True), (["--open"], False)):
        assert f"is {'closed' if closed else 'open'}" in run("closesite", site.sitekey, *option)
        site.refresh_from_db()
        assert bool(site.closed) is closed
    with pytest.raises(CommandError, match="nobody could be asked"):
        run("closesite", Site.of(None).sitekey)
