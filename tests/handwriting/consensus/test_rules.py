import pytest

from handwriting.consensus.rules import RULES


@pytest.mark.parametrize(
    ("rule", "answers", "machine", "label"),
    [
        ("first", "KX", "", "K"),
        ("first", "", "K", ""),
        ("agree3", "KXK", "K", ""),
        ("agree3", "KXKK", "", "K"),
        ("recaptcha", "KK", "", ""),
        ("recaptcha", "KK", "K", "K"),
        ("recaptcha", "KKX", "X", ""),
        ("recaptcha", "KKK", "X", "K"),
        ("dominance3", "KKK", "", "K"),
        ("dominance3", "KXKK", "", ""),
        ("dominance3", "KXKKK", "", "K"),
        ("majority", "KK", "", ""),
        ("majority", "KXK", "", "K"),
        ("majority", "KXKX", "", ""),
    ],
)
def test_a_published_rule(rule: str, answers: str, machine: str, label: str) -> None:
    assert RULES[rule](list(answers), machine) == label
