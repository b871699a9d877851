"""What an audio challenge costs, and how well a simple program understands it.

    .venv/bin/python benchmarks/audio.py [--count 200] [--learn 4000]

Prints milliseconds of processor time to make one (median and 99th percentile), bytes and seconds. Then a program hears
so many spoken digits that it is told, each cut out where it was put, and names others by the nearest (by loudness
in 24 bands and 16 parts of its time). It knows the very engine and noise; it is no speech recogniser.
"""

import argparse
import io
import time
import wave

import numpy as np

from handwriting import speech

BANDS, PARTS = 24, 16


def features(samples: np.ndarray) -> np.ndarray:
    """Return loudness by band and time, ``(BANDS * PARTS,)``, of length 1 and without its mean."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 256)[::64] * np.hanning(256)
    power = np.log(np.abs(np.fft.rfft(frames)) ** 2 + 1e-6)
    bands = np.stack([part.mean(1) for part in np.array_split(power[:, 2:100], BANDS, axis=1)], axis=1)
    image = np.stack([part.mean(0) for part in np.array_split(bands, PARTS)])
    image -= image.mean(0)
    return (image / np.linalg.norm(image)).ravel()


def digits(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the features of so many digits, each spoken alone over the noise of a challenge, and which they are."""
    said = rng.integers(0, 10, count)
    heard = []
    for one in said:
        with wave.open(io.BytesIO(speech.say(str(one), rng).data)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), np.uint8) / 127.0 - 1
        # A challenge of one digit begins with its pause and ends with a third of a second without speech.
        heard.append(features(samples[int(0.35 * 11_025) : -11_025 // 3]))
    return np.array(heard), said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--learn", type=int, default=4000)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    taken, made = [], []
    for _ in range(options.count):
        start = time.process_time()
        made.append(speech.say("".join(map(str, rng.integers(0, 10, 6))), rng))
        taken.append(1000 * (time.process_time() - start))
    median, worst = np.percentile(taken, [50, 99])
    size, length = (np.mean([getter(one) for one in made]) for getter in (lambda a: len(a.data), lambda a: a.seconds))
    print(f"making one: {median:.0f} ms, 99 % within {worst:.0f} ms; {size:,.0f} bytes, {length:.1f} s")
    known, of = digits(options.learn, rng)
    heard, said = digits(500, rng)
    right = (of[(heard @ known.T).argmax(1)] == said).mean()
    print(f"a look-up among {options.learn:,} digits names {right:.1%} of 500, and so {right**6:.1%} of six in a row")


if __name__ == "__main__":
    main()
