from django.apps import AppConfig
from django.core.checks import register
from django.db.models.signals import post_delete


class LearningConfig(AppConfig):
    name = "drcaptcha.learning"
    label = "learning"

    def ready(self) -> None:
        """Check the settings, and follow when the ensemble that serves is deleted."""
        # Models can be imported only once apps are ready.
        from drcaptcha.learning import tasks  # noqa: PLC0415
        from drcaptcha.learning.checks import retraining_policy  # noqa: PLC0415
        from drcaptcha.learning.models import Ensemble  # noqa: PLC0415

        register(retraining_policy)
        post_delete.connect(tasks.follow_deletion, sender=Ensemble)
