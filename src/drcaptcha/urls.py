"""Every address of the service."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/", include("drcaptcha.api.urls")),
    path("", include("drcaptcha.pages.urls")),
]
