from django.apps import AppConfig


class GlyphsConfig(AppConfig):
    name = "drcaptcha.glyphs"
    label = "glyphs"
