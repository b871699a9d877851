"""What the tests of registered sites have in common."""

from collections.abc import Callable
from typing import NamedTuple

ORIGIN = "https://www.museum.example"


class Keys(NamedTuple):
    """What the owner of a site was given."""

    sitekey: str
    secret: str


Create = Callable[..., Keys]
PassOn = Callable[..., str]
