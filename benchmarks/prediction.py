"""What an ensemble costs the web process: memory, and time for one glyph and for many.

    .venv/bin/python benchmarks/prediction.py [--rounds 300] [--networks nn,dnn,cnn1,cnn2]

The web process is measured after it has loaded the whole project and predicted for a while, with the networks as they
are served (8-bit) and, beside them, as they were trained (32-bit floats). Weights are random: time and memory do not
depend on them. Prints the resident memory before and after in MiB, p50 and p95 of one prediction in milliseconds on one
thread, first of the networks alone, then with the queries that find the best ensemble, and how many glyphs one network
scores in a core-second when there are many.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

FORMS = ("int8", "float32")


def resident() -> float:
    """Return this process's resident memory in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def prepare(names: list[str], form: str) -> None:
    """Make an installation with an ensemble. In a process of its own: the one that is measured never sees PyTorch."""
    import torch
    from django.core.files.base import ContentFile
    from django.core.management import call_command
    from django.utils import timezone

    from drcaptcha.learning import promoting
    from drcaptcha.learning.models import Ensemble, Evaluation, Membership, Network
    from handwriting.alphabet import BALANCED
    from handwriting.networks.architectures import ARCHITECTURES
    from handwriting.networks.export import export, quantise

    call_command("migrate", verbosity=0)
    now, ensemble = timezone.now(), Ensemble.objects.create(name="benchmark")
    known = dict.fromkeys(("seconds", "epochs", "batch_size", "seed", "parameters", "train_size", "test_size"), 1)
    glyphs = np.random.default_rng(0).integers(0, 256, (64, 28, 28), dtype=np.uint8)
    torch.manual_seed(0)
    for number, name in enumerate(names):
        with TemporaryDirectory() as folder:
            path = {form: Path(folder) / f"{form}.onnx" for form in FORMS}
            export(ARCHITECTURES[name](47).eval(), path["float32"])
            quantise(path["float32"], path["int8"], glyphs)
            content = ContentFile(path[form].read_bytes(), "network.onnx")
        network = Network.objects.create(
            architecture=name,
            classes="".join(BALANCED.classes),
            folder=f"{number}-{name}",
            created=now,
            accuracy=1,
            onnx=content,
            **known,
        )
        Membership.objects.create(ensemble=ensemble, network=network, weight=1)
    weights = {str(member.network_id): member.weight for member in ensemble.memberships.all()}
    judged = Evaluation.objects.create(
        ensemble=ensemble, created=now, accuracy=1, test_size=1, weights=weights, seconds=1, temperature=1.1
    )
    promoting.promote(judged, reason="to be measured", now=now)


def measure(rounds: int) -> dict[str, float]:
    """Serve the ensemble from this process as the web does, with every view loaded."""
    from django.urls import get_resolver

    from drcaptcha.learning import predicting, registry
    from drcaptcha.wsgi import application  # noqa: F401

    _ = get_resolver().url_patterns
    champion = registry.champion()
    if champion is None:
        raise SystemExit("This installation has no ensemble: run train first.")
    before = resident()
    glyphs = np.random.default_rng(1).integers(0, 256, (rounds, 28, 28), dtype=np.uint8)
    committee = registry.committee(champion)
    alone = times(lambda glyph: committee.probabilities(glyph[np.newaxis]), glyphs)
    whole = times(lambda glyph: predicting.serving().guess(glyph[np.newaxis]), glyphs)
    many = np.tile(glyphs, (-(-4096 // rounds), 1, 1))
    start = time.process_time()
    committee.probabilities(many)
    return {
        "scored": len(many) * len(committee.members) / (time.process_time() - start),
        "before": before,
        "after": resident(),
        **{f"alone_{p}": float(np.percentile(alone, p)) for p in (50, 95)},
        **{f"whole_{p}": float(np.percentile(whole, p)) for p in (50, 95)},
    }


def times(predict: Callable[[NDArray[np.uint8]], object], glyphs: NDArray[np.uint8]) -> list[float]:
    """Return milliseconds for each glyph, after a few that warm up."""
    for glyph in glyphs[:10]:
        predict(glyph)
    found = []
    for glyph in glyphs:
        start = time.perf_counter()
        predict(glyph)
        found.append((time.perf_counter() - start) * 1000)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--networks", default="nn,dnn,cnn1,cnn2")
    parser.add_argument("--step", choices=("measure", *FORMS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step is None:
        compare()
        return
    import django

    django.setup()
    if options.step == "measure":
        print(json.dumps(measure(options.rounds)))
    else:
        prepare(options.networks.split(","), options.step)


def compare() -> None:
    """Measure each form in a fresh process and print the table."""
    print("| form | MiB before | MiB after | networks p50, p95 ms | with queries p50, p95 ms | glyphs a core-second |")
    print("|---|---|---|---|---|---|")
    for form in FORMS:
        with TemporaryDirectory() as state:
            surroundings = {
                "DRCAPTCHA_STATE": state,
                "DJANGO_SETTINGS_MODULE": "drcaptcha.settings",
                "DATABASE_URL": "",
            }
            command = [sys.executable, "-W", "ignore", *sys.argv]
            for step in (form, "measure"):
                done = subprocess.run(
                    [*command, "--step", step],
                    env=os.environ | surroundings,
                    check=True,
                    stdout=subprocess.PIPE,
                    text=True,
                )
        found = json.loads(done.stdout)
        alone = f"{found['alone_50']:.2f}, {found['alone_95']:.2f}"
        whole = f"{found['whole_50']:.2f}, {found['whole_95']:.2f}"
        memory = f"{found['before']:.0f} | {found['after']:.0f}"
        print(f"| {form} | {memory} | {alone} | {whole} | {found['scored']:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
