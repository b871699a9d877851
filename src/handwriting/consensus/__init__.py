"""From votes to labels."""

from handwriting.consensus.agreement import agreement

__all__ = ["agreement"]
