"""Audio challenges, listened to by measuring."""

import io
import subprocess
import sys
import wave
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from handwriting import speech
from handwriting.speech.engine import speak


def heard(audio: speech.Audio) -> tuple[np.ndarray, int]:
    with wave.open(io.BytesIO(audio.data)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 1)
        samples = np.frombuffer(file.readframes(file.getnframes()), np.uint8).astype(float)
        return (samples - 128) / 127, file.getframerate()


def test_every_language_says_every_character() -> None:
    for language in speech.LANGUAGES:
        lengths = []
        for character in speech.ALPHABET:
            samples, frequency = speak(character, language=language, voice="m1", rate=130, pitch=50)
            assert np.abs(samples).max() > 0.1, (language, character)
            lengths.append(len(samples) / frequency)
        assert min(lengths) > 0.1
        assert max(lengths) < 2


def test_a_challenge_is_loud_enough_and_neither_clipped_nor_silent() -> None:
    rng = np.random.default_rng(1)
    for _ in range(10):
        audio = speech.say("482073", rng)
        samples, frequency = heard(audio)
        assert 4 < audio.seconds < 12
        assert len(samples) / frequency == pytest.approx(audio.seconds, abs=0.01)
        assert 0.85 < np.abs(samples).max() <= 0.92
        assert np.mean(np.abs(samples) > 0.89) < 0.001
        assert abs(samples.mean()) < 0.01
        tenths = samples[: len(samples) // 10 * 10].reshape(10, -1)
        assert np.sqrt(np.square(tenths).mean(1)).min() > 0.01, "something is heard all the time"


def test_no_two_are_alike() -> None:
    rng = np.random.default_rng(1)
    sounds = [heard(speech.say("7777", rng))[0] for _ in range(6)]
    for first, one in enumerate(sounds):
        for other in sounds[first + 1 :]:
            length = min(len(one), len(other))
            together = np.fft.irfft(np.fft.rfft(one, 2 * length) * np.conj(np.fft.rfft(other, 2 * length)))
            likeness = np.abs(together).max() / (np.linalg.norm(one) * np.linalg.norm(other))
            assert likeness < 0.5


def test_several_threads_speak_in_turn() -> None:
    def spoken(place: int) -> int:
        return len(speak("57"[place % 2], language="en", voice="f1", rate=120, pitch=50)[0])

    alone = [spoken(place) for place in range(2)]
    with ThreadPoolExecutor(8) as pool:
        for place, length in enumerate(pool.map(spoken, range(64))):
            assert length == pytest.approx(alone[place % 2], rel=0.05)


STARTING = """
from threading import Barrier, Thread
from handwriting import speech
from handwriting.speech.engine import speak

heard, barrier = [], Barrier(8)

def begin(place):
    barrier.wait()
    assert speech.available()
    heard.append(len(speak("5", language="en", voice="m1", rate=120, pitch=50)[0]))

threads = [Thread(target=begin, args=(place,)) for place in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(min(heard), len(heard))
"""


def test_several_threads_start_it_at_once() -> None:
    """In a process of its own: where it goes wrong the process crashes."""
    run = subprocess.run([sys.executable, "-c", STARTING], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    shortest, count = map(int, run.stdout.split())
    assert shortest > 1000
    assert count == 8


def test_a_language_that_is_not_spoken_is_refused() -> None:
    with pytest.raises(KeyError):
        speech.say("1", np.random.default_rng(1), language="tlh")
