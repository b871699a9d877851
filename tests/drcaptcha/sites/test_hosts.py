import pytest
from hypothesis import given
from hypothesis import strategies as st

from drcaptcha.sites.hosts import MOST, OPAQUE, clean, clean_all, host_of, matches


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        ("https://www.example.org", "www.example.org"),
        ("https://WWW.Example.ORG:8443/form?a=b#c", "www.example.org"),
        ("https://www.example.org.", "www.example.org"),
        ("http://localhost:8000", "localhost"),
        ("http://127.0.0.1:8000/", "127.0.0.1"),
        ("http://[::1]:8000", "::1"),
        ("https://xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("https://user:secret@www.example.org", "www.example.org"),
        ("https://www.example.org@evil.example", "evil.example"),
        ("null", OPAQUE),
        ("http://null", OPAQUE),
        ("www.example.org", OPAQUE),
        ("https://", OPAQUE),
        ("https://[", OPAQUE),
        ("https://.example.org", "example.org"),
        ("https://a b.example", OPAQUE),
        (f"https://{'a' * 300}.example", OPAQUE),
    ],
)
def test_the_host_of_a_page(origin: str, host: str) -> None:
    assert host_of(origin) == host


@given(st.text())
def test_whatever_is_called_an_origin_has_a_host_or_none(origin: str) -> None:
    host = host_of(origin)
    assert host == OPAQUE or clean(host) == host


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (" WWW.Example.org ", "www.example.org"),
        (".example.org", ".example.org"),
        ("Bücher.example", "xn--bcher-kva.example"),
        (".bücher.example", ".xn--bcher-kva.example"),
        ("localhost", "localhost"),
        ("[::1]", "::1"),
        ("0:0::1", "::1"),
    ],
)
def test_a_host_is_kept_as_it_is_compared(typed: str, kept: str) -> None:
    assert clean(typed) == kept


@pytest.mark.parametrize("typed", ["", ".", "*", "*.example.org", "https://example.org", "a.example:80", "a/b", "null"])
def test_what_is_no_host_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        clean(typed)


def test_a_list_has_each_host_once_and_at_least_one() -> None:
    assert clean_all(["a.example", "", "A.example", "b.example"]) == ["a.example", "b.example"]
    for few_or_many in ([], [" "], [f"{number}.example" for number in range(MOST + 1)]):
        with pytest.raises(ValueError, match="needs a host"):
            clean_all(few_or_many)


@pytest.mark.parametrize(
    ("host", "listed", "same"),
    [
        ("example.org", "example.org", True),
        ("www.example.org", "example.org", False),
        ("example.org", ".example.org", True),
        ("a.b.example.org", ".example.org", True),
        ("badexample.org", ".example.org", False),
        ("example.org.evil.example", ".example.org", False),
    ],
)
def test_a_dot_stands_for_all_below(host: str, listed: str, same: bool) -> None:
    assert matches(host, listed) is same
