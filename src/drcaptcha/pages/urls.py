"""The pages that people read."""

from django.urls import path

from drcaptcha.pages import views
from drcaptcha.pages.plain import plain

urlpatterns = [
    path("", views.home, name="home"),
    path("methodology", views.methodology, name="methodology"),
    path("test-captcha", views.test_captcha, name="test-captcha"),
    path("challenge/<slug:sitekey>", plain, name="plain"),
    path("canvas", views.canvas, name="canvas"),
    path("api-docs", views.api_docs, name="api-docs"),
    path("favicon.ico", views.favicon),
]
