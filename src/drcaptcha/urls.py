"""Every address of the service."""

from django.contrib import admin
from django.urls import include, path

from drcaptcha.api.siteverify import DIALECTS, siteverify

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("drcaptcha.api.urls")),
    *(path(address, siteverify, {"dialect": dialect}) for address, dialect in DIALECTS.items()),
    path("", include("drcaptcha.pages.urls")),
]
