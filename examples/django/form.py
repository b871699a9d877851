"""A form in Django, protected by DrCaptcha; the whole project in one file.

    pip install django && python examples/django/form.py

DRCAPTCHA_URL, DRCAPTCHA_SITEKEY and DRCAPTCHA_SECRET say which DrCaptcha and which site; without them it is one on this
machine and the test keys, with which anybody passes. ``CaptchaField`` is all that a project of yours would take over.
"""

import json
import os
import secrets
import sys
from urllib.parse import urlencode
from urllib.request import urlopen

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management import execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import get_token
from django.template import Context, Template
from django.urls import path
from django.utils.html import format_html
from django.utils.safestring import SafeString

settings.configure(
    SECRET_KEY=secrets.token_urlsafe(48),
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    DRCAPTCHA_URL=os.environ.get("DRCAPTCHA_URL", "http://127.0.0.1:8000"),
    DRCAPTCHA_SITEKEY=os.environ.get("DRCAPTCHA_SITEKEY", "test-passes"),
    DRCAPTCHA_SECRET=os.environ.get("DRCAPTCHA_SECRET", "test-secret-passes"),
)


class CaptchaWidget(forms.Widget):
    """The element; its response arrives under the name that it always has."""

    class Media:
        js = (f"{settings.DRCAPTCHA_URL}/widget/v1/api.js",)

    def render(self, name: str, value: object, attrs: object = None, renderer: object = None) -> SafeString:
        """Return the element."""
        return format_html('<dr-captcha sitekey="{}" required></dr-captcha>', settings.DRCAPTCHA_SITEKEY)

    def value_from_datadict(self, data: dict[str, str], files: object, name: str) -> str:
        """Return the response."""
        return data.get("drcaptcha-response", "")


class CaptchaField(forms.CharField):
    """A field that is valid when DrCaptcha says that its response was earned on this site."""

    widget = CaptchaWidget
    default_error_messages = {"required": "Please show that you are human.", "refused": "Please show it once more."}

    def validate(self, value: str) -> None:
        """Redeem the response; that works once."""
        super().validate(value)
        fields = urlencode({"secret": settings.DRCAPTCHA_SECRET, "response": value}).encode()
        try:
            with urlopen(f"{settings.DRCAPTCHA_URL}/hcaptcha/siteverify", fields, timeout=10) as answer:  # noqa: S310
                passed = json.load(answer)["success"]
        except OSError:  # While it can't be reached, nobody passes.
            passed = False
        if not passed:
            raise ValidationError(self.error_messages["refused"], code="refused")


class Letter(forms.Form):
    """What a visitor writes to us."""

    name = forms.CharField(label="Your name")
    captcha = CaptchaField(label="")


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Write to us</title>
{{ form.media }}
<main>
  <h1>Write to us</h1>
  <p role="status">{{ said }}</p>
  <form method="post">{% csrf_token %}{{ form.as_p }}<p><button>Send</button></p></form>
</main>
</html>"""


def write(request: HttpRequest) -> HttpResponse:
    """Show the form, and take it if a person has sent it."""
    form = Letter(request.POST or None)
    said = f"Thank you, {form.cleaned_data['name']}." if form.is_valid() else ""
    context = {"form": Letter() if said else form, "said": said, "csrf_token": get_token(request)}
    return HttpResponse(Template(PAGE).render(Context(context)))


urlpatterns = [path("", write)]

if __name__ == "__main__":
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", os.environ.get("PORT", "8003")])
