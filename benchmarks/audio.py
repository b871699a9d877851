"""What an audio challenge costs, and how well programs understand it.

    .venv/bin/python benchmarks/audio.py [--count 200] [--learn 700] [--language en]

Prints milliseconds of processor time to make one (median and 99th percentile), bytes, seconds and peaks, and how many
are made in a second by one thread and by four. Then programs listen to so many challenges whose digits they are told,
and answer 200 others: they cut each at its pauses and name the pieces, by the nearest of the known ones, and by a small
network (with PyTorch, the extra ``train``). They know the very engine and noise, and are no speech recognisers.
"""

import argparse
import io
import time
import wave
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from handwriting import speech

BANDS, PARTS = 24, 24
STEP = 64
LENGTH = 6
ASKED = 200
SHORTEST, BREATH = 0.12, 0.2
"""Seconds that a spoken digit lasts at the least, and a pause between two."""


def heard(audio: speech.Audio) -> tuple[np.ndarray, int]:
    """Return the samples of a sound from -1 to 1, and how many of them a second has."""
    with wave.open(io.BytesIO(audio.data)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.uint8) / 127.0 - 1, file.getframerate()


def bands(samples: np.ndarray) -> np.ndarray:
    """Return the loudness of ``BANDS`` bands, ``(frames, BANDS)``, a frame every ``STEP`` samples."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 256)[::STEP] * np.hanning(256)
    power = np.log(np.abs(np.fft.rfft(frames)) ** 2 + 1e-4)
    return np.stack([part.mean(1) for part in np.array_split(power[:, 2:100], BANDS, axis=1)], axis=1)


def cut(loudness: np.ndarray, frequency: int, count: int) -> list[tuple[int, int]]:
    """Return the first and last frame of so many spoken pieces, or none where no threshold gives that many."""
    width = int(0.06 * frequency / STEP)
    level = np.convolve(loudness.mean(1), np.ones(width) / width, "same")
    best: list[tuple[int, int]] = []
    clearest = 0.0
    for threshold in np.quantile(level, np.linspace(0.2, 0.95, 60)):
        pieces = runs(level > threshold, int(BREATH * frequency / STEP), int(SHORTEST * frequency / STEP))
        if len(pieces) != count:
            continue
        inside = np.zeros(len(level), bool)
        for first, last in pieces:
            inside[first:last] = True
        clear = level[inside].mean() - level[~inside].mean()
        if clear > clearest:
            best, clearest = pieces, clear
    return best


def runs(loud: np.ndarray, breath: int, shortest: int) -> list[tuple[int, int]]:
    """Return where it is loud for ``shortest`` frames or more, quiet of less than ``breath`` frames not counting."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], loud.astype(int), [0]])))
    found: list[tuple[int, int]] = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        if found and first - found[-1][1] < breath:
            found[-1] = (found[-1][0], int(last))
        else:
            found.append((int(first), int(last)))
    return [(first, last) for first, last in found if last - first >= shortest]


def pieces(audio: speech.Audio) -> np.ndarray | None:
    """Return what each digit sounds like, ``(LENGTH, PARTS, BANDS)``, or None where they were not found."""
    samples, frequency = heard(audio)
    loudness = bands(samples)
    places = cut(loudness, frequency, LENGTH)
    if not places:
        return None
    images = []
    for first, last in places:
        part = loudness[max(0, first - 4) : last + 4]
        at = np.linspace(0, len(part) - 1, PARTS)
        images.append(np.stack([np.interp(at, np.arange(len(part)), band) for band in part.T], axis=1))
    found = np.array(images) - np.mean(images, axis=(1, 2), keepdims=True)
    return np.asarray(found / np.std(found, axis=(1, 2), keepdims=True))


def challenges(count: int, language: str, rng: np.random.Generator) -> tuple[list[np.ndarray | None], list[str]]:
    """Return the pieces of so many challenges, and what was spoken."""
    said = ["".join(rng.choice(list(speech.ALPHABET), LENGTH)) for _ in range(count)]
    return [pieces(speech.say(text, rng, language=language)) for text in said], said


def look_up(known: np.ndarray, of: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Name each of ``asked`` as most of the five nearest of ``known`` are."""
    near = np.argsort(-(asked.reshape(len(asked), -1) @ known.reshape(len(known), -1).T), axis=1)[:, :5]
    return np.array([Counter(of[row]).most_common(1)[0][0] for row in near])


def network(known: np.ndarray, of: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Name each of ``asked`` by a small convolutional network that has learned ``known``."""
    import torch
    from torch import nn

    torch.manual_seed(1)
    torch.set_num_threads(1)
    names = np.unique(of)
    inputs = torch.tensor(known, dtype=torch.float32)[:, None]
    wanted = torch.tensor(np.searchsorted(names, of))

    def block(less: int, more: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(less, more, 3, padding=1), nn.BatchNorm2d(more), nn.ReLU(), nn.MaxPool2d(2))

    layers = nn.Sequential(block(1, 24), block(24, 48), block(48, 64), nn.Flatten(), nn.Dropout(0.4))
    layers.append(nn.Linear(64 * (PARTS // 8) * (BANDS // 8), len(names)))
    epochs, size = 15, 64
    steps = epochs * (len(inputs) // size)
    optimiser = torch.optim.AdamW(layers.parameters(), 3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(inputs))[: len(inputs) // size * size].split(size):
            shift = int(torch.randint(-2, 3, ()))
            seen = inputs[chosen].roll(shift, 2) + 0.2 * torch.randn(size, 1, PARTS, BANDS)
            loss = nn.functional.cross_entropy(layers(seen), wanted[chosen], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    layers.eval()
    with torch.no_grad():
        said = layers(torch.tensor(asked, dtype=torch.float32)[:, None])
    return np.asarray(names[said.argmax(1).numpy()])


def costs(count: int, language: str, rng: np.random.Generator) -> None:
    """Print what it costs to make one."""
    taken, made = [], []
    for _ in range(count):
        start = time.process_time()
        made.append(speech.say("".join(rng.choice(list(speech.ALPHABET), LENGTH)), rng, language=language))
        taken.append(1000 * (time.process_time() - start))
    median, worst = np.percentile(taken, [50, 99])
    size, length = np.mean([len(one.data) for one in made]), np.mean([one.seconds for one in made])
    print(f"making one: {median:.0f} ms, 99 % within {worst:.0f} ms; {size:,.0f} bytes, {length:.1f} s")
    peaks = [np.abs(heard(one)[0]).max() for one in made]
    print(
        f"peaks {min(peaks):.2f} to {max(peaks):.2f} of full scale; {len({one.data for one in made})} of {count} differ"
    )
    for threads in (1, 4):
        start = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda seed: speech.say("482073", np.random.default_rng(seed)), range(count // 2)))
        print(f"{threads} at once: {count // 2 / (time.perf_counter() - start):.1f} a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--learn", type=int, default=700)
    parser.add_argument("--language", default="en", choices=sorted(speech.LANGUAGES))
    options = parser.parse_args()
    language = options.language
    rng = np.random.default_rng(1)
    costs(options.count, language, rng)
    learned, told = challenges(options.learn, language, rng)
    known = np.concatenate([one for one in learned if one is not None])
    of = np.array([*"".join(text for one, text in zip(learned, told, strict=True) if one is not None)])
    asked, said = challenges(ASKED, language, rng)
    cuts = np.concatenate([one for one in asked if one is not None])
    wanted = np.array([*"".join(text for one, text in zip(asked, said, strict=True) if one is not None)])
    print(f"cut into {LENGTH}: {len(wanted) // LENGTH} of {ASKED}")
    for name, program in (("look-up", look_up), ("network", network)):
        tell(name, program(known, of, cuts), wanted)


def tell(name: str, typed: np.ndarray, wanted: np.ndarray) -> None:
    """Print how many digits and challenges are right, and which two digits are often taken for each other."""
    right = typed == wanted
    passed = right.reshape(-1, LENGTH).all(1).sum() / ASKED
    print(f"{name}: names {right.mean():.1%} of these digits, passes {passed:.1%} of the {ASKED} challenges")
    heard_times = Counter(wanted)
    slips = Counter(tuple(sorted(pair)) for pair in zip(wanted, typed, strict=True) if pair[0] != pair[1])
    shares = {pair: times / (heard_times[pair[0]] + heard_times[pair[1]]) for pair, times in slips.items()}
    worst = sorted(shares, key=shares.__getitem__, reverse=True)[:4]
    print(f"  takes for each other: {', '.join(f'{one}/{two} {shares[one, two]:.0%}' for one, two in worst)}")


if __name__ == "__main__":
    main()
