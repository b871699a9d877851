from pathlib import Path

import pytest

from handwriting.formats.errors import FormatError
from handwriting.formats.placing import placed


def test_a_file_appears_when_it_is_whole(tmp_path: Path):
    with placed(tmp_path / "out") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "out").exists()

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").read_text() == "whole"


def test_a_folder_appears_when_it_is_whole(tmp_path: Path):
    with placed(tmp_path / "out", folder=True) as partial:
        (partial / "one").write_text("whole")

    assert [path.name for path in tmp_path.rglob("*")] == ["out", "one"]


@pytest.mark.parametrize("folder", [False, True])
@pytest.mark.parametrize("broken_off_by", [KeyboardInterrupt, OSError])
def test_broken_off_it_leaves_nothing(folder, broken_off_by, tmp_path):
    def write() -> None:
        with placed(tmp_path / "out", folder=folder) as partial:
            (partial / "one" if folder else partial).write_text("half")
            raise broken_off_by

    with pytest.raises(broken_off_by):
        write()
    assert list(tmp_path.iterdir()) == []


def test_broken_off_it_leaves_what_was_there(tmp_path):
    (tmp_path / "out").write_text("before")

    def write() -> None:
        with placed(tmp_path / "out") as partial:
            partial.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert [path.read_text() for path in tmp_path.iterdir()] == ["before"]


def test_a_link_stays_one(tmp_path):
    (tmp_path / "target").write_text("before")
    (tmp_path / "link").symlink_to("target")

    with placed(tmp_path / "link") as partial:
        partial.write_text("after")

    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "after"


@pytest.mark.parametrize(("name", "folder"), [("folder", False), ("folder", True), ("file", True)])
def test_it_replaces_nothing_but_a_file_by_a_file(name, folder, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("before")

    with pytest.raises(FormatError, match="is there already"), placed(tmp_path / name, folder=folder):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
