from django.apps import AppConfig
from django.core.checks import register

from drcaptcha.sites.checks import test_keys


class SitesConfig(AppConfig):
    name = "drcaptcha.sites"
    label = "sites"

    def ready(self) -> None:
        """Check the settings."""
        register(test_keys)
