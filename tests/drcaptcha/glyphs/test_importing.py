import itertools
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs import importing
from drcaptcha.glyphs.importing import ImportSummary, digest, import_emnist, import_folder
from drcaptcha.glyphs.models import DataSet, Glyph, Split, State
from handwriting.alphabet import BALANCED
from handwriting.formats.emnist import open_files
from handwriting.formats.errors import FormatError
from handwriting.preprocessing import read
from tests.emnist_files import LETTERS, Glyphs, characters, gzipped, some_glyphs, split_files, write, write_matlab

pytestmark = pytest.mark.django_db

PARTS = {"train": some_glyphs(30), "test": some_glyphs(8, seed=1)}


@pytest.fixture
def emnist(tmp_path: Path) -> Path:
    return write(tmp_path / "emnist", gzipped(split_files("balanced", PARTS)))


@pytest.fixture
def run(now, rng):
    def run(path: Path, split: str | None = None, progress=lambda _: None) -> ImportSummary:
        return import_emnist(open_files(path, split), now=now, rng=rng, progress=progress)

    return run


def test_it_imports_pictures_labels_and_parts(run, emnist, now):
    assert run(emnist) == ImportSummary(imported=38, skipped=0, train=30, test=8, classes=47)

    assert Glyph.objects.count() == 38
    for part, glyphs in PARTS.items():
        for image, label in zip(glyphs.images, characters(glyphs), strict=True):
            glyph = Glyph.objects.get(digest=digest(image.tobytes()))
            np.testing.assert_array_equal(glyph.array, image)
            assert (glyph.split, glyph.state) == (part, State.CONTROL)
            assert glyph.label == glyph.truth == label
            assert (glyph.data_set.name, glyph.created) == ("emnist-balanced", now)


def test_glyphs_lie_all_over_the_wheel(run, emnist):
    run(emnist)

    places = np.array(Glyph.objects.values_list("place", flat=True))
    assert 0 <= places.min() < 2**29 < 2**30 < places.max() < 2**31


def test_importing_again_adds_nothing(run, emnist):
    run(emnist)
    before = list(Glyph.objects.order_by("pk").values_list())

    assert run(emnist) == ImportSummary(imported=0, skipped=38, train=0, test=0, classes=47)
    assert list(Glyph.objects.order_by("pk").values_list()) == before


def test_another_format_of_the_same_pictures_adds_nothing(run, emnist, tmp_path):
    run(emnist)

    assert run(write_matlab(tmp_path / "emnist-balanced.mat", PARTS)).imported == 0


def test_a_test_picture_never_comes_to_training(run, emnist, tmp_path):
    run(emnist)
    swapped = {"train": PARTS["test"], "test": PARTS["train"]}
    other = write(tmp_path / "other", split_files("bymerge", swapped))

    assert run(other, "bymerge").skipped == 38
    assert Glyph.objects.filter(split=Split.TEST).count() == 8


def test_of_a_picture_in_both_parts_the_test_keeps_it(run, tmp_path):
    twice = some_glyphs(5)

    summary = run(write(tmp_path, split_files("balanced", {"train": twice, "test": twice})))

    assert (summary.train, summary.test, summary.skipped) == (0, 5, 5)


def test_a_picture_that_a_set_has_twice_is_one_glyph(run, tmp_path):
    once = some_glyphs(3)
    twice = Glyphs(np.concatenate([once.images] * 2), np.concatenate([once.labels] * 2))

    summary = run(write(tmp_path, split_files("balanced", {"train": twice, "test": some_glyphs(0)})))

    assert (summary.imported, summary.skipped) == (3, 3)


def test_labels_that_votes_or_an_administrator_changed_survive_another_import(run, emnist):
    run(emnist)
    Glyph.objects.filter(split=Split.TRAIN).update(label="", state=State.UNKNOWN)

    run(emnist)

    assert Glyph.objects.unknown().count() == 30


def test_letters_are_known_to_be_caseless(run, tmp_path):
    parts = {"train": some_glyphs(9, rows=LETTERS), "test": some_glyphs(2, rows=LETTERS)}

    summary = run(write(tmp_path, split_files("letters", parts, LETTERS)), "letters")

    assert summary.classes == 26
    assert DataSet.objects.get().caseless


def test_a_set_of_another_kind_does_not_mix_with_one_of_its_name(run, tmp_path):
    DataSet.objects.create(name="emnist-letters", caseless=False)
    parts = {"train": some_glyphs(9, rows=LETTERS), "test": some_glyphs(2, rows=LETTERS)}

    with pytest.raises(NotPossible, match="another name"):
        run(write(tmp_path, split_files("letters", parts, LETTERS)), "letters")


def test_a_damaged_file_leaves_the_database_as_it_was(run, emnist):
    path = emnist / "emnist-balanced-train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(FormatError):
        run(emnist)
    assert not Glyph.objects.exists()
    assert not DataSet.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_an_import_broken_off_is_taken_up_again(run, emnist, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 8)
    calls = itertools.count(1)

    def interrupt(_: int) -> None:
        if next(calls) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(emnist, progress=interrupt)
    assert Glyph.objects.count() == 24

    assert run(emnist) == ImportSummary(imported=14, skipped=24, train=14, test=0, classes=47)


def test_progress_counts_every_glyph(run, emnist, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 8)
    seen: list[int] = []

    run(emnist, progress=seen.append)

    assert seen == [8, 8, 8, 8, 6]


def draw(path: Path, text: str, size: tuple[int, int] = (90, 70)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("L", size, 255)
    ImageDraw.Draw(picture).text((size[0] / 3, size[1] / 6), text, fill=0, font_size=size[1] * 0.6)
    picture.save(path)


@pytest.fixture
def run_folder(now, rng):
    return partial(
        import_folder, name=None, split=Split.TRAIN, alphabet=BALANCED, now=now, rng=rng, progress=lambda _: None
    )


def test_it_imports_labelled_and_unlabelled_pictures_of_any_size(run_folder, tmp_path):
    draw(tmp_path / "A" / "1.png", "A")
    draw(tmp_path / "61" / "2.jpg", "a", (400, 300))
    draw(tmp_path / "3.png", "Z", (50, 200))

    summary = run_folder(tmp_path, name="My pupils' letters")

    assert summary == ImportSummary(imported=3, skipped=0, train=3, test=0, classes=2)
    assert set(Glyph.objects.values_list("label", "truth", "state")) == {
        ("A", "A", State.CONTROL),
        ("a", "a", State.CONTROL),
        ("", "", State.UNKNOWN),
    }
    assert DataSet.objects.get().name == "my-pupils-letters"
    for glyph in Glyph.objects.all():
        assert glyph.array[0].max() == 0
        assert glyph.array.max() > 200


def test_importing_a_folder_again_adds_nothing(run_folder, tmp_path):
    draw(tmp_path / "A" / "1.png", "A")
    run_folder(tmp_path)

    assert run_folder(tmp_path) == ImportSummary(imported=0, skipped=1, train=0, test=0, classes=1)


def test_a_folder_may_hold_test_glyphs(run_folder, tmp_path):
    draw(tmp_path / "A" / "1.png", "A")

    assert run_folder(tmp_path, split=Split.TEST).test == 1
    assert Glyph.objects.get().split == Split.TEST


def test_unlabelled_pictures_can_t_be_test_glyphs(run_folder, tmp_path):
    draw(tmp_path / "1.png", "A")

    with pytest.raises(NotPossible, match="without a label"):
        run_folder(tmp_path, split=Split.TEST)
    assert not Glyph.objects.exists()


def test_bad_pictures_are_all_named_and_nothing_is_imported(run_folder, tmp_path):
    draw(tmp_path / "A" / "1.png", "A")
    (tmp_path / "A" / "2.png").write_bytes(b"not a picture")
    draw(tmp_path / "B" / "3.png", "")
    data = (tmp_path / "A" / "1.png").read_bytes()
    (tmp_path / "B" / "4.png").write_bytes(data[: len(data) // 2])
    (tmp_path / "B" / "5.png").symlink_to(tmp_path / "nowhere.png")

    with pytest.raises(FormatError, match="4 pictures can't be read") as caught:
        run_folder(tmp_path)

    assert all(name in str(caught.value) for name in ("A/2.png", "B/3.png", "B/4.png", "B/5.png"))
    assert "A/1.png" not in str(caught.value)
    assert not Glyph.objects.exists()
    assert not DataSet.objects.exists()


def test_of_many_bad_pictures_some_are_named_and_the_rest_counted(run_folder, tmp_path):
    for number in range(12):
        (tmp_path / f"{number:02}.png").write_bytes(b"not a picture")

    with pytest.raises(FormatError, match=r"12 pictures .*00\.png.* and 7 more"):
        run_folder(tmp_path)


def test_more_pictures_than_one_batch_keep_their_labels(run_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "BATCH", 2)
    for character in "ABEHK":
        draw(tmp_path / character / "1.png", character)
    seen: list[int] = []

    assert run_folder(tmp_path, progress=seen.append).imported == 5
    assert seen == [1] * 5
    for character in "ABEHK":
        glyph = Glyph.objects.get(label=character)
        np.testing.assert_array_equal(glyph.array, read(tmp_path / character / "1.png"))


@pytest.mark.emnist
def test_real_files_come_in_once(now, rng):
    folder = os.environ.get("DRCAPTCHA_EMNIST")
    if not folder:
        pytest.skip("DRCAPTCHA_EMNIST names no folder of EMNIST files")
    source = open_files(Path(folder) / "emnist-balanced-test-images-idx3-ubyte.gz")
    run = partial(import_emnist, source, now=now, rng=rng, progress=lambda _: None)

    first, again = run(), run()

    assert first == ImportSummary(
        imported=source.sizes["test"], skipped=0, train=0, test=source.sizes["test"], classes=47
    )
    assert (again.imported, again.skipped) == (0, first.imported)
    assert Glyph.objects.earliest("pk").created == now
