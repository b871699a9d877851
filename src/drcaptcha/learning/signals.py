"""What happens here that those above may want to hear of."""

from django.dispatch import Signal

priors_changed = Signal()
"""Glyphs have new priors. Sent after they were stored, with ``now``."""

shares_wanted = Signal()
"""A network is to learn from glyphs whose labels votes gave. Sent with their ``keys`` ``(n,)``, in order.

A receiver answers with how likely each class is ``(n, classes)`` and how much each glyph counts ``(n,)``.
"""
