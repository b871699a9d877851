"""What happens here that those above may want to hear of."""

from django.dispatch import Signal

labels_removed = Signal()
"""Controls lose their labels. Sent with ``labels``, by key as they were, and ``now``."""
