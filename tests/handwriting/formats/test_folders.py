from pathlib import Path

import pytest

from handwriting.alphabet import ALPHABETS, BALANCED, BYCLASS, Alphabet
from handwriting.formats.errors import MissingError
from handwriting.formats.folders import find_pictures, label_of


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("A", "A"),
        ("a", "a"),
        ("c", "c"),
        ("7", "7"),
        ("41", "A"),
        ("61", "a"),
        ("4a", "J"),
        ("4A", "J"),
        ("30", "0"),
        ("10", None),
        ("ff", None),
        (" 7", None),
        ("AB", None),
        ("unknown", None),
        ("ß", None),
        ("", None),
    ],
)
def test_a_folder_is_named_by_its_character_or_its_code(name, label):
    assert label_of(name, BYCLASS) == label
    assert label_of(name, BALANCED) == label


def test_a_character_that_the_alphabet_lacks_is_no_label():
    digits = Alphabet("digits", tuple("0123456789"))
    assert label_of("A", digits) is None
    assert label_of("41", digits) is None


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=lambda alphabet: alphabet.name)
def test_every_class_can_be_named_both_ways(alphabet):
    for character in alphabet.classes:
        assert label_of(character, alphabet) == label_of(f"{ord(character):02x}", alphabet) == character


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(folder: Path) -> dict[str, str | None]:
    return {str(picture.path.relative_to(folder)): picture.label for picture in find_pictures(folder, BALANCED)}


def test_the_nearest_folder_that_names_a_class_labels_a_picture(tmp_path):
    touch(tmp_path, "A/1.png", "61/train_61/2.JPG", "B/writer 3/e/3.webp", "4.gif", "unknown/5.bmp")

    assert found(tmp_path) == {
        "4.gif": None,
        "61/train_61/2.JPG": "a",
        "A/1.png": "A",
        "B/writer 3/e/3.webp": "e",
        "unknown/5.bmp": None,
    }


def test_the_folder_itself_may_name_a_class(tmp_path):
    touch(tmp_path, "Q/1.png")

    assert found(tmp_path / "Q") == {"1.png": "Q"}


def test_other_files_and_hidden_ones_are_passed_over(tmp_path):
    touch(tmp_path, "A/1.png", "A/Thumbs.db", "A/.2.png", ".cache/A/3.png", "README.md", "A/noending")

    assert found(tmp_path) == {"A/1.png": "A"}


def test_the_order_does_not_depend_on_the_disk(tmp_path):
    touch(tmp_path, *(f"{character}/{number}.png" for character in "CAB" for number in (3, 1, 2)))

    assert list(found(tmp_path)) == [f"{character}/{number}.png" for character in "ABC" for number in (1, 2, 3)]


def test_it_refuses_a_folder_without_pictures(tmp_path):
    touch(tmp_path, "A/notes.txt")

    with pytest.raises(MissingError, match="holds no pictures"):
        find_pictures(tmp_path, BALANCED)


def test_it_refuses_what_is_no_folder(tmp_path):
    touch(tmp_path, "A.png")

    with pytest.raises(MissingError, match="no such folder"):
        find_pictures(tmp_path / "A.png", BALANCED)
