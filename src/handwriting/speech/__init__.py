"""Characters as sound: what somebody who can't see is asked to type."""

from handwriting.speech.challenge import ALPHABET, Audio, say
from handwriting.speech.engine import LANGUAGES, available

__all__ = ["ALPHABET", "LANGUAGES", "Audio", "available", "say"]
