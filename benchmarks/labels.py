"""How right labels are, how many votes they cost, and what is set aside: our rule beside the published ones.

    DRCAPTCHA_EMNIST=/path/to/emnist .venv/bin/python benchmarks/labels.py --folder results [--seeds 3] [--probes 20000]

On EMNIST Balanced: 40,000 labels are taken away and two networks learn from the rest, whose common opinion is the
prior; the truth is held apart and only measures. Every run is ``manage.py simulate`` with the same crowd for every
rule, on a copy, two at a time. What is finished lies in FOLDER/runs.jsonl and is not run again, so a run that was
broken off goes on.

Then the same fixed log of votes, so many on each glyph, is given to majority vote, Wawa, MACE and Dawid-Skene
(crowd-kit, in an environment of its own in FOLDER/oracle, with scikit-learn < 1.7) and to our estimate, with the prior
and without; each has to name every glyph. Prints tables, and draws FOLDER/labels.png and FOLDER/disagreements.png.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from importing import MANAGE

CROWDS = ("honest", "liars10", "colluders10", "bots10", "ambiguous", "colluders30", "mixed40", "onetime")
RULES = ("ours", "first", "agree3", "recaptcha", "dominance3", "majority")
THRESHOLDS = ((0.999, 3), (0.9999, 3))
"""Posterior and sources, beside the defaults, for the curve of accuracy against votes."""

ASTRAY = {
    "twice as many confusions": {"confusion": 0.10},
    "four times as many": {"confusion": 0.20},
    "slips of any kind, 5 %": {"slips": 0.05, "dazed": 1.0},
    "12 % ambiguous": {"ambiguous": 0.12},
    "one-time visitors": {"visits": 1.0},
}
"""Crowds that are not what the rule believes, all with 10 % liars."""

ORACLE = """
import json, sys
import pandas as pd
from crowdkit.aggregation import MACE, DawidSkene, MajorityVote, Wawa
log = pd.read_csv(sys.argv[1])
rules = {"majority": MajorityVote(), "Wawa": Wawa(), "MACE": MACE(n_restarts=1, n_iter=25, random_state=0),
         "Dawid-Skene": DawidSkene(n_iter=30)}
print(json.dumps({name: {int(k): int(v) for k, v in rule.fit_predict(log).items()} for name, rule in rules.items()}))
"""


@dataclass(frozen=True)
class Job:
    """One simulation: its name in the tables, and the options of the command."""

    name: str
    options: tuple[str, ...]

    @property
    def key(self) -> str:
        """What the job is known by."""
        return " ".join((self.name, *self.options))


def jobs(probes: int, seeds: int) -> Iterator[Job]:
    """Yield all runs, those that matter most first."""
    common = [("--probes", str(probes), "--seed", str(seed)) for seed in range(1, seeds + 1)]
    for options, crowd in product(common, CROWDS):
        yield Job("ours", ("--crowd", crowd, *options))
    for crowd, (accept, sources) in product(CROWDS[:-1], THRESHOLDS):
        stricter = ("--accept", str(accept), "--agreement", str(sources))
        yield Job(f"ours at {accept}", ("--crowd", crowd, *stricter, *common[0]))
    for name, nature in ASTRAY.items():
        yield Job(name, ("--crowd", "liars10", "--nature", json.dumps(nature), *common[0]))
    for options, rule, crowd in product(common, RULES[1:], CROWDS[:-1]):
        yield Job(rule, ("--crowd", crowd, "--rule", rule, *options))


def prepare(environment: dict[str, str]) -> None:
    """Make the installation, unless it is there: glyphs, 40,000 of them without a label, and a network's opinion."""
    if not (Path(environment["DRCAPTCHA_STATE"]) / "media").exists():
        for words in (
            "migrate -v0",
            "importemnist --split balanced",
            "removelabels 40000 --seed 1",
            "train --networks compact,residual-small --epochs 12 --seed 1",
        ):
            subprocess.run([sys.executable, MANAGE, *words.split()], env=environment, check=True)


def run(todo: Sequence[Job], file: Path, environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Run what has not been run, two at a time; return all outcomes by the key of their job."""
    lines = file.read_text().splitlines() if file.exists() else []
    done = {row["key"]: row for row in map(json.loads, lines)}

    def one(job: Job) -> None:
        command = [sys.executable, MANAGE, "simulate", *job.options, "--json", "-v0"]
        said = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
        row = {"key": job.key, "name": job.name} | json.loads(said)
        with file.open("a") as out:
            out.write(json.dumps(row) + "\n")
        done[job.key] = row
        share = f"{row['accuracy']:.2%} right, {row['votes_per_label']:.2f} votes a label"
        print(f"{len(done)} of {len(todo)}: {job.key}: {share}", file=sys.stderr, flush=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, [job for job in todo if job.key not in done]))
    return {job.key: done[job.key] for job in todo}


def table(outcomes: dict[str, dict[str, Any]]) -> None:
    """Print each crowd and rule: the mean over its seeds, and between which figures they lie."""
    print("\n| crowd | rule (seeds) | right | folded | votes a label | audits | set aside | open | claimed less true |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in outcomes.values():
        groups.setdefault((row["crowd"], row["name"]), []).append(row)
    order = {name: place for place, name in enumerate((*CROWDS, *RULES))}
    for (crowd, name), rows in sorted(groups.items(), key=lambda one: [order.get(part, 99) for part in one[0]]):
        probes = rows[0]["probes"]

        def mean(field: str, rows: list[dict[str, Any]] = rows) -> float:
            return float(sum(row[field] for row in rows) / len(rows))

        def spread(field: str, scale: float = 1, rows: list[dict[str, Any]] = rows) -> str:
            low, high = (scale * limit(row[field] for row in rows) for limit in (min, max))
            return f" ({low:.2f}–{high:.2f})" if len(rows) > 1 else ""

        gap = f"{100 * mean('calibration_gap'):+.2f}" if rows[0]["rule"] == "ours" else ""
        aside = (mean("disputed") + mean("unreadable")) / probes
        print(
            f"| {crowd} | {name} ({len(rows)}) | {mean('accuracy'):.2%}{spread('accuracy', 100)} "
            f"| {mean('folded_accuracy'):.2%} | {mean('votes_per_label'):.2f}{spread('votes_per_label')} "
            f"| {mean('audits') / mean('accepted'):.2f} | {aside:.1%} | {mean('open') / probes:.1%} | {gap} |"
        )


def fixed_logs(folder: Path, probes: int) -> None:
    """Give one log to all rules, so many votes on each glyph, and print how many glyphs each names rightly."""
    python = folder / "oracle/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "oracle"], check=True)
        wanted = ["crowd-kit==1.4.2", "scikit-learn<1.7"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    from fixed_log import FixedLog

    print("\n| crowd | votes a glyph | majority | Wawa | MACE | Dawid-Skene | ours, no prior | ours |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for crowd in CROWDS[:-1]:
        for votes in (1, 2, 3, 5):
            log = FixedLog.of(crowd, votes, probes, seed=1)
            said = subprocess.run(
                [python, "-c", ORACLE, log.write(folder / "log.csv")], check=True, capture_output=True, text=True
            ).stdout
            named = {rule: {int(k): v for k, v in labels.items()} for rule, labels in json.loads(said).items()}
            shares = [log.accuracy(labels) for labels in named.values()]
            shares += [log.accuracy(log.ours(prior=prior)) for prior in (False, True)]
            print(f"| {crowd} | {votes} | {' | '.join(f'{share:.2%}' for share in shares)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the installation and the results are kept")
    parser.add_argument("--probes", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=["runs", "logs", "all"], default="all")
    options = parser.parse_args()
    if not os.environ.get("DRCAPTCHA_EMNIST"):
        raise SystemExit("Set DRCAPTCHA_EMNIST to the folder of the EMNIST files.")
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    own = {"DRCAPTCHA_STATE": str(folder / "state"), "DATABASE_URL": "", "OMP_NUM_THREADS": "1"}
    environment = dict(os.environ) | own | {"DJANGO_SETTINGS_MODULE": "drcaptcha.settings"}
    os.environ |= environment
    prepare(environment)
    import django

    django.setup()
    if options.part != "logs":
        outcomes = run(list(jobs(options.probes, options.seeds)), folder / "runs.jsonl", environment)
        table(outcomes)
        from label_pictures import draw_curve, draw_disagreements

        draw_curve(outcomes, folder / "labels.png")
        draw_disagreements(outcomes, folder / "disagreements.png")
    if options.part != "runs":
        fixed_logs(folder, options.probes)


if __name__ == "__main__":
    main()
