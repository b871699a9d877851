"""Reads the environment, so that each setting is looked up, converted and refused in one way."""

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """Return the variable, or the default where it is unset or empty."""
    return os.environ.get(name, "").strip() or default


def number(name: str, default: int, *, least: int = 0) -> int:
    """Return the variable as a whole number of at least ``least``."""
    value = text(name, str(default))
    try:
        parsed = int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a whole number, not {value!r}.") from None
    if parsed < least:
        raise ImproperlyConfigured(f"{name} must be at least {least}, not {parsed}.")
    return parsed


def share(name: str, default: float, *, least: float) -> float:
    """Return the variable as a number from ``least`` to just below 1."""
    value = text(name, str(default))
    try:
        parsed = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} must be a number, not {value!r}.") from None
    if not least <= parsed < 1:
        raise ImproperlyConfigured(f"{name} must be at least {least} and less than 1, not {value}.")
    return parsed


def flag(name: str) -> bool:
    """Return whether the variable says yes."""
    value = text(name, "0").lower()
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")


def choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    """Return the variable, which must be one of ``choices``."""
    value = text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} must be one of {', '.join(choices)}, not {value!r}.")
    return value


def words(name: str) -> list[str]:
    """Return the variable's parts between commas."""
    return [part.strip() for part in text(name).split(",") if part.strip()]


def secret_key(*, production: bool, state: Path) -> str:
    """Return the key that seals tokens and signs sessions.

    In production it has to be given. In development it is made once, at random, and kept in the state folder.

    Raises:
        ImproperlyConfigured: in production without a key of at least 32 characters.
    """
    given = text("DRCAPTCHA_SECRET_KEY")
    if production and len(given) < 32:
        raise ImproperlyConfigured(
            "DRCAPTCHA_SECRET_KEY must hold at least 32 random characters in production. "
            "Make one with: python3 -c 'import secrets; print(secrets.token_urlsafe(48))'"
        )
    if given:
        return given
    path = state / "secret-key"
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return path.read_text().strip()
