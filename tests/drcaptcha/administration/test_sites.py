"""Sites as their owners see them."""

import re
from datetime import timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from drcaptcha.sites import counting, owners
from drcaptcha.sites.models import Secret, Site, Traffic
from drcaptcha.sites.registering import register

SITES = "/admin/sites/site/"
LIBRARY = {"name": "Library", "hosts": "www.museum.example\n.books.example", "quota": "0", "owner": ""}

pytestmark = pytest.mark.django_db


def sign_in(name: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.add(owners.ensure_group())
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def librarian() -> Client:
    return sign_in("lena")


@pytest.fixture
def curator() -> Client:
    return sign_in("carl")


@pytest.fixture
def library(librarian: Client) -> Site:
    return register("Library", ["www.museum.example"], owner=User.objects.get(username="lena"), now=timezone.now()).site


def secret_in(page: str) -> str:
    found = re.search(r"<code data-secret>([\w-]+)</code>", page)
    assert found
    return found[1]


def address(site: Site, what: str = "change") -> str:
    return f"{SITES}{site.pk}/{what}/"


def rows(client: Client) -> list[Site]:
    return list(client.get(SITES).context["cl"].result_list)


def test_an_owner_registers_a_site_and_is_shown_its_secret_once(librarian: Client) -> None:
    answer = librarian.post(f"{SITES}add/", LIBRARY)
    site = Site.objects.get(name="Library")
    assert (site.hosts, site.owner.username if site.owner else "") == (
        ["www.museum.example", ".books.example"],
        "lena",
    )
    page = answer.content.decode()
    assert "no-store" in answer["Cache-Control"]
    assert site.sitekey in page
    secret = secret_in(page)
    assert Secret.site_of(secret, timezone.now()) == site
    page = librarian.get(address(site)).content.decode()
    assert secret not in page
    assert f"{secret[:8]}…" in page


def test_owners_have_their_own_sites_alone(librarian: Client, curator: Client, library: Site, owner: Client) -> None:
    museum = register("Museum", ["museum.example"], owner=User.objects.get(username="carl"), now=timezone.now()).site
    assert (rows(librarian), rows(curator)) == ([library], [museum])
    assert set(rows(owner)) >= {library, museum}
    assert library.sitekey not in curator.get(f"{SITES}?q=Library").content.decode()
    for what in ("change", "history", "delete"):
        assert curator.get(address(library, what)).status_code in {302, 403, 404}
    assert curator.post(address(library), LIBRARY | {"name": "Mine"}).status_code in {302, 404}
    assert curator.get(address(library, "rotate")).status_code == 404
    assert curator.post(address(library, "rotate"), {"when": "at-once"}).status_code == 404
    assert Site.objects.filter(name="Library").exists()
    assert Secret.objects.filter(site=library).count() == 1


def test_who_may_look_may_not_change(reader: Client, library: Site) -> None:
    assert rows(reader) == []
    Site.objects.update(owner=User.objects.get(username="rosa"))
    assert rows(reader) == [library]
    assert reader.post(address(library, "rotate"), {"when": "at-once"}).status_code == 403
    assert reader.post(address(library), LIBRARY).status_code == 403
    assert reader.get(f"{SITES}add/").status_code == 403


def test_who_has_no_right_sees_none(newcomer: Client, library: Site) -> None:
    Site.objects.update(owner=User.objects.get(username="newt"))
    assert newcomer.get(SITES).status_code == 403
    assert newcomer.get(address(library, "rotate")).status_code == 403


def test_owners_set_no_quota_and_give_no_site_away(librarian: Client, curator: Client, library: Site) -> None:
    Site.objects.update(quota=100)
    carl = User.objects.get(username="carl")
    librarian.post(address(library), LIBRARY | {"quota": "0", "owner": str(carl.pk), "name": "Library of all"})
    library.refresh_from_db()
    assert (library.name, library.quota, library.owner) == ("Library of all", 100, User.objects.get(username="lena"))


def test_a_superuser_does_both(owner: Client, curator: Client, library: Site) -> None:
    carl = User.objects.get(username="carl")
    owner.post(address(library), LIBRARY | {"quota": "50", "owner": str(carl.pk)})
    library.refresh_from_db()
    assert (library.quota, library.owner) == (50, carl)
    assert "0 of 50" in owner.get(SITES).content.decode()


@pytest.mark.parametrize("wrong", [{"hosts": "https://a.example"}, {"hosts": " "}, {"name": Site.HOME}, {"name": ""}])
def test_what_makes_no_site_is_said(librarian: Client, wrong: dict[str, str]) -> None:
    answer = librarian.post(f"{SITES}add/", LIBRARY | wrong)
    assert answer.status_code == 200
    assert answer.context["errors"]
    assert not Site.objects.filter(name__in=["Library", Site.HOME]).exists()


def test_the_services_own_site_keeps_its_name_and_needs_no_host(owner: Client) -> None:
    home = Site.of(None)
    assert owner.post(address(home), LIBRARY | {"hosts": ""}).status_code == 200
    assert owner.post(address(home), LIBRARY | {"name": Site.HOME, "hosts": "", "quota": "9"}).status_code == 302
    home.refresh_from_db()
    assert (home.name, home.quota, home.hosts) == (Site.HOME, 9, [])


@pytest.mark.parametrize(("when", "held"), [("overlap", 2), ("at-once", 1)])
def test_a_secret_is_changed(librarian: Client, library: Site, when: str, held: int) -> None:
    old = Secret.objects.get()
    assert "two more hours" in librarian.get(address(library, "rotate")).content.decode()
    assert Secret.objects.get() == old
    answer = librarian.post(address(library, "rotate"), {"when": when})
    assert "no-store" in answer["Cache-Control"]
    assert Secret.site_of(secret_in(answer.content.decode()), timezone.now()) == library
    assert Secret.objects.holding(timezone.now()).count() == held
    assert (f"{old.start}…" in librarian.get(address(library)).content.decode()) is (held == 2)


def test_an_owner_sees_what_comes_of_the_challenges(librarian: Client, library: Site) -> None:
    now = timezone.now()
    assert "Nobody has asked" in librarian.get(address(library)).content.decode()
    counting.count(library.pk, now.date(), issued=1234, passed=700, failed=300, redeemed=650, labels=41)
    counting.count(library.pk, now.date() - timedelta(days=3), issued=1)
    counting.count(library.pk, now.date() - timedelta(days=99), issued=77_777)
    page = librarian.get(address(library)).content.decode()
    for figure in ("1,234", "1,235", "700", "300", "650", "41"):
        assert f">{figure}<" in page
    assert "77,777" not in page
    assert Traffic.objects.count() == 3


def test_the_first_page_shows_an_owner_what_is_asked_for_today(
    librarian: Client, curator: Client, library: Site, owner: Client
) -> None:
    counting.count(library.pk, timezone.now().date(), issued=1234)
    shown = librarian.get("/admin/")
    assert shown.context["panels"] == {"sites": {"total": 1234, "count": 1, "busiest": [library]}}
    assert address(library) in shown.content.decode()
    assert curator.get("/admin/").context["panels"]["sites"]["count"] == 0
    assert "Register the first site" in curator.get("/admin/").content.decode()
    assert owner.get("/admin/").context["panels"]["sites"]["total"] == 1234


def test_an_empty_list_says_what_fills_it_and_a_search_that_finds_nothing_that(librarian: Client) -> None:
    empty = librarian.get(SITES).content.decode()
    assert "Register the site whose forms are to be protected." in empty
    assert "Add site" in empty
    found = librarian.get(SITES + "?q=nowhere").content.decode()
    assert "There is no site like that." in found
    assert "yielded" not in empty + found


def test_the_list_names_the_first_hosts(librarian: Client, library: Site) -> None:
    Site.objects.update(hosts=["a.example", "b.example", "c.example", "d.example"])
    assert "a.example, b.example and 2 more" in librarian.get(SITES).content.decode()


def test_the_group_of_owners_is_made_once_and_kept_as_it_was_changed() -> None:
    group = owners.ensure_group()
    assert set(group.permissions.values_list("codename", flat=True)) == set(owners.RIGHTS)
    group.permissions.clear()
    assert not owners.ensure_group().permissions.exists()


def test_an_owner_closes_a_site_and_opens_it_again(librarian: Client, library: Site) -> None:
    assert "Close it" in librarian.get(address(library)).content.decode()
    assert "423 site-closed" in librarian.get(address(library, "close")).content.decode()
    library.refresh_from_db()
    assert library.closed is None, "to look changes nothing"
    page = librarian.post(address(library, "close"), {"to": "closed"}, follow=True).content.decode()
    library.refresh_from_db()
    assert library.closed is not None
    assert "Open it again" in page
    assert f"closed</span> since {library.closed:%Y-%m-%d %H:%M}" in page
    assert "good again at once" in librarian.get(address(library, "close")).content.decode()
    librarian.post(address(library, "close"), {"to": "open"})
    library.refresh_from_db()
    assert library.closed is None


def test_an_owner_deletes_a_site_and_is_told_what_goes(librarian: Client, library: Site) -> None:
    counting.count(library.pk, timezone.now().date(), issued=1234)
    page = librarian.get(address(library, "delete")).content.decode()
    for phrase in ("Delete Library?", "its secrets", "1,234 challenges", "voted stays", "close it instead"):
        assert phrase in page
    assert Site.objects.filter(name="Library").exists()
    assert librarian.post(address(library, "delete"), {"post": "yes"}).status_code == 302
    assert not Site.objects.filter(name="Library").exists()


def test_nobody_closes_or_deletes_anothers_site_or_the_services_own(
    owner: Client, reader: Client, curator: Client, library: Site
) -> None:
    home = Site.of(None)
    for what in ("close", "delete"):
        assert curator.post(address(library, what), {"post": "yes", "to": "closed"}).status_code in {302, 404}
        assert reader.post(address(library, what), {"post": "yes", "to": "closed"}).status_code in {302, 403, 404}
        answer = owner.post(address(home, what), {"post": "yes", "to": "closed"})
        assert answer.status_code == 409
        assert "nobody could be asked here" in answer.content.decode()
    assert set(Site.objects.values_list("name", "closed")) == {("Library", None), (Site.HOME, None)}


def test_owners_of_before_may_delete_too() -> None:
    group = owners.ensure_group()
    migration = import_module("drcaptcha.sites.migrations.0003_closed")
    for rights, then in (
        ({"view_site"}, {"view_site"}),
        (migration.BEFORE, migration.BEFORE | {"delete_site"}),
    ):
        group.permissions.set(Permission.objects.filter(content_type__app_label="sites", codename__in=rights))
        migration.let_owners_delete(apps, None)
        assert set(group.permissions.values_list("codename", flat=True)) == then
