"""Glyphs, votes, sources, decisions and estimates in the administration.

Glyphs are registered here and not in ``glyphs``, because their page shows votes and decisions and moves labels.
"""

from drcaptcha.labelling.admin import glyphs, logs

__all__ = ["glyphs", "logs"]
