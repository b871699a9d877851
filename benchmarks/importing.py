"""How long an import takes and how much memory, on the 104,690 glyphs of a ByClass split.

    DRCAPTCHA_EMNIST=/path/to/emnist .venv/bin/python benchmarks/importing.py [--split byclass] [--runs 3]

Runs the command as an administrator would, in a process of its own, on an empty SQLite installation: with every glyph
new, and again with none. Beside it the same glyphs through Django's bulk_create. Prints the best of the runs in seconds
of the wall clock, the processor seconds of that run, and the peak of resident memory.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

MANAGE = str(Path(__file__).parents[1] / "manage.py")


class Cost(NamedTuple):
    """Wall-clock seconds, processor seconds, MiB at the most."""

    seconds: float
    processor: float
    memory: float


@contextmanager
def empty_installation() -> Iterator[dict[str, str]]:
    """Yield the environment of an installation without glyphs; each has a process of its own, so many can follow."""
    with tempfile.TemporaryDirectory(prefix="drcaptcha-benchmark-") as state:
        own = {"DRCAPTCHA_STATE": state, "DJANGO_SETTINGS_MODULE": "drcaptcha.settings", "DATABASE_URL": ""}
        environment = os.environ | own
        subprocess.run([sys.executable, MANAGE, "migrate", "--verbosity", "0"], env=environment, check=True)
        yield environment


def measure(command: list[str], environment: dict[str, str]) -> Cost:
    """Run a command to its end."""
    start = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed: run it by hand to see why.")
    # Linux counts in KiB, macOS in bytes.
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return Cost(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit)


def import_through_bulk_create(split: str) -> None:
    """Do what importemnist does the way Django's manual shows."""
    import django

    django.setup()
    from drcaptcha.glyphs.importing import BATCH
    from drcaptcha.glyphs.models import DataSet, Glyph, State
    from handwriting.formats.emnist import open_files
    from handwriting.formats.labels import digest

    data_set = DataSet.objects.create(name="peer")
    for chunk in open_files(Path(os.environ["DRCAPTCHA_EMNIST"]), split).chunks(BATCH):
        pictures = [image.tobytes() for image in chunk.images]
        Glyph.objects.bulk_create(
            [
                Glyph(
                    data_set=data_set,
                    digest=digest(picture),
                    picture=picture,
                    split=chunk.part,
                    state=State.CONTROL,
                    label=label,
                    truth=label,
                )
                for picture, label in zip(pictures, chunk.labels.tolist(), strict=True)
            ],
            ignore_conflicts=True,
        )


def one_run(split: str) -> dict[str, Cost]:
    """Measure each way once; every first import meets an empty database."""
    command = [sys.executable, MANAGE, "importemnist", "--split", split]
    with empty_installation() as environment:
        fresh, again = measure(command, environment), measure(command, environment)
    with empty_installation() as environment:
        peer = measure([sys.executable, __file__, "--split", split, "--peer"], environment)
    return {"importemnist": fresh, "importemnist again": again, "bulk_create": peer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", default="byclass")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not os.environ.get("DRCAPTCHA_EMNIST"):
        raise SystemExit("Set DRCAPTCHA_EMNIST to the folder of the EMNIST files.")
    if options.peer:
        import_through_bulk_create(options.split)
        return
    runs = [one_run(options.split) for _ in range(options.runs)]
    print(f"| {options.split} | seconds | processor seconds | peak MiB |")
    print("| --- | ---: | ---: | ---: |")
    for name in runs[0]:
        best = min(run[name] for run in runs)
        print(f"| {name} | {best.seconds:.1f} | {best.processor:.1f} | {best.memory:.0f} |")


if __name__ == "__main__":
    main()
