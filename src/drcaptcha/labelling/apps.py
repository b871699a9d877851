from django.apps import AppConfig
from django.db.models.signals import post_delete


class LabellingConfig(AppConfig):
    name = "drcaptcha.labelling"
    label = "labelling"

    def ready(self) -> None:
        """Let labels follow what happens in the rooms below."""
        # Models can be imported only once apps are ready.
        from drcaptcha.glyphs.signals import labels_removed  # noqa: PLC0415
        from drcaptcha.labelling import deciding, estimating, tasks, weighing  # noqa: PLC0415
        from drcaptcha.learning.models import Ensemble  # noqa: PLC0415
        from drcaptcha.learning.signals import priors_changed, shares_wanted  # noqa: PLC0415

        priors_changed.connect(estimating.follow_priors)
        shares_wanted.connect(weighing.soft_labels)
        labels_removed.connect(deciding.note_removal)
        post_delete.connect(tasks.follow_deletion, sender=Ensemble)
