"""Counts that several processes share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from hypothesis import given
from hypothesis import strategies as st

from drcaptcha.challenges import tallies

NOW = 1_780_000_000

COUNTING = """
import sys, django
from concurrent.futures import ThreadPoolExecutor
django.setup()
from drcaptcha.challenges import tallies
with ThreadPoolExecutor(4) as pool:
    list(pool.map(lambda n: tallies.add(f"key-{{n % 3}}", {now}, 1000), range(600)))
print(tallies.read("key-0", "key-1", "key-2", now={now}))
"""


@pytest.fixture
def fresh(settings: LazySettings, tmp_path: Path) -> Path:
    settings.DRCAPTCHA_TALLIES = tmp_path / "tallies"
    cache.clear()
    return tmp_path / "tallies"


def test_processes_and_their_threads_count_together(settings: LazySettings, tmp_path: Path) -> None:
    own = {"DRCAPTCHA_STATE": str(tmp_path), "DJANGO_SETTINGS_MODULE": "drcaptcha.settings"}
    environment = os.environ | own | {"REDIS_URL": settings.REDIS_URL}
    command = [sys.executable, "-c", COUNTING.format(now=NOW)]
    cache.clear()
    running = [subprocess.Popen(command, env=environment, stdout=-1, text=True) for _ in range(3)]
    said = [one.communicate()[0].strip() for one in running]
    assert "[600, 600, 600]" in said


@given(events=st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 40))))
def test_each_key_has_a_count_that_ends(
    events: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    table = tallies.Table(tmp_path_factory.getbasetemp() / "counts")
    table.clear()
    known: dict[str, tuple[int, int]] = {}
    now = NOW
    for key, pause in events:
        now += pause
        count, until = known.get(key, (0, 0))
        known[key] = (count + 1, until) if until > now else (1, now + 60)
        assert table.add(key, now, 60) == [known[key][0]]
        assert table.read(tuple("abcde"), now) == [
            known[each][0] if each in known and known[each][1] > now else 0 for each in "abcde"
        ]


def test_whoever_comes_from_ever_new_places_moves_no_large_count_and_fills_no_disk(fresh: Path) -> None:
    table = tallies.Table(fresh)
    size = fresh.stat().st_size
    for _ in range(5):
        table.add("busy", NOW, 60)
    _, row = tallies._place("busy")
    crowd = (f"visitor-{n}" for n in range(2**20))
    neighbours = [
        key for key, _ in zip(filter(lambda key: tallies._place(key)[1] == row, crowd), range(12), strict=False)
    ]
    assert len(neighbours) == 12
    for key in neighbours:
        table.add(key, NOW, 60)
    assert table.read(("busy",), NOW) == [5]
    assert fresh.stat().st_size == size == tallies.SLOT.size * tallies.ROW * tallies.ROWS


def test_a_count_that_is_kept_nowhere_is_none(fresh: Path) -> None:
    assert tallies.read("nobody", now=NOW) == [0]
    assert [tallies.add("somebody", NOW, 60, "nobody") for _ in range(2)] == [[1, 0], [2, 0]]
    assert tallies.read("somebody", "nobody", now=NOW) == [2, 0]
