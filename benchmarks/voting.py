"""How long a vote takes, and whether that or the choice of what to ask depends on how many glyphs there are.

    .venv/bin/python benchmarks/voting.py [--glyphs 21000 100000 1000000] [--answers 300]

Prints milliseconds, median and 95th percentile: weighing one glyph with five votes (the arithmetic alone), recording an
answer with two votes (one transaction on SQLite, labels included), and choosing three glyphs to ask about. The larger
collections are the starter set with copies.
"""

import argparse
import time
from collections.abc import Callable

from captchas import grow
from installation import installation


def percentiles(action: Callable[[int], object], count: int) -> str:
    """Run ``action`` so often; return the median and the 95th percentile in milliseconds."""
    import numpy as np

    taken = []
    for number in range(count):
        start = time.perf_counter()
        action(number)
        taken.append(1000 * (time.perf_counter() - start))
    return "{:.2f}, {:.2f}".format(*np.percentile(taken, [50, 95]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--glyphs", type=int, nargs="*", default=[0, 100_000, 1_000_000])
    parser.add_argument("--answers", type=int, default=300)
    options = parser.parse_args()
    with installation():
        import numpy as np
        from django.core.management import call_command
        from django.utils import timezone

        from drcaptcha.glyphs.models import Glyph
        from drcaptcha.labelling import asking, voting
        from drcaptcha.labelling.log import current_reading
        from drcaptcha.labelling.sources import source_key, stored
        from drcaptcha.sites.models import Site
        from handwriting.consensus.beliefs import Votes, believe

        call_command("importemnist", starter_folder(), split="starter", verbosity=0)
        call_command("removelabels", 12_000, verbosity=0)
        rng, site, reading = np.random.default_rng(1), Site.of(None), current_reading()[1]
        size = len(reading.alphabet)
        five = Votes(np.zeros(5, np.int64), rng.integers(0, size, 5), np.full(5, 90))
        even, level = np.full((1, size), 1 / size), np.zeros(1, np.int64)

        def record(number: int) -> None:
            typed = {key: "K" for key, _ in asking.choose(2, rng)}
            now = timezone.now()
            [source] = stored({source_key(f"192.0.2.{number % 250}", site, now): site.pk}, now).values()
            voting.record([voting.Ballot(source, captcha.pop(), now, typed)], now=now)

        print("| glyphs | weighing one glyph | recording an answer | choosing three glyphs |")
        print("| ---: | ---: | ---: | ---: |")
        captcha = list(range(10**6))
        for glyphs in options.glyphs:
            grow(glyphs)
            weighed = percentiles(lambda _: believe(even, level, five, reading), options.answers)
            chosen = percentiles(lambda _: asking.choose(3, rng), options.answers)
            recorded = percentiles(record, options.answers)
            print(f"| {Glyph.objects.count():,} | {weighed} | {recorded} | {chosen} |", flush=True)


def starter_folder() -> object:
    """Return where the starter set lies."""
    from handwriting.formats import starter

    return starter.FOLDER


if __name__ == "__main__":
    main()
