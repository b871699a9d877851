from django.apps import AppConfig


class LabellingConfig(AppConfig):
    name = "drcaptcha.labelling"
    label = "labelling"

    def ready(self) -> None:
        """Let labels follow when networks have given their opinion."""
        from drcaptcha.labelling import estimating  # noqa: PLC0415 -- Models can be imported only once apps are ready.
        from drcaptcha.learning.signals import priors_changed  # noqa: PLC0415

        priors_changed.connect(estimating.follow_priors)
