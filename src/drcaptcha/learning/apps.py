from django.apps import AppConfig


class LearningConfig(AppConfig):
    name = "drcaptcha.learning"
    label = "learning"
