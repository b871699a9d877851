from django.apps import AppConfig
from django.core.checks import register


class LearningConfig(AppConfig):
    name = "drcaptcha.learning"
    label = "learning"

    def ready(self) -> None:
        """Check the settings."""
        # Models can be imported only once apps are ready.
        from drcaptcha.learning.checks import retraining_policy  # noqa: PLC0415

        register(retraining_policy)
