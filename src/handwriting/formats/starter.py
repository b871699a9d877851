"""Where the starter set lies: glyphs made from typefaces, so that everything runs without a download."""

from pathlib import Path

FOLDER = Path(__file__).with_name("starter")
"""The folder of the starter set, in EMNIST's own files: split ``starter``, parts ``train`` and ``test``.

The classes are those of EMNIST Balanced. ``script/make-starter`` makes it; CREDITS.md beside the files names the
typefaces and their licences.
"""
