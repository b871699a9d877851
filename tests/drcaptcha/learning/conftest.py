"""Characters that networks learn in a second, in the rows they are read from."""

import secrets
from collections.abc import Callable
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from django.core.files.base import ContentFile
from pytest_django import Settings

from drcaptcha.glyphs.models import DataSet, Glyph, Split, State
from drcaptcha.learning import examples, scoring
from drcaptcha.learning.models import Ensemble, Membership, Network
from drcaptcha.learning.snapshots import Snapshot
from handwriting.alphabet import BALANCED
from handwriting.networks.export import export
from handwriting.networks.training import Options, train

CHARACTERS = "AB1"


def bar(number: int, rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Draw the character of this number as a bar whose height tells it, with noise."""
    picture = rng.integers(0, 60, (28, 28), dtype=np.uint8)
    top = 4 + 8 * (number % len(CHARACTERS)) + rng.integers(0, 3)
    picture[top : top + 4, 5:23] = 255
    return picture, CHARACTERS[number % len(CHARACTERS)]


@pytest.fixture(autouse=True)
def _one_thread_and_a_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    torch.set_num_threads(1)
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.DRCAPTCHA_CHECKPOINTS = tmp_path / "checkpoints"
    settings.DRCAPTCHA_RUNS = tmp_path / "runs"
    if "drawn" not in request.fixturenames:  # Drawing takes longer than all else of an evaluation.
        monkeypatch.setattr(scoring, "_draw", lambda *_: None)


@pytest.fixture
def drawn() -> None:
    """Have evaluations draw their pictures."""


@pytest.fixture
def add_glyphs(db: None) -> Callable[..., None]:
    """Add glyphs whose character shows in where their bar lies."""

    def add(count: int, *, split: str = Split.TRAIN, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        data_set, _ = DataSet.objects.get_or_create(name="bars")
        glyphs = []
        for number in range(count):
            picture, character = bar(number, rng)
            content = picture.tobytes()
            digest = blake2b(content, digest_size=16).digest()
            glyphs.append(
                Glyph(
                    data_set=data_set,
                    digest=digest,
                    picture=content,
                    split=split,
                    state=State.CONTROL,
                    label=character,
                    given=character,
                    truth=character,
                )
            )
        Glyph.objects.bulk_create(glyphs)

    return add


@pytest.fixture
def material(add_glyphs: Callable[..., None]) -> None:
    """Enough glyphs to learn from and to be judged by."""
    add_glyphs(180)
    add_glyphs(60, split=Split.TEST, seed=1)


@pytest.fixture(scope="session")
def network_files() -> list[bytes]:
    """Train two networks, one better than the other, once for all tests that only use them; return their files."""
    learning = [bar(number, np.random.default_rng(number)) for number in range(180)]
    labels = np.array([BALANCED.index(character) for _, character in learning])
    files = []
    for seed in (0, 1):
        options = Options(epochs=3 - seed, batch_size=16, seed=seed, precision="float32")
        trained = train("slim", np.array([picture for picture, _ in learning]), labels, classes=47, options=options)
        with TemporaryDirectory() as folder:
            export(trained.network, Path(folder) / "network.onnx")
            files.append((Path(folder) / "network.onnx").read_bytes())
    return files


@pytest.fixture
def unjudged(material: None, network_files: list[bytes], now: datetime) -> Ensemble:
    """Two trained networks with equal weights, that learned the training glyphs of which the label is known."""
    ensemble = Ensemble.objects.create(name="bars")
    known = examples.labelled(BALANCED, Split.TRAIN)
    for number, content in enumerate(network_files):
        network = Network.objects.create(
            architecture="slim",
            classes="".join(BALANCED.classes),
            folder=secrets.token_hex(8),
            created=now,
            seconds=1.5,
            epochs=3,
            batch_size=16,
            seed=number,
            parameters=1,
            train_size=171,
            test_size=60,
            accuracy=0.5,
            onnx=ContentFile(content, "network.onnx"),
            snapshot=ContentFile(Snapshot(known.keys, known.labels.astype(np.int16), known.held).to_bytes(), "s.npz"),
            snapshot_hash=known.fingerprint(BALANCED),
            given_labels=len(known),
            known_labels=len(known),
        )
        Membership.objects.create(ensemble=ensemble, network=network, weight=0.5)
    return ensemble


@pytest.fixture
def ensemble(unjudged: Ensemble, now: datetime) -> Ensemble:
    """The same, evaluated: it is the champion."""
    scoring.evaluate(unjudged, now=now)
    return unjudged
