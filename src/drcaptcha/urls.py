"""Every address of the service."""

from django.contrib import admin
from django.urls import include, path

from drcaptcha.api.siteverify import DIALECTS, siteverify

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("drcaptcha.api.urls")),
    *(path(at, siteverify, {"dialect": dialect}, dialect.url_name) for at, dialect in DIALECTS.items()),
    path("", include("drcaptcha.widget.urls")),
    path("", include("drcaptcha.pages.urls")),
]
