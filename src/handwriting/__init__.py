"""Handwritten characters as arrays: read, prepared, rendered, learned and recognised.

A *glyph* is a ``uint8`` array of shape ``(28, 28)``, upright, with bright ink (255) on a dark ground (0), as in EMNIST.
A batch of them has shape ``(n, 28, 28)``. Nothing in this package knows Django.
"""
