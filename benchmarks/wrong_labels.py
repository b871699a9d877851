"""How many of the wrong labels that an import brings are found, by visitors who fail such controls.

    DRCAPTCHA_EMNIST=/path/to/emnist .venv/bin/python benchmarks/wrong_labels.py --folder results [--share 0.02]

On the installation that ``benchmarks/labels.py`` has made in FOLDER, or makes: in a copy of it so many of the given
labels are changed, half of them to any other character, half by how readily people mix the two up. Then crowds answer,
as in ``manage.py simulate``, about 20,000 glyphs between 8,000 controls, some ten times each. Prints for each crowd how
many of the wrong labels were set aside, and how many right ones with them.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
from importing import MANAGE
from labels import prepare

from handwriting.alphabet import BALANCED
from handwriting.consensus.reading import Reading

CROWDS = ("honest", "liars10", "colluders10", "colluders30", "mixed40")


def spoil(database: Path, share: float, seed: int) -> None:
    """Give a share of the labels that were given to other characters."""
    rng = np.random.default_rng(seed)
    near = Reading.initial(BALANCED).affinity
    with closing(sqlite3.connect(database)) as copy, copy:
        rows = copy.execute("SELECT id, truth FROM glyphs_glyph WHERE split = 'train' AND state = 'control'").fetchall()
        for key, truth in rows:
            if rng.random() < share:
                own = BALANCED.index(truth)
                odds = near[own] if rng.random() < 0.5 else np.ones(len(BALANCED))
                odds[own] = 0
                wrong = BALANCED.classes[rng.choice(len(BALANCED), p=odds / odds.sum())]
                copy.execute("UPDATE glyphs_glyph SET label = ?, given = ? WHERE id = ?", (wrong, wrong, key))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--share", type=float, default=0.02)
    parser.add_argument("--probes", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    original = options.folder.absolute() / "state"
    own = {"DATABASE_URL": "", "OMP_NUM_THREADS": "1", "DJANGO_SETTINGS_MODULE": "drcaptcha.settings"}
    environment = dict(os.environ) | own | {"DRCAPTCHA_STATE": str(original)}
    prepare(environment)
    with tempfile.TemporaryDirectory(prefix="drcaptcha-benchmark-") as folder:
        shutil.copytree(original, folder, dirs_exist_ok=True)
        spoil(Path(folder) / "drcaptcha.sqlite3", options.share, options.seed)
        print("| crowd | wrong labels | found | right ones set aside, of | labels from votes right |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for crowd in CROWDS:
            words = ["simulate", "--crowd", crowd, "--probes", options.probes, "--seed", options.seed, "--json", "-v0"]
            command = [sys.executable, MANAGE, *map(str, words)]
            said = subprocess.run(
                command, env=environment | {"DRCAPTCHA_STATE": folder}, check=True, capture_output=True, text=True
            ).stdout
            row = json.loads(said)
            wrong, found, lost = (row[name] for name in ("mislabelled", "mislabelled_found", "rightly_labelled_lost"))
            print(
                f"| {crowd} | {wrong} | {found} ({found / max(wrong, 1):.0%}) | {lost} of {8_000 - wrong:,} "
                f"| {row['accuracy']:.2%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
