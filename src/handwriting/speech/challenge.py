"""Characters spoken over noise, each time another voice and another noise."""

import io
import wave
from dataclasses import dataclass

import numpy as np

from handwriting.speech.engine import VOICES, Samples, speak

ALPHABET = "0123456789"
"""Digits: everybody can tell them apart by ear, and type them. Letters sound alike (b, d, e, p, t)."""

FREQUENCY = 11_025
"""Samples a second that are sent: speech is understood up to 4 kHz."""

PEAK = 0.9
SPEECH_OVER_BABBLE, SPEECH_OVER_HISS = 9.0, 14.0
"""Decibels by which the speech is louder than voices that speak backwards, and than hiss."""


@dataclass(frozen=True)
class Audio:
    """A sound as a WAV file (8 bits, one channel), and how long it is."""

    data: bytes
    seconds: float
    media_type: str = "audio/wav"


def say(characters: str, rng: np.random.Generator, *, language: str = "en") -> Audio:
    """Return the characters of ``ALPHABET`` spoken one by one, with noise.

    Each has a voice, pace and pitch of its own and comes after a pause of its own. Below them voices speak other
    characters backwards, and something hisses, both made anew. The engine adds chance of its own, so that a seed does
    not repeat a sound exactly. Raises KeyError for a language that is not among ``LANGUAGES``.
    """
    speech = _line([(_said(one, language, rng), rng.uniform(0.35, 0.8)) for one in characters])
    murmur = [
        (_said(str(rng.choice(list(ALPHABET))), language, rng)[::-1], rng.uniform(0, 0.15)) for _ in characters * 2
    ]
    babble = _fitted(_line(murmur), len(speech), rng) + _fitted(_line(murmur[::-1]), len(speech), rng)
    loudness = _loudness(speech)
    mixed = (
        speech
        + babble * loudness / _loudness(babble) / 10 ** (SPEECH_OVER_BABBLE / 20)
        + _hiss(len(speech), rng) * loudness / 10 ** (SPEECH_OVER_HISS / 20)
    )
    return Audio(_wav(mixed * PEAK / np.abs(mixed).max()), len(speech) / FREQUENCY)


def _said(character: str, language: str, rng: np.random.Generator) -> Samples:
    """Return one character in a voice of its own, at the frequency that is sent and at a common loudness."""
    samples, frequency = speak(
        character,
        language=language,
        voice=str(rng.choice(VOICES)),
        rate=int(rng.integers(105, 150)),
        pitch=int(rng.integers(25, 75)),
    )
    heard = np.flatnonzero(np.abs(samples) > 0.01)
    samples = samples[heard[0] : heard[-1] + 1] if len(heard) else samples
    slower = _resampled(samples, frequency * rng.uniform(0.93, 1.07))
    even: Samples = slower * np.float32(10 ** (rng.uniform(-2, 2) / 20) / _loudness(slower))
    return even


def _resampled(samples: Samples, frequency: float) -> Samples:
    """Return samples at ``FREQUENCY``, without what is too high for it."""
    step = frequency / FREQUENCY
    reach = np.arange(-16, 17)
    kernel = np.sinc(reach / step) * np.hanning(len(reach))
    smooth = np.convolve(samples, kernel / kernel.sum(), "same")
    places = np.arange(0, len(samples) - 1, step)
    found: Samples = np.interp(places, np.arange(len(samples)), smooth).astype(np.float32)
    return found


def _line(parts: list[tuple[Samples, float]]) -> Samples:
    """Return sounds one after the other, each after so many seconds of silence."""
    pieces = [piece for sound, pause in parts for piece in (np.zeros(int(pause * FREQUENCY), np.float32), sound)]
    return np.concatenate([*pieces, np.zeros(FREQUENCY // 3, np.float32)])


def _fitted(samples: Samples, length: int, rng: np.random.Generator) -> Samples:
    """Return so many samples, from a random place on, round and round."""
    turned: Samples = np.roll(np.resize(samples, length), int(rng.integers(length)))
    return turned


def _hiss(length: int, rng: np.random.Generator) -> Samples:
    """Return noise of loudness 1 whose power falls with frequency as somewhere between white and red."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum /= np.maximum(np.arange(len(spectrum)), 50) ** rng.uniform(0.2, 0.8)
    noise = np.fft.irfft(spectrum, length).astype(np.float32)
    return noise / np.float32(_loudness(noise))


def _loudness(samples: Samples) -> float:
    """Return the root mean square of what is not silence."""
    loud = samples[np.abs(samples) > 1e-4]
    return float(np.sqrt(np.mean(np.square(loud)))) if len(loud) else 1.0


def _wav(samples: Samples) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(FREQUENCY)
        file.writeframes((128 + 127 * samples).round().clip(0, 255).astype(np.uint8).tobytes())
    return buffer.getvalue()
