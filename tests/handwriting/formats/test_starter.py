import sys
from collections import Counter
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from handwriting.alphabet import BALANCED
from handwriting.formats.emnist import open_files
from handwriting.formats.starter import FOLDER

SCRIPT = Path(__file__).parents[3] / "script/make-starter"


@pytest.fixture(scope="module")
def parts() -> dict[str, tuple[np.ndarray, list[str]]]:
    chunks = list(open_files(FOLDER, "starter").chunks(5000))
    return {
        part: (
            np.concatenate([chunk.images for chunk in chunks if chunk.part == part]),
            [label for chunk in chunks if chunk.part == part for label in chunk.labels],
        )
        for part in ("train", "test")
    }


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = SourceFileLoader("make_starter", str(SCRIPT))
    spec = spec_from_loader(loader.name, loader)
    assert spec
    module = module_from_spec(spec)
    sys.modules[loader.name] = module  # Its dataclass looks itself up there.
    loader.exec_module(module)
    return module


def tilde(script: ModuleType):
    """The path of a wave, which needs no typeface."""
    across = np.arange(90.0)
    return script.Trace(np.stack([20 * np.sin(across / 14), across], 1), [list(range(8))])


def test_it_has_enough_glyphs_and_every_class_alike(parts):
    counts = {part: Counter(labels) for part, (_, labels) in parts.items()}
    assert sum(sum(count.values()) for count in counts.values()) >= 15_000
    for count in counts.values():
        assert set(count) == set(BALANCED.classes)
        assert len(set(count.values())) == 1


def test_it_weighs_little():
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= 6_000_000


def test_no_two_glyphs_are_equal(parts):
    glyphs = np.concatenate([glyphs for glyphs, _ in parts.values()])
    assert len({glyph.tobytes() for glyph in glyphs}) == len(glyphs)


def test_ink_fills_emnists_square_of_24_pixels_and_leaves_the_border_free(parts):
    for glyphs, _ in parts.values():
        for glyph in glyphs:
            extents = np.ptp(np.argwhere(glyph), axis=0) + 1
            assert 23 <= extents.max() <= 26
        assert not glyphs[:, [0, -1]].any()
        assert not glyphs[:, :, [0, -1]].any()


def test_glyphs_stand_upright(parts):
    glyphs, labels = parts["train"]
    of = {name: glyphs[np.array(labels) == name].mean(0) for name in "LT7"}
    assert of["L"][14:, 14:].sum() > of["L"][:14, 14:].sum()
    assert of["T"][:14].sum() > of["T"][14:].sum()
    assert of["7"][:14, 14:].sum() > of["7"][14:, 14:].sum()


def test_the_ink_is_about_as_much_as_in_emnist(parts):
    for glyphs, _ in parts.values():
        assert 0.15 < glyphs.mean() / 255 < 0.19  # EMNIST Balanced has 0.172.


def test_the_test_part_has_typefaces_of_its_own(script):
    assert not set(script.TRAIN_FACES) & set(script.TEST_FACES)
    assert len(script.TRAIN_FACES + script.TEST_FACES) >= 40


def test_credits_name_every_typeface_and_its_licence(script):
    rows = [row for row in (FOLDER / "CREDITS.md").read_text().splitlines() if "@fontsource" in row]
    assert len(rows) == len(script.TRAIN_FACES + script.TEST_FACES)
    for face in script.TRAIN_FACES + script.TEST_FACES:
        (row,) = [row for row in rows if f"@fontsource/{face} " in row]
        licence = row.split("|")[4].strip()
        assert len((FOLDER / f"{licence}.txt").read_text()) > 4000


def test_faces_of_capitals_draw_no_lower_case_class(script):
    shapes = script.shapes("a", ("rock-salt", "caveat"), np.random.default_rng(0))
    assert {next(shapes) for _ in range(10)} == {("caveat", "a")}


def test_a_merged_class_has_both_cases_alike(script):
    shapes = script.shapes("C", ("caveat", "kalam"), np.random.default_rng(0))
    assert Counter(next(shapes) for _ in range(40)) == dict.fromkeys(
        [("caveat", "C"), ("caveat", "c"), ("kalam", "C"), ("kalam", "c")], 10
    )


def test_thinning_leaves_one_line_of_a_bar(script):
    bar = np.zeros((40, 60), bool)
    bar[15:24, 10:50] = True
    line = script.thin(bar)
    assert (line & ~bar).sum() == 0
    assert line.sum(0).max() == 1
    assert line.sum() > 28


def test_short_spurs_go_and_real_strokes_stay(script):
    line = np.zeros((40, 60), bool)
    line[20, 5:55] = True
    line[17:20, 30] = True
    line[21:38, 40] = True
    graph = script.connect(line)
    script.prune(graph, np.full(line.shape, 5.0))
    assert (17, 30) not in graph
    assert {(37, 40), (20, 5), (20, 54)} <= set(graph)


def test_one_seed_writes_one_way_and_another_seed_another(script):
    def glyph(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        return script.shrink(script.ink(script.write(tilde(script), rng), rng)).tobytes()

    assert glyph(1) == glyph(1)
    assert len({glyph(seed) for seed in range(20)}) == 20


def test_writing_stays_inside_the_frame(script):
    for seed in range(100):
        assert np.abs(script.write(tilde(script), np.random.default_rng(seed))).max() < script.FRAME / 2


def test_packing_gives_equal_bytes_and_gives_the_content_back(script, tmp_path):
    packed = script.packed("a.gz", b"content")
    assert packed == script.packed("a.gz", b"content")
    (tmp_path / "a.gz").write_bytes(packed)
    assert script.unpacked(tmp_path / "a.gz") == b"content"
    assert script.unpacked(tmp_path / "b.gz") == b""
