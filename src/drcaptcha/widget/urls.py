"""The addresses of the script. Pages written for other services find it where theirs was."""

from django.urls import path

from drcaptcha.widget.views import part

urlpatterns = [
    path("widget/v1/<path:name>", part, name="widget"),
    path("recaptcha/api.js", part, {"name": "api.js"}),
    path("recaptcha/enterprise.js", part, {"name": "api.js"}),
    path("1/api.js", part, {"name": "api.js"}),
    path("turnstile/v0/api.js", part, {"name": "api.js"}),
]
