"""The addresses of the script. Pages written for other services find it where theirs was."""

from django.urls import path, re_path

from drcaptcha.widget.views import part

urlpatterns = [
    re_path(r"^widget/v1/(?:(?P<asked>[0-9a-f]{12})/)?(?P<name>.+)$", part, name="widget"),
    path("recaptcha/api.js", part, {"name": "api.js"}),
    path("recaptcha/enterprise.js", part, {"name": "api.js"}),
    path("1/api.js", part, {"name": "api.js"}),
    path("turnstile/v0/api.js", part, {"name": "api.js"}),
]
