"""Signing in to the administration."""

import socket
from http import HTTPStatus
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from drcaptcha.challenges.limiting import LOGINS

RIGHT = "correct horse"


@pytest.fixture(autouse=True)
def ada(db: None, settings: LazySettings, tmp_path: Path) -> None:
    settings.DRCAPTCHA_TALLIES = tmp_path / "tallies"
    cache.clear()
    User.objects.create_superuser("ada", password=RIGHT)


def sign_in(client: Client, password: str, address: str = "192.0.2.1", **headers: str) -> int:
    form = {"username": "ada", "password": password}
    return client.post("/admin/login/?next=/admin/", form, REMOTE_ADDR=address, headers=headers).status_code


def test_who_tries_too_many_passwords_has_none_looked_at(client: Client) -> None:
    for number in range(LOGINS):
        assert sign_in(client, f"guess {number}") == HTTPStatus.OK
    assert sign_in(client, RIGHT) == HTTPStatus.OK
    assert sign_in(client, RIGHT, **{"X-Forwarded-For": "203.0.113.1"}) == HTTPStatus.OK
    assert sign_in(client, RIGHT, "192.0.2.2") == HTTPStatus.FOUND


def test_while_redis_hangs_nobody_signs_in_and_a_page_says_so(client: Client, settings: LazySettings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        settings.REDIS_URL = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        response = client.post("/admin/login/?next=/admin/", {"username": "ada", "password": RIGHT})
    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert "Redis" in response.content.decode()


def test_who_errs_a_few_times_signs_in(client: Client) -> None:
    for number in range(LOGINS - 1):
        sign_in(client, f"guess {number}")
    assert sign_in(client, RIGHT) == HTTPStatus.FOUND
