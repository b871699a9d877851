import json

import pytest
from django.core.management import CommandError, call_command

from drcaptcha.challenges.models import Captcha
from drcaptcha.glyphs.models import Glyph

pytestmark = pytest.mark.django_db


def test_it_fills_the_pool(stock: list[Glyph], capsys: pytest.CaptureFixture[str]) -> None:
    call_command("generatecaptchas", "60", "--json")
    printed = capsys.readouterr()
    assert json.loads(printed.out)["generated"] == 60
    assert "60/60" in printed.err
    assert Captcha.objects.count() == 60


def test_it_says_that_glyphs_are_missing(db: None) -> None:
    with pytest.raises(CommandError, match="importemnist"):
        call_command("generatecaptchas", "5")


@pytest.mark.parametrize("n", ["0", "-3", "many"])
def test_it_refuses_what_is_no_number(n: str) -> None:
    with pytest.raises(CommandError, match="number of captchas"):
        call_command("generatecaptchas", n)
