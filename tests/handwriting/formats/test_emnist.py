import gzip
import os
import shutil
import tempfile
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from handwriting.formats import matlab
from handwriting.formats.emnist import EmnistSource, open_files
from handwriting.formats.errors import DamagedError, FormatError, MismatchError, MissingError
from tests.emnist_files import (
    BALANCED,
    BYCLASS,
    DIGITS,
    LETTERS,
    Glyphs,
    characters,
    gzipped,
    idx_images,
    idx_labels,
    some_glyphs,
    split_files,
    write,
    write_matlab,
    write_zip,
)

PARTS = {"train": some_glyphs(13), "test": some_glyphs(5, seed=1)}
FILES = split_files("balanced", PARTS)
TRAIN_IMAGES = "emnist-balanced-train-images-idx3-ubyte"
TRAIN_LABELS = "emnist-balanced-train-labels-idx1-ubyte"
MAPPING = "emnist-balanced-mapping.txt"


def read(source: EmnistSource, size: int = 4) -> dict[str, tuple[np.ndarray, list[str]]]:
    chunks = list(source.chunks(size))
    assert all(0 < len(chunk.images) == len(chunk.labels) <= size for chunk in chunks)
    return {
        part: (
            np.concatenate([chunk.images for chunk in chunks if chunk.part == part]),
            [label for chunk in chunks if chunk.part == part for label in chunk.labels.tolist()],
        )
        for part in {chunk.part for chunk in chunks}
    }


def check(source: EmnistSource, parts: dict[str, Glyphs] = PARTS, rows: list = BALANCED) -> None:
    found = read(source)
    assert found.keys() == parts.keys()
    for part, (images, labels) in found.items():
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(images, parts[part].images)
        assert labels == characters(parts[part], rows)


LAYOUTS: dict[str, Callable[[Path], Path]] = {
    "folder of gzipped files": lambda place: write(place, gzipped(FILES)),
    "folder of plain files": lambda place: write(place, FILES),
    "folder with a folder gzip": lambda place: write(place / "gzip", gzipped(FILES)).parent,
    "folder with gzip.zip": lambda place: write_zip(place / "gzip.zip", gzipped(FILES)).parent,
    "folder with a MATLAB file": lambda place: write_matlab(place / "emnist-balanced.mat", PARTS).parent,
    "zip": lambda place: write_zip(place / "any.zip", gzipped(FILES)),
    "mapping file": lambda place: write(place, gzipped(FILES)) / MAPPING,
    "MATLAB file": lambda place: write_matlab(place / "emnist-balanced.mat", PARTS),
    "MATLAB file, not compressed": lambda place: write_matlab(place / "emnist-balanced.mat", PARTS, compress=False),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_reads_every_layout_upright(layout, tmp_path):
    source = open_files(LAYOUTS[layout](tmp_path))

    assert source.split == "balanced"
    assert source.name == "emnist-balanced"
    assert source.classes == tuple(chr(code) for _, code in BALANCED)
    assert source.sizes == {"train": 13, "test": 5}
    assert not source.caseless
    check(source)


@settings(deadline=None, max_examples=40)
@given(train=st.integers(0, 9), test=st.integers(0, 9), size=st.integers(1, 12))
def test_it_gives_back_what_was_written_in_chunks_of_any_size(train, test, size):
    parts = {"train": some_glyphs(train, seed=train), "test": some_glyphs(test, seed=test + 10)}
    with tempfile.TemporaryDirectory() as place:
        source = open_files(write(Path(place), split_files("balanced", parts)))
        found = read(source, size)
    for part, glyphs in parts.items():
        if len(glyphs.labels):
            np.testing.assert_array_equal(found[part][0], glyphs.images)
            assert found[part][1] == characters(glyphs)


def test_test_glyphs_come_first(tmp_path):
    parts = [chunk.part for chunk in open_files(write(tmp_path, FILES)).chunks(4)]

    assert parts == ["test"] * 2 + ["train"] * 4


@pytest.mark.parametrize("kind", ["images-idx3", "labels-idx1"])
def test_a_file_of_one_part_stands_for_that_part(kind, tmp_path):
    write(tmp_path, gzipped(FILES))

    check(open_files(tmp_path / f"emnist-balanced-test-{kind}-ubyte.gz"), {"test": PARTS["test"]})


def test_the_file_that_was_named_is_the_one_read(tmp_path):
    write(tmp_path, gzipped(FILES))
    (tmp_path / TRAIN_IMAGES).write_bytes(b"a broken copy")

    check(open_files(tmp_path / f"{TRAIN_IMAGES}.gz"), {"train": PARTS["train"]})
    with pytest.raises(DamagedError):
        open_files(tmp_path / TRAIN_IMAGES)


def test_one_part_does_not_need_the_other(tmp_path):
    write(tmp_path, {name: data for name, data in FILES.items() if "-test-" not in name})

    check(open_files(tmp_path / TRAIN_IMAGES), {"train": PARTS["train"]})


def test_letters_start_at_one_and_join_cases(tmp_path):
    parts = {"train": some_glyphs(40, rows=LETTERS), "test": some_glyphs(3, rows=LETTERS)}
    source = open_files(write(tmp_path, split_files("letters", parts, LETTERS)), "letters")

    assert source.caseless
    assert source.classes == tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    check(source, parts, LETTERS)


@pytest.mark.parametrize(
    ("split", "rows"), [("byclass", BYCLASS), ("digits", DIGITS), ("mnist", DIGITS), ("starter", BALANCED)]
)
def test_the_split_is_chosen_by_name(split, rows, tmp_path):
    write(tmp_path, FILES)
    parts = {"train": some_glyphs(20, seed=3, rows=rows), "test": some_glyphs(3, seed=4, rows=rows)}
    write(tmp_path, split_files(split, parts, rows))

    check(open_files(tmp_path, split), parts, rows)


def test_the_starter_set_goes_by_its_own_name(tmp_path):
    assert open_files(write(tmp_path, split_files("starter", PARTS)), "starter").name == "starter"


def test_a_file_tells_its_split(tmp_path):
    write(tmp_path, split_files("digits", {"train": some_glyphs(4, rows=DIGITS)}, DIGITS))

    assert open_files(tmp_path / "emnist-digits-train-images-idx3-ubyte").split == "digits"


def test_a_name_with_a_suffix_tells_the_split_of_a_matlab_file(tmp_path):
    assert open_files(write_matlab(tmp_path / "emnist-balanced-small.mat", PARTS)).split == "balanced"


def test_a_matlab_file_without_a_telling_name_needs_the_split(tmp_path):
    path = write_matlab(tmp_path / "mine.mat", PARTS)

    with pytest.raises(MissingError, match="which split"):
        open_files(path)
    check(open_files(path, "balanced"))


@pytest.mark.parametrize("name", [TRAIN_IMAGES, MAPPING])
def test_it_refuses_a_split_that_contradicts_the_file(name, tmp_path):
    write(tmp_path, FILES)

    with pytest.raises(MismatchError, match="of the split balanced, not digits"):
        open_files(tmp_path / name, "digits")


def test_it_says_which_splits_a_folder_has(tmp_path):
    write(tmp_path, FILES | split_files("digits", PARTS))

    with pytest.raises(MissingError, match=r"no files of the split letters\. It has balanced, digits"):
        open_files(tmp_path, "letters")


def test_it_names_a_missing_file(tmp_path):
    write(tmp_path, {name: data for name, data in FILES.items() if name != TRAIN_LABELS})

    with pytest.raises(MissingError, match="lacks emnist-balanced-train-labels-idx1-ubyte"):
        open_files(tmp_path)


def test_it_refuses_to_choose_between_matlab_files(tmp_path):
    for name in ("emnist-balanced.mat", "emnist-balanced-small.mat"):
        write_matlab(tmp_path / name, PARTS)

    with pytest.raises(MismatchError, match="several"):
        open_files(tmp_path)


@pytest.mark.parametrize("name", ["nowhere", "nowhere.zip", "notes.txt", "train-images-idx3-ubyte.gz"])
def test_it_refuses_what_is_not_emnist(name, tmp_path):
    if not name.startswith("nowhere"):
        (tmp_path / name).write_bytes(b"hello")

    with pytest.raises(FormatError, match=name):
        open_files(tmp_path / name)


def test_it_refuses_an_empty_folder(tmp_path):
    with pytest.raises(MissingError, match="no files of the split balanced"):
        open_files(tmp_path)


def test_it_refuses_an_unknown_split(tmp_path):
    with pytest.raises(MissingError, match="Choose one of balanced"):
        open_files(write(tmp_path, FILES), "klingon")


IMAGES, LABELS = PARTS["train"].images, PARTS["train"].labels

DAMAGES = {
    "images cut short": ({TRAIN_IMAGES: FILES[TRAIN_IMAGES][:-1]}, "ends 1 bytes before"),
    "images go on": ({TRAIN_IMAGES: FILES[TRAIN_IMAGES] + b"\0"}, "goes on"),
    "labels cut short": ({TRAIN_LABELS: FILES[TRAIN_LABELS][:-2]}, "ends 2 bytes before"),
    "labels go on": ({TRAIN_LABELS: FILES[TRAIN_LABELS] + b"\0"}, "goes on"),
    "images empty": ({TRAIN_IMAGES: b""}, "does not begin like"),
    "images only a header": ({TRAIN_IMAGES: FILES[TRAIN_IMAGES][:15]}, "does not begin like"),
    "labels where images should be": ({TRAIN_IMAGES: FILES[TRAIN_LABELS]}, "does not begin like"),
    "images where labels should be": ({TRAIN_LABELS: FILES[TRAIN_IMAGES]}, "does not begin like"),
    "images of another size": ({TRAIN_IMAGES: idx_images(np.zeros((13, 32, 32), np.uint8))}, "32×32"),
    "more images than labels": ({TRAIN_LABELS: idx_labels(LABELS[:-1])}, "13 images, but .* 12 labels"),
    "more labels than images": ({TRAIN_IMAGES: idx_images(IMAGES[:-1])}, "12 images, but .* 13 labels"),
    "a label outside the mapping": ({TRAIN_LABELS: idx_labels(np.full(13, 47, np.uint8))}, "label 47"),
    "a label below the mapping": ({MAPPING: b"5 65\n6 66\n"}, "which the mapping lacks"),
    "a header that counts billions": ({TRAIN_IMAGES: idx_images(IMAGES, count=2**32 - 1)}, "more than any"),
    "a label header that counts billions": ({TRAIN_LABELS: idx_labels(LABELS, count=2**32 - 1)}, "more than any"),
    "mapping empty": ({MAPPING: b""}, "does not map"),
    "mapping of words": ({MAPPING: b"zero 48\n"}, "not a table"),
    "mapping of one column": ({MAPPING: b"0\n1\n"}, "does not map"),
    "mapping to what is no character": ({MAPPING: b"0 7\n"}, "does not map"),
    "mapping not text": ({MAPPING: b"\xff\xfe0 48"}, "not a table"),
    "mapping with a label twice": ({MAPPING: b"0 48\n0 49\n"}, "twice"),
    "mapping with a character twice": ({MAPPING: b"0 48\n1 48\n"}, "twice"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzipped"])
def test_it_refuses_damaged_files(damage, packed, tmp_path):
    changed, fault = DAMAGES[damage]
    files = FILES | changed
    write(tmp_path, gzipped(files) if packed else files)

    with pytest.raises(FormatError, match=fault) as caught:
        open_files(tmp_path)
    assert str(tmp_path) in str(caught.value)
    assert isinstance(caught.value, DamagedError | MismatchError)


@pytest.mark.parametrize("left", [1, 2, 9, 200, -9, -8, -1])
@pytest.mark.parametrize("name", [TRAIN_IMAGES, TRAIN_LABELS])
def test_it_refuses_truncated_gzip(name, left, tmp_path):
    write(tmp_path, gzipped(FILES))
    path = tmp_path / f"{name}.gz"
    path.write_bytes(path.read_bytes()[: min(left, path.stat().st_size - 1)])

    with pytest.raises(DamagedError, match=name):
        open_files(tmp_path)


def unchanged_or_refused(path: Path, intact: bytes, bit: int) -> None:
    """Flip one bit: some carry no meaning, like a time stamp, but no other content may ever come out."""
    data = bytearray(intact)
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    path.write_bytes(data)
    try:
        source = open_files(path if path.suffix != ".gz" else path.parent)
    except FormatError:
        return
    check(source)


@settings(deadline=None, max_examples=150)
@given(bit=st.integers(0, 2**20))
def test_no_flipped_bit_of_a_gzip_changes_what_comes_out(bit, tmp_path_factory):
    place = tmp_path_factory.getbasetemp() / "flipped-gzip"
    files = gzipped(FILES)
    write(place, files)
    unchanged_or_refused(place / f"{TRAIN_LABELS}.gz", files[f"{TRAIN_LABELS}.gz"], bit)


@settings(deadline=None, max_examples=150)
@given(bit=st.integers(0, 2**20))
def test_no_flipped_bit_of_a_zip_changes_what_comes_out(bit, tmp_path_factory):
    place = tmp_path_factory.getbasetemp() / "flipped-zip"
    place.mkdir(exist_ok=True)
    intact = write_zip(place / "intact.zip", gzipped(FILES)).read_bytes()
    unchanged_or_refused(place / "flipped.zip", intact, bit)


@settings(deadline=None, max_examples=150)
@given(bit=st.integers(0, 2**20))
def test_no_flipped_bit_of_a_matlab_file_changes_what_comes_out(bit, tmp_path_factory):
    place = tmp_path_factory.getbasetemp() / "flipped-matlab"
    place.mkdir(exist_ok=True)
    intact = write_matlab(place / "intact.mat", PARTS).read_bytes()
    unchanged_or_refused(place / "emnist-balanced.mat", intact, bit)


@pytest.mark.parametrize("part", [0, 0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("layout", ["zip", "MATLAB file", "MATLAB file, not compressed"])
def test_it_refuses_a_truncated_archive(layout, part, tmp_path):
    path = LAYOUTS[layout](tmp_path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * part)])

    with pytest.raises(DamagedError, match=path.name):
        open_files(path)


@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (np.full((13, 1), 99, np.uint8), "label 99"),
        (np.full((13, 1), 1.5), "not a whole number"),
        (np.zeros((12, 1), np.uint8), "12 labels"),
    ],
)
def test_it_refuses_matlab_labels_that_do_not_fit(labels, fault, tmp_path):
    path = write_matlab(tmp_path / "emnist-balanced.mat", PARTS | {"train": Glyphs(IMAGES, labels)})

    with pytest.raises(FormatError, match=fault):
        open_files(path)


def test_it_refuses_a_matlab_file_of_something_else(tmp_path):
    savemat(tmp_path / "emnist-balanced.mat", {"weather": np.zeros((3, 3))})

    with pytest.raises(DamagedError, match="has no 'dataset'"):
        open_files(tmp_path / "emnist-balanced.mat")


def test_a_small_matlab_file_that_unpacks_to_much_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(matlab, "_MOST_BYTES", 20_000_000)
    # Fifty megabytes of nothing in fifty kilobytes.
    blank = Glyphs(np.zeros((64_000, 28, 28), np.uint8), np.zeros(64_000, np.uint8))
    path = write_matlab(tmp_path / "emnist-balanced.mat", {"train": blank, "test": blank})

    def refuse() -> None:
        with pytest.raises(DamagedError, match="unpacks to more"):
            open_files(path)

    assert path.stat().st_size < 200_000
    assert peak_of(refuse) < 50_000_000


def peak_of(run: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        run()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("name", "start"), [(TRAIN_IMAGES, idx_images(IMAGES)), (TRAIN_LABELS, idx_labels(LABELS))])
def test_a_small_file_that_unpacks_to_much_is_not_unpacked(name, start, tmp_path):
    write(tmp_path, gzipped(FILES | {name: start + bytes(100_000_000)}))

    def refuse() -> None:
        with pytest.raises(DamagedError, match="goes on"):
            open_files(tmp_path)

    assert peak_of(refuse) < 10_000_000


def test_memory_stays_flat(tmp_path):
    parts = {"train": some_glyphs(20_000), "test": some_glyphs(10)}
    write(tmp_path, gzipped(split_files("balanced", parts)))

    def run() -> None:
        for _ in open_files(tmp_path).chunks(500):
            pass

    assert peak_of(run) < 8_000_000 < parts["train"].images.nbytes


def test_a_file_cut_after_it_was_checked_is_noticed(tmp_path):
    write(tmp_path, FILES)
    source = open_files(tmp_path)
    (tmp_path / TRAIN_IMAGES).write_bytes(FILES[TRAIN_IMAGES][:-784])

    with pytest.raises(DamagedError, match="ends 784 bytes before"):
        list(source.chunks(100))


def test_it_refuses_a_zip_of_an_unknown_version(tmp_path):
    path = write_zip(tmp_path / "gzip.zip", gzipped(FILES))
    data = bytearray(path.read_bytes())
    data[data.find(b"PK\1\2") + 6] = 84
    path.write_bytes(data)

    with pytest.raises(DamagedError, match="zip file version"):
        open_files(path)


def test_it_refuses_a_zip_with_a_password(tmp_path):
    path = write_zip(tmp_path / "gzip.zip", gzipped(FILES))
    data = bytearray(path.read_bytes())
    # The first bit of the flags, in every local header and in the directory, says that a member is encrypted.
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        place = data.find(signature)
        while place >= 0:
            data[place + offset] |= 1
            place = data.find(signature, place + 4)
    path.write_bytes(data)

    with pytest.raises(DamagedError, match="password"):
        open_files(path)


def test_a_mac_s_shadow_files_do_not_disturb(tmp_path):
    path = write_zip(tmp_path / "gzip.zip", gzipped(FILES))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(f"__MACOSX/gzip/._{TRAIN_IMAGES}.gz", b"Mac OS X")

    check(open_files(path))


def test_an_unpacked_file_may_keep_its_gz_name(tmp_path):
    write(tmp_path, {name if name.endswith(".txt") else f"{name}.gz": data for name, data in FILES.items()})

    check(open_files(tmp_path))


def test_concatenated_gzip_members_are_one_file(tmp_path):
    files = gzipped(FILES)
    images = FILES[TRAIN_IMAGES]
    files[f"{TRAIN_IMAGES}.gz"] = gzip.compress(images[:5000]) + gzip.compress(images[5000:])

    check(open_files(write(tmp_path, files)))


@pytest.fixture(scope="module")
def emnist() -> Path:
    folder = os.environ.get("DRCAPTCHA_EMNIST")
    if not folder:
        pytest.skip("DRCAPTCHA_EMNIST names no folder of EMNIST files")
    return Path(folder)


@pytest.mark.emnist
def test_real_pictures_are_upright(emnist):
    """The strokes of T and 7 lie in the upper half, those of L and J in the lower: lying down they would not."""
    source = open_files(emnist)
    sums = {character: np.zeros((28, 28)) for character in "T7LJ"}
    for chunk in source.chunks(5000):
        for character in sums:
            sums[character] += chunk.images[chunk.labels == character].astype(float).sum(axis=0)
    heights = {character: (total.sum(axis=1) @ np.arange(28)) / total.sum() for character, total in sums.items()}
    sides = {character: (total.sum(axis=0) @ np.arange(28)) / total.sum() for character, total in sums.items()}

    assert max(heights["T"], heights["7"]) + 1 < min(heights["L"], heights["J"])
    assert sides["L"] < sides["J"]


@pytest.mark.emnist
def test_the_real_matlab_file_holds_the_pictures_of_the_idx_files(emnist):
    files = sorted(emnist.glob("emnist-balanced*.mat"))
    if not files:
        pytest.skip("there is no MATLAB file of the balanced split")
    known = {
        image.tobytes(): label
        for chunk in open_files(emnist).chunks(5000)
        for image, label in zip(chunk.images, chunk.labels, strict=True)
    }
    source = open_files(files[0])
    found = [
        known.get(image.tobytes()) == label
        for chunk in source.chunks(1000)
        for image, label in zip(chunk.images, chunk.labels, strict=True)
    ]

    assert len(found) == sum(source.sizes.values()) > 10_000
    assert all(found)


@pytest.mark.emnist
def test_the_real_files_read_the_same_from_a_zip(emnist, tmp_path):
    names = [
        path.name for path in emnist.iterdir() if path.name.startswith("emnist-balanced-test") or "mapping" in path.name
    ]
    names.append("emnist-balanced-train-labels-idx1-ubyte.gz")
    for name in names:
        shutil.copy(emnist / name, tmp_path / name)
    write_zip(tmp_path / "some.zip", {name: (tmp_path / name).read_bytes() for name in names})

    with pytest.raises(MissingError, match=r"lacks emnist-balanced-train-images-idx3-ubyte\.gz"):
        open_files(tmp_path / "some.zip")
    assert open_files(tmp_path / "emnist-balanced-test-images-idx3-ubyte.gz").sizes == {"test": 4631}
