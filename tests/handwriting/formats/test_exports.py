"""What an installation writes in EMNIST's layout comes back as it was, or not at all."""

import gzip
import json
import shutil
import struct
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from string import ascii_letters, digits

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handwriting.alphabet import BALANCED
from handwriting.formats import exports
from handwriting.formats.emnist import Chunk, EmnistSource, open_files
from handwriting.formats.errors import DamagedError, FormatError, MismatchError, MissingError
from handwriting.formats.exports import write_export
from handwriting.formats.labels import LabelRow, digest

ROWS = "emnist-export-labels.jsonl.gz"
TRAIN_IMAGES = "emnist-export-train-images-idx3-ubyte.gz"


def picture(key: int) -> bytes:
    return np.random.default_rng(key).integers(0, 256, 784, np.uint8).tobytes()


def pictures(keys: Sequence[int]) -> np.ndarray:
    return np.frombuffer(b"".join(map(picture, keys)), np.uint8).reshape(-1, 28, 28)


def row(key: int, label: str = "", *, split: str = "train", truth: str = "", data_set: str = "known") -> LabelRow:
    state = "control" if label else "unknown"
    return LabelRow(
        glyph=key,
        digest=digest(picture(key)).hex(),
        data_set=data_set,
        caseless=data_set == "caseless",
        split=split,
        state=state,
        label=label or None,
        given=None,
        truth=truth or None,
        posterior=0.5,
        distribution={"A": 0.5, "H": 0.5},
        unreadable=0.0,
        votes=3,
        sources=2,
    )


def write(path: Path, rows: list[LabelRow]) -> Path:
    write_export(path, [rows[start : start + 3] for start in range(0, len(rows), 3)], pictures, BALANCED.classes)
    return path


SOME = [row(1, "A", truth="A"), row(2, truth="B"), row(3, "c", split="test", data_set="caseless"), row(4, "7")]


def came_back(source: EmnistSource, size: int = 2) -> list[tuple[str, str, str, str, bytes]]:
    def glyphs(chunk: Chunk) -> list[tuple[str, str, str, str, bytes]]:
        said = zip(chunk.data_sets.tolist(), chunk.labels.tolist(), chunk.truths.tolist(), strict=True)
        return [(chunk.part, *words, image.tobytes()) for words, image in zip(said, chunk.images, strict=True)]

    return [glyph for chunk in source.chunks(size) for glyph in glyphs(chunk)]


def expected(rows: list[LabelRow]) -> list[tuple[str, str, str, str, bytes]]:
    in_order = sorted(rows, key=lambda row: row.split)
    return [(r.split, r.data_set, r.label or "", r.truth or "", picture(r.glyph)) for r in in_order]


characters = st.sampled_from(["", *digits, *ascii_letters, *"=+-@#\"'\\,~!"])


@st.composite
def any_rows(draw: st.DrawFn) -> list[LabelRow]:
    keys = sorted(draw(st.sets(st.integers(1, 10**6), max_size=12)))
    kinds = [(draw(characters), draw(characters), draw(st.sampled_from(["train", "test"]))) for _ in keys]
    names = [draw(st.sampled_from(["caseless", "known", "-1_x"])) for _ in keys]
    return [
        row(key, label, truth=truth, split=split, data_set=name)
        for key, (label, truth, split), name in zip(keys, kinds, names, strict=True)
    ]


@settings(deadline=None, max_examples=80)
@given(rows=any_rows(), zipped=st.booleans(), size=st.integers(1, 5))
def test_any_label_truth_part_set_and_picture_comes_back(rows, zipped, size):
    with tempfile.TemporaryDirectory() as place:
        source = open_files(write(Path(place) / ("out.zip" if zipped else "out"), rows))

        assert came_back(source, size) == expected(rows)
        assert source.data_sets == {row.data_set: row.caseless for row in rows}
        assert set(source.classes) == set(BALANCED.classes) | {row.label for row in rows if row.label}


def test_any_other_reader_of_idx_finds_pictures_and_label_numbers(tmp_path):
    place = write(tmp_path / "out", SOME)

    def content(name: str, magic: int, dimensions: int) -> np.ndarray:
        data = gzip.decompress((place / name).read_bytes())
        found, *shape = struct.unpack_from(f">{1 + dimensions}I", data)
        assert found == magic
        return np.frombuffer(data, np.uint8, offset=4 * (1 + dimensions)).reshape(shape)

    images = content(TRAIN_IMAGES, 0x803, 3)
    labels = content(TRAIN_IMAGES.replace("images-idx3", "labels-idx1"), 0x801, 1)
    mapping = [line.split() for line in (place / "emnist-export-mapping.txt").read_text().splitlines()]

    np.testing.assert_array_equal(images.transpose(0, 2, 1), pictures([1, 2, 4]))
    assert [number for number, _ in mapping] == [str(place) for place in range(len(mapping))]
    assert [chr(int(code)) for _, code in mapping[:47]] == list(BALANCED.classes)
    assert [int(mapping[label][1]) for label in labels] == [ord("A"), 0, ord("7")]


def test_where_all_have_labels_of_the_alphabet_the_mapping_is_emnists(tmp_path):
    place = write(tmp_path / "out", [row(1, "A"), row(2, "t", split="test")])

    codes = [line.split()[1] for line in (place / "emnist-export-mapping.txt").read_text().splitlines()]
    assert codes == [str(ord(name)) for name in BALANCED.classes]


def test_equal_exports_are_equal_files(tmp_path):
    assert write(tmp_path / "one.zip", SOME).read_bytes() == write(tmp_path / "two.zip", SOME).read_bytes()


def test_one_file_stands_for_its_part(tmp_path):
    place = write(tmp_path / "out", SOME)

    assert came_back(open_files(place / TRAIN_IMAGES)) == expected([row for row in SOME if row.split == "train"])
    assert came_back(open_files(place / ROWS)) == expected(SOME)


def test_beside_other_splits_it_is_asked_for_by_name(tmp_path):
    place = write(tmp_path / "out", SOME)
    (place / "emnist-digits-mapping.txt").write_text("0 48\n")

    with pytest.raises(MissingError, match="It has digits, export"):
        open_files(place)
    assert came_back(open_files(place, "export")) == expected(SOME)


def changed_row(place: Path, **fields: object) -> None:
    """Say something else in the first row."""
    first, *others = gzip.decompress((place / ROWS).read_bytes()).splitlines(keepends=True)
    (place / ROWS).write_bytes(
        gzip.compress(json.dumps(json.loads(first) | fields).encode() + b"\n" + b"".join(others))
    )


def replaced(name: str) -> Callable[[Path], None]:
    """Take a file from another export."""

    def replace(place: Path) -> None:
        write(place.parent / "other", [row(10 + r.glyph, r.label or "", split=r.split) for r in SOME])
        shutil.copy(place.parent / "other" / name, place / name)

    return replace


def cut(place: Path) -> None:
    lines = gzip.decompress((place / ROWS).read_bytes()).splitlines(keepends=True)
    (place / ROWS).write_bytes(gzip.compress(b"".join(lines[:-1])))


DAMAGES: dict[str, tuple[Callable[[Path], object], type[FormatError], str]] = {
    "no rows": (lambda place: (place / ROWS).unlink(), MissingError, f"lacks {ROWS}"),
    "rows of another export": (replaced(ROWS), MismatchError, "another picture at 1 of .*test-images"),
    "pictures of another export": (replaced(TRAIN_IMAGES), MismatchError, "another picture at 1 of .*train-images"),
    "a row too few": (cut, MismatchError, "has 2 rows for the 3 of"),
    "another label": (lambda place: changed_row(place, label="B"), MismatchError, "other labels"),
    "a label less": (lambda place: changed_row(place, label=None), MismatchError, "other labels"),
    "a label of two characters": (lambda place: changed_row(place, label="AB"), DamagedError, "line 1 .*label is 'AB'"),
    "a label that is a number": (lambda place: changed_row(place, label=7), DamagedError, "line 1 "),
    "a truth of two characters": (lambda place: changed_row(place, truth="AB"), DamagedError, "truth is 'AB'"),
    "no such part": (lambda place: changed_row(place, split="exam"), DamagedError, "split is 'exam'"),
    "a set that is no name": (lambda place: changed_row(place, data_set="../x"), DamagedError, "data_set is '../x'"),
    "a set of two kinds": (lambda place: changed_row(place, caseless=True), DamagedError, "line 2 says of known"),
    "a kind that is no kind": (lambda place: changed_row(place, caseless=1), DamagedError, "neither true nor false"),
    "a digest that is none": (lambda place: changed_row(place, digest="beef"), DamagedError, "digest is 'beef'"),
    "no JSON": (lambda place: (place / ROWS).write_bytes(gzip.compress(b"hello\n")), DamagedError, "line 1 is not"),
    "no object": (lambda place: (place / ROWS).write_bytes(gzip.compress(b"[1]\n")), DamagedError, "line 1 is not"),
    "one endless line": (
        lambda place: (place / ROWS).write_bytes(gzip.compress(b"[" * 10**6)),
        DamagedError,
        "line 1 ",
    ),
    "rows cut short": (lambda place: (place / ROWS).write_bytes((place / ROWS).read_bytes()[:-9]), DamagedError, ROWS),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_does_not_fit_together_is_refused(damage, tmp_path):
    spoil, kind, fault = DAMAGES[damage]
    place = write(tmp_path / "out", SOME)
    spoil(place)

    with pytest.raises(FormatError, match=fault) as caught:
        open_files(place)
    assert isinstance(caught.value, kind)
    assert str(place) in str(caught.value)


@settings(deadline=None, max_examples=200)
@given(bit=st.integers(0, 2**20))
def test_no_flipped_bit_changes_what_comes_out(bit, tmp_path_factory):
    place = tmp_path_factory.getbasetemp() / "flipped-export"
    place.mkdir(exist_ok=True)
    data = bytearray(write(place / "intact.zip", SOME).read_bytes())
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    (place / "flipped.zip").write_bytes(data)
    try:
        source = open_files(place / "flipped.zip")
    except FormatError:
        return
    assert came_back(source) == expected(SOME)


def test_more_glyphs_than_can_be_read_again_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(exports, "LIMIT", 2)

    with pytest.raises(MismatchError, match="more than 2 glyphs a part"):
        write(tmp_path / "out.zip", SOME)
    assert list(tmp_path.iterdir()) == []
