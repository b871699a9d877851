"""How fast captchas are composed, and whether that depends on how many glyphs there are.

    .venv/bin/python benchmarks/captchas.py [--count 10000] [--glyphs 15000 100000 1000000]

Prints captchas per core-second (process time, so other work on the machine does not count): into the pool, and one by
one on the spot. The first row is the starter set alone; for the others it is copied, with a random place for each copy,
until there are as many glyphs as asked for.
"""

import argparse
import time

from installation import installation


def grow(glyphs: int) -> None:
    """Copy glyphs until there are so many. A copy's digest is random, since its picture is not new."""
    from django.db import connection

    digest, place = {
        "sqlite": ("randomblob(16)", "abs(random()) %% 2147483648"),
        "postgresql": ("decode(md5(random()::text || id), 'hex')", "floor(random() * 2147483648)::bigint"),
    }[connection.vendor]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM glyphs_glyph")
        while (missing := glyphs - cursor.fetchone()[0]) > 0:
            cursor.execute(
                "INSERT INTO glyphs_glyph (digest, place, data_set_id, picture, split, state, label, given, truth, "  # noqa: S608 -- Our own.
                f"worth, passes, created) SELECT {digest}, {place}, data_set_id, picture, "
                "split, state, label, given, truth, worth, passes, created FROM glyphs_glyph "
                "ORDER BY random() LIMIT %s",
                [missing],
            )
            cursor.execute("SELECT count(*) FROM glyphs_glyph")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--glyphs", type=int, nargs="*", default=[0, 100_000, 1_000_000])
    options = parser.parse_args()
    with installation():
        import numpy as np
        from django.core.management import call_command
        from django.utils import timezone

        from drcaptcha.challenges import filling
        from drcaptcha.challenges.composing import compose
        from drcaptcha.challenges.models import Captcha
        from drcaptcha.glyphs.models import Glyph
        from handwriting.formats import starter

        call_command("importemnist", starter.FOLDER, split="starter", verbosity=0)
        call_command("removelabels", 4000, verbosity=0)
        print("| glyphs | pool, captchas per core-second | on the spot, captchas per core-second | bytes a picture |")
        print("| ---: | ---: | ---: | ---: |")
        for glyphs in options.glyphs:
            grow(glyphs)
            rng, now = np.random.default_rng(1), timezone.now()
            start = time.process_time()
            filling.fill(options.count, now=now, rng=rng, progress=lambda _: None)
            pool = options.count / (time.process_time() - start)
            few = max(1, options.count // 10)
            start = time.process_time()
            for _ in range(few):
                compose(1, now=now, rng=rng)
            spot = few / (time.process_time() - start)
            size = np.mean([len(picture) for picture in Captcha.objects.values_list("picture", flat=True)[:500]])
            print(f"| {Glyph.objects.count():,} | {pool:.0f} | {spot:.0f} | {size:,.0f} |", flush=True)
            Captcha.objects.all().delete()


if __name__ == "__main__":
    main()
