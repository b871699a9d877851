from django.apps import AppConfig


class SitesConfig(AppConfig):
    name = "drcaptcha.sites"
    label = "sites"
