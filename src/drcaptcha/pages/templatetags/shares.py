"""How templates write a share."""

from django import template

from drcaptcha.labelling import explaining

register = template.Library()


@register.filter
def percent(share: float | None) -> str:
    """Return a share of 0 to 1 in percent, and a dash where there is none."""
    return "–" if share is None else explaining.percent(share)
