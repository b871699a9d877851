"""What the plain page says, in the languages of the widget, whose words it shares."""

import json
from functools import cache
from pathlib import Path

from django.utils.translation.trans_real import parse_accept_lang_header

from drcaptcha.widget.views import parts

FOLDER = Path(__file__).parent / "texts"
RIGHT_TO_LEFT = {"ar", "fa", "he"}


@cache
def texts(language: str) -> dict[str, str]:
    """Return all texts in one of ``languages``, with its code and in which direction it is written."""
    part = parts().get(f"languages/{language}.json")
    shared = json.loads(part.content) if part else {}
    written = {"language": language, "direction": "rtl" if language in RIGHT_TO_LEFT else "ltr"}
    return _own("en") | shared | _own(language) | written


@cache
def languages() -> frozenset[str]:
    """Return the codes of all languages."""
    return frozenset(path.stem for path in FOLDER.glob("*.json"))


def chosen(wanted: str, accepted: str) -> str:
    """Return the language that is wanted, else the first that the browser accepts, else English."""
    codes = [wanted, *(code for code, _ in parse_accept_lang_header(accepted.lower()))]
    plain = (code.lower().split("-")[0].replace("iw", "he") for code in codes)
    return next((code for code in plain if code in languages()), "en")


def _own(language: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((FOLDER / f"{language}.json").read_text())
    return found
