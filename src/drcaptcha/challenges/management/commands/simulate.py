"""Simulates visitors."""

import json
import os
from argparse import SUPPRESS, ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from tqdm import tqdm

from drcaptcha.challenges import simulating
from drcaptcha.challenges.rehearsing import MARK, Rehearsal, rehearse
from drcaptcha.challenges.simulating import Outcome, Plan
from drcaptcha.errors import DrCaptchaError
from drcaptcha.labelling.weighing import OURS
from handwriting.consensus.rules import RULES
from handwriting.crowds import CROWDS, Nature


class Command(BaseCommand):
    help = (
        "Let simulated visitors answer about glyphs whose truth is known, and tell how right the labels are that come "
        "of it. It works on a copy and changes nothing here, unless --keep is given."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--crowd", choices=CROWDS, default="honest", help="Who comes. Default: %(default)s.")
        parser.add_argument(
            "--probes", type=int, default=20_000, help="How many glyphs are asked about. Default: %(default)s."
        )
        parser.add_argument("--seed", type=int, default=0, help="The same seed gives the same crowd.")
        parser.add_argument("--rule", choices=[OURS, *RULES], default=OURS, help="How votes become labels.")
        parser.add_argument("--accept", type=float, help="Try this posterior in place of DRCAPTCHA_ACCEPT.")
        parser.add_argument("--agreement", type=int, help="Try so many sources in place of DRCAPTCHA_AGREEMENT.")
        parser.add_argument(
            "--retrain", type=int, default=0, metavar="N", help="Train a network at N stages and judge it, too."
        )
        parser.add_argument("--plot", type=Path, metavar="FILE", help="Draw how it went into this PNG file.")
        parser.add_argument("--keep", action="store_true", help="Work on this installation, and keep the votes.")
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print one JSON value.")
        parser.add_argument(
            "--nature", type=json.loads, help="How the crowd reads, as fields of crowds.Nature in JSON."
        )
        parser.add_argument("--here", action="store_true", help=SUPPRESS)  # What ``rehearse`` calls on its copy.

    def handle(self, **options: Any) -> None:
        try:
            nature = Nature(**options["nature"]) if options["nature"] else None
            plan = Plan(options["crowd"], options["seed"], options["rule"], nature)
            if options["here"]:
                if os.environ.get(MARK) != str(settings.STATE):
                    raise CommandError("This is no copy. Leave out --here, and one will be made.")
                self._here(plan, options["retrain"])
                return
            outcome = self._run(plan, options)
        except (DrCaptchaError, ValueError, TypeError) as fault:
            raise CommandError(str(fault)) from fault
        except KeyboardInterrupt:
            raise CommandError("Stopped. Nothing was changed, unless with --keep.", returncode=130) from None
        self.stdout.write(json.dumps(asdict(outcome)) if options["as_json"] else report(outcome))
        if options["plot"]:
            _draw(outcome, options["plot"])

    def _run(self, plan: Plan, options: dict[str, Any]) -> Outcome:
        with tqdm(
            desc=f"{plan.crowd}, {plan.rule}",
            total=1.0,
            disable=options["verbosity"] == 0,
            bar_format="{l_bar}{bar}| {elapsed}<{remaining}",
        ) as bar:

            def progress(share: float) -> None:
                bar.update(max(0.0, share - bar.n))

            if options["keep"]:
                self._check_kept(options)
                return simulating.simulate(plan, now=timezone.now(), enough=options["probes"], progress=progress)
            trial = {name: options[name] for name in ("probes", "accept", "agreement", "retrain")}
            return rehearse(Rehearsal(plan, **trial), progress=progress)

    def _check_kept(self, options: dict[str, Any]) -> None:
        """Refuse what would label this installation by other rules than its own."""
        if options["rule"] != OURS or any(options[name] for name in ("accept", "agreement", "retrain")):
            raise CommandError("--rule, --accept, --agreement and --retrain are for a copy; leave out --keep.")

    def _here(self, plan: Plan, retrain: int) -> None:
        """Tell the process that called how far it has come, a line each; the last is the outcome."""

        def progress(share: float) -> None:
            self.stdout.write(json.dumps(float(share)))
            self.stdout.flush()

        measure = _retrainer() if retrain else dict
        stages = retrain or Plan.stages
        plan = Plan(plan.crowd, plan.seed, plan.rule, plan.nature, stages)
        # One transaction: nobody else waits for the copy, and to write it to the disk each time would take longer.
        with transaction.atomic():
            outcome = simulating.simulate(plan, now=timezone.now(), progress=progress, measure=measure)
        self.stdout.write(json.dumps(asdict(outcome)))


def report(outcome: Outcome) -> str:
    """Return the figures in lines for people."""
    lines = [
        f"Crowd {outcome.crowd}, rule {outcome.rule}: {outcome.probes:,} glyphs, {outcome.answers:,} answers.",
        f"  accepted    {outcome.accepted:>8,}   {outcome.accuracy:.2%} right "
        f"({outcome.folded_accuracy:.2%} with look-alikes as one), {outcome.votes_per_label:.2f} votes a label",
        f"  disputed    {outcome.disputed:>8,}",
        f"  unreadable  {outcome.unreadable:>8,}",
        f"  open        {outcome.open:>8,}",
        f"  claimed accuracy less true accuracy: {100 * outcome.calibration_gap:+.2f} points",
        "  kind        passed   wrong votes",
    ]
    lines += [
        f"  {kind:<12}{share:>6.1%}   {outcome.poison_rate.get(kind, 0):>11.1%}"
        for kind, share in outcome.pass_rate.items()
    ]
    if outcome.mislabelled or outcome.rightly_labelled_lost:
        lines.append(
            f"Of {outcome.mislabelled:,} controls with a wrong label {outcome.mislabelled_found:,} were found, and "
            f"{outcome.rightly_labelled_lost:,} with a right one set aside with them."
        )
    if outcome.without_prior:
        lines.append(
            f"{outcome.without_prior:,} of the glyphs have no prior: no ensemble has given its opinion of them."
        )
    return "\n".join(lines)


def _draw(outcome: Outcome, file: Path) -> None:
    try:
        from handwriting.networks import pictures  # noqa: PLC0415 -- Loads Matplotlib, which only few have.
    except ModuleNotFoundError as missing:
        raise CommandError(
            f"Drawing needs {missing.name}. Install it with: pip install 'drcaptcha[train]'"
        ) from missing
    file.write_bytes(pictures.simulation(asdict(outcome)))


def _retrainer() -> Any:
    """Return what trains a network on all labels of the moment, and tells how good it and one with the truth are."""
    from drcaptcha.learning import experiments  # noqa: PLC0415 -- Loads PyTorch.

    best, _ = experiments.trial(epochs=6, truth=True)

    def measure() -> dict[str, float]:
        accuracy, labels = experiments.trial(epochs=6)
        return {"network": accuracy, "labels": labels, "network_on_truth": best}

    return measure
