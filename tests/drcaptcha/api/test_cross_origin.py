"""Calls from pages of other hosts."""

from http import HTTPStatus

import pytest
from django.test import Client

from tests.registered import ORIGIN, Keys

CALLS = ["/api/v1/challenges", "/api/v1/answers"]
ASKED = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}


@pytest.mark.parametrize("path", CALLS)
def test_a_browser_that_asks_beforehand_may_send_the_call(path: str, client: Client) -> None:
    answer = client.options(path, headers={"origin": ORIGIN} | ASKED)
    assert answer.status_code == HTTPStatus.NO_CONTENT
    assert answer["Access-Control-Allow-Origin"] == ORIGIN
    assert answer["Access-Control-Allow-Methods"] == "POST"
    assert answer["Access-Control-Allow-Headers"] == "Content-Type"
    assert "Access-Control-Allow-Credentials" not in answer
    assert "Origin" in answer["Vary"]


@pytest.mark.parametrize("path", ["/api/v1/predictions", "/api/get-captcha", "/recaptcha/api/siteverify", "/admin/"])
def test_nothing_else_may_be_called(path: str, client: Client, db: None) -> None:
    answer = client.options(path, headers={"origin": ORIGIN} | ASKED)
    assert "Access-Control-Allow-Origin" not in answer


def test_the_answer_is_given_to_pages_of_listed_hosts_alone(library: Keys, client: Client, stock: object) -> None:
    for origin, allowed in ((ORIGIN, True), ("https://evil.example", False), ("null", False)):
        answer = client.post(
            CALLS[0], {"sitekey": library.sitekey}, content_type="application/json", headers={"origin": origin}
        )
        assert (answer.status_code == HTTPStatus.OK) is allowed
        assert answer.get("Access-Control-Allow-Origin") == (origin if allowed else None)
        assert "Origin" in answer["Vary"]


def test_an_answer_is_judged_for_pages_of_the_hosts_of_its_site_alone(
    library: Keys, client: Client, stock: object
) -> None:
    asked = {"sitekey": library.sitekey}
    issued = client.post(CALLS[0], asked, content_type="application/json", headers={"origin": ORIGIN})
    answer = {"challenge": issued.json()["challenge"], "answer": "?"}
    for origin, status in (("https://evil.example", HTTPStatus.FORBIDDEN), (ORIGIN, HTTPStatus.OK)):
        judged = client.post(CALLS[1], answer, content_type="application/json", headers={"origin": origin})
        assert judged.status_code == status
        assert judged.get("Access-Control-Allow-Origin") == (origin if status == HTTPStatus.OK else None)


def test_without_an_origin_nothing_is_said_of_it(client: Client, stock: object) -> None:
    answer = client.post(CALLS[0], {}, content_type="application/json")
    assert "Access-Control-Allow-Origin" not in answer
