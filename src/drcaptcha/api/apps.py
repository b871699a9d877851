from django.apps import AppConfig


class ApiConfig(AppConfig):
    name = "drcaptcha.api"
    label = "api"
