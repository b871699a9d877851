"""How the administration looks: the theme's settings, which know no rows."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse, reverse_lazy


def _link(title: str, icon: str, model: str, *, page: str = "changelist", right: str = "view") -> dict[str, Any]:
    """Return a line of the sidebar, shown to those who have the ``right`` on the ``model`` (``app.model``)."""
    app, name = model.split(".")
    permission = f"{app}.{right}_{name}"

    def permitted(request: HttpRequest) -> bool:
        return request.user.has_perm(permission)

    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{app}_{name}_{page}"),
        "permission": permitted,
    }


def _among_runs(request: HttpRequest) -> bool:
    """Tell whether the page is about runs; the page that starts one has a line of its own."""
    runs = reverse("admin:learning_run_changelist")
    return request.path.startswith(runs) and request.path != reverse("admin:learning_run_add")


def _style(request: HttpRequest) -> str:  # noqa: ARG001 - The theme calls it so.
    return static("administration/style.css")


# Ink on paper: warm greys under a blue-black ink. Each name is a lightness, as the theme numbers them.
_PAPER = {
    "50": "oklch(98.4% .004 85)",
    "100": "oklch(96.2% .006 85)",
    "200": "oklch(91.6% .009 83)",
    "300": "oklch(86.2% .011 80)",
    "400": "oklch(70.8% .014 75)",
    "500": "oklch(53.5% .014 70)",
    "600": "oklch(43.5% .013 65)",
    "700": "oklch(36.4% .012 65)",
    "800": "oklch(26.9% .010 65)",
    "900": "oklch(20.8% .008 65)",
    "950": "oklch(14.6% .006 65)",
}
_INK = {
    "50": "oklch(97% .014 255)",
    "100": "oklch(93.2% .030 256)",
    "200": "oklch(87.6% .056 256)",
    "300": "oklch(79.4% .094 257)",
    "400": "oklch(69.6% .130 258)",
    "500": "oklch(58.4% .150 260)",
    "600": "oklch(48.8% .150 262)",
    "700": "oklch(42.4% .132 263)",
    "800": "oklch(36.6% .108 263)",
    "900": "oklch(31.2% .082 262)",
    "950": "oklch(23% .056 262)",
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "DrCaptcha",
    "SITE_HEADER": "DrCaptcha",
    "SITE_SUBHEADER": "Administration",
    "SITE_SYMBOL": "draw",
    "SITE_URL": "/",
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_BACK_BUTTON": True,
    "BORDER_RADIUS": "6px",
    "COLORS": {"base": _PAPER, "primary": _INK},
    "STYLES": [_style],
    "DASHBOARD_CALLBACK": "drcaptcha.pages.dashboard.fill",
    "SIDEBAR": {
        "navigation": [
            {
                "items": [{"title": "Dashboard", "icon": "monitoring", "link": reverse_lazy("admin:index")}],
            },
            {
                "title": "Handwriting",
                "separator": True,
                "items": [
                    _link("Glyphs", "glyphs", "glyphs.glyph"),
                    _link("Data sets", "inventory_2", "glyphs.dataset"),
                ],
            },
            {
                "title": "Labels",
                "separator": True,
                "items": [
                    _link("Votes", "how_to_vote", "labelling.vote"),
                    _link("Sources", "visibility", "labelling.source"),
                    _link("Decisions", "gavel", "labelling.decision"),
                    _link("Estimates", "insights", "labelling.estimate"),
                    _link("Simulations", "science", "challenges.simulation"),
                ],
            },
            {
                "title": "Learning",
                "separator": True,
                "items": [
                    _link("Networks", "hub", "learning.network"),
                    _link("Ensembles", "groups_3", "learning.ensemble"),
                    _link("Who serves", "social_leaderboard", "learning.promotion"),
                    _link("Runs", "progress_activity", "learning.run") | {"active": _among_runs},
                    _link("Train", "model_training", "learning.run", page="add", right="add"),
                ],
            },
            {
                "title": "Challenges",
                "separator": True,
                "items": [
                    _link("Captchas", "image", "challenges.captcha"),
                    _link("Attempts", "fact_check", "challenges.attempt"),
                    _link("Sites", "language", "sites.site"),
                ],
            },
            {
                "title": "People",
                "separator": True,
                "items": [
                    _link("Users", "person", "auth.user"),
                    _link("Groups", "group", "auth.group"),
                ],
            },
        ],
    },
}
"""The settings of django-unfold."""
