"""What happens here that those above may want to hear of."""

from django.dispatch import Signal

priors_changed = Signal()
"""Glyphs have new priors. Sent after they were stored, with ``now``."""
