from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "drcaptcha.pages"
    label = "pages"
