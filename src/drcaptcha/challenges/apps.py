from django.apps import AppConfig


class ChallengesConfig(AppConfig):
    name = "drcaptcha.challenges"
    label = "challenges"
