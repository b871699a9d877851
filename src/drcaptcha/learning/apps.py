from django.apps import AppConfig
from django.core.checks import register
from django.db.models.signals import post_delete, pre_delete


class LearningConfig(AppConfig):
    name = "drcaptcha.learning"
    label = "learning"

    def ready(self) -> None:
        """Check the settings, and what is deleted: whether it may be, and that its files go with it."""
        # Models can be imported only once apps are ready.
        from drcaptcha.learning import deleting  # noqa: PLC0415
        from drcaptcha.learning.checks import retraining_policy  # noqa: PLC0415
        from drcaptcha.learning.models import Ensemble, Evaluation, Network  # noqa: PLC0415

        register(retraining_policy)
        pre_delete.connect(deleting.hold, sender=Ensemble)
        pre_delete.connect(deleting.hold, sender=Network)
        post_delete.connect(deleting.remove_folder, sender=Network)
        post_delete.connect(deleting.remove_pictures, sender=Evaluation)
