"""The addresses that programs call."""

from django.urls import path

from drcaptcha.api.views import api

urlpatterns = [path("", api.urls)]
