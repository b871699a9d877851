"""eSpeak NG by its C interface (speak_lib.h), where the package ``espeakng-loader`` has brought it.

It is under the GPL, version 3 or later, so it is no part of what is required. It has one state for the whole process:
one thread speaks at a time.
"""

import ctypes
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]

LANGUAGES = {
    **{code: code for code in ("ar", "cs", "da", "de", "en", "es", "fa", "fi", "fr", "he", "it", "ja", "ko")},
    **{code: code for code in ("nl", "pl", "pt", "ru", "sv", "tr", "uk")},
    "zh": "cmn",
}
"""Languages in which characters are spoken, with eSpeak's name for each."""

VOICES = ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "f1", "f2", "f3", "f4", "f5")
"""Variants of each voice: men's and women's."""

_SYNCHRONOUS, _NO_EXIT, _CHARACTERS, _UTF8, _RATE, _PITCH = 2, 1 << 15, 1, 1, 1, 3
_lock, _start = Lock(), Lock()


def available() -> bool:
    """Return whether the engine is installed."""
    with _start:
        return _available()


@cache
def _available() -> bool:
    try:
        _engine()
    except (ImportError, OSError):
        return False
    return True


def speak(text: str, *, language: str, voice: str, rate: int, pitch: int) -> tuple[Samples, int]:
    """Return ``text`` as sound, ``(n,)`` from -1 to 1, and how many samples a second has.

    ``voice`` is one of ``VOICES``, ``rate`` in words a minute, ``pitch`` from 0 to 99. Raises KeyError for a language
    that there is none of.
    """
    name = f"{LANGUAGES[language]}+{voice}"
    with _start:
        library, heard, frequency = _engine()
    with _lock:
        heard.clear()
        library.espeak_SetVoiceByName(name.encode())
        library.espeak_SetParameter(_RATE, rate, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        said = text.encode()
        library.espeak_Synth(said, len(said) + 1, 0, _CHARACTERS, 0, _UTF8, None, None)
        samples = np.concatenate([np.zeros(0, np.int16), *heard])
    return samples.astype(np.float32) / np.float32(32768), frequency


@cache
def _engine() -> tuple[Any, list[NDArray[np.int16]], int]:
    """Return the library, the list into which it speaks, and its samples a second.

    Started by two threads at once it crashes the process, so whoever calls this holds ``_start``.

    Raises:
        ImportError, OSError: it is not installed, or does not load.
    """
    import espeakng_loader  # noqa: PLC0415 -- An extra.

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    frequency = library.espeak_Initialize(_SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), _NO_EXIT)
    if frequency <= 0:
        raise OSError("eSpeak NG does not start.")
    heard: list[NDArray[np.int16]] = []

    def hear(samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    callback = _CALLBACK(hear)
    _callbacks.append(callback)
    library.espeak_SetSynthCallback(callback)
    return library, heard, frequency


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
_callbacks: list[Any] = []
"""Kept for as long as the library may call them."""
