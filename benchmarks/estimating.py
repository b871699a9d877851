"""How long the estimate over the whole log of votes takes, and how much memory.

    .venv/bin/python benchmarks/estimating.py [--votes 1000000] [--glyphs 500000] [--sources 100000]

Makes an installation with so many glyphs (the starter set and copies of it) and votes, of which one in ten is a lie and
one in six an audit, then runs ``relabel``, which labels them all, ``reestimate`` and both again, in processes of their
own. Prints seconds of the wall clock and the peak of resident memory. The aim was 15 s and 2 GB for a million votes.
"""

import argparse
import os
import sys
import time

from captchas import grow
from importing import MANAGE, measure
from installation import installation


def cast(votes: int, sources: int) -> None:
    """Insert votes, as visitors would give them."""
    import numpy as np
    from django.db import connection
    from django.utils import timezone

    from drcaptcha.sites.models import Site
    from handwriting.alphabet import BALANCED

    rng = np.random.default_rng(1)
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    site = Site.of(None).pk
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO labelling_source (site_id, key, created, trust, doubt, settled_trust, settled_doubt, mass) "
            "VALUES (%s, %s, %s, 0, 0, 0, 0, 0)",
            [(site, f"made up {number}", now) for number in range(sources)],
        )
        cursor.execute("SELECT id, truth, state FROM glyphs_glyph WHERE split = 'train'")
        glyphs = cursor.fetchall()
        first = cursor.execute("SELECT min(id) FROM labelling_source").fetchone()[0]
        unknown = [row for row in glyphs if row[2] == "unknown"]
        known = [row for row in glyphs if row[2] == "control"]
        source = rng.integers(0, sources, votes)
        lies, audits = source % 10 == 0, rng.random(votes) < 1 / 6
        slips = rng.random(votes) < 0.03
        letters = rng.choice(list(BALANCED.classes), votes)
        rows = []
        for number in range(votes):
            kind = known if audits[number] else unknown
            glyph, truth, _ = kind[int(rng.integers(len(kind)))]
            typed = str(letters[number]) if lies[number] or slips[number] else truth
            label = truth if audits[number] else ""
            right = 0.97 if typed == truth else -0.8
            role, evidence = ("audit", right) if label else ("probe", 0.0)
            rows.append((glyph, first + int(source[number]), number, role, typed, typed, label, evidence, now))
        cursor.executemany(
            "INSERT INTO labelling_vote (glyph_id, source_id, captcha, role, typed, answer, known, evidence, controls, "
            "created) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 4, %s)",
            rows,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--votes", type=int, default=1_000_000)
    parser.add_argument("--glyphs", type=int, default=500_000)
    parser.add_argument("--sources", type=int, default=100_000)
    options = parser.parse_args()
    with installation():
        from django.core.management import call_command
        from django.db import connection

        from handwriting.formats import starter

        call_command("importemnist", starter.FOLDER, split="starter", verbosity=0)
        call_command("removelabels", 12_000, verbosity=0)
        grow(options.glyphs)
        start = time.perf_counter()
        cast(options.votes, options.sources)
        print(f"{options.votes:,} votes made in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        connection.close()
        print(f"| {options.votes:,} votes on {options.glyphs:,} glyphs | seconds | peak MiB |")
        print("| --- | ---: | ---: |")
        for command in ("relabel", "reestimate", "reestimate", "relabel"):
            cost = measure([sys.executable, MANAGE, command, "-v0"], dict(os.environ))
            print(f"| {command} | {cost.seconds:.1f} | {cost.memory:.0f} |", flush=True)


if __name__ == "__main__":
    main()
