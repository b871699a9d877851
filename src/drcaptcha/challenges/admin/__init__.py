"""Captchas, attempts and simulations in the administration."""

from drcaptcha.challenges.admin import captchas, simulations

__all__ = ["captchas", "simulations"]
