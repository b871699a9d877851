from django.apps import AppConfig


class LabellingConfig(AppConfig):
    name = "drcaptcha.labelling"
    label = "labelling"
