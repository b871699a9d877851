import hashlib
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from PIL import Image, ImageDraw

from drcaptcha.glyphs.models import DataSet, Glyph, Split
from tests.emnist_files import DIGITS, gzipped, some_glyphs, split_files, write, write_zip

pytestmark = pytest.mark.django_db

PARTS = {"train": some_glyphs(30), "test": some_glyphs(8, seed=1)}


@pytest.fixture(autouse=True)
def own_settings(settings, tmp_path: Path) -> None:
    settings.STATE = tmp_path / "state"
    settings.DRCAPTCHA_EMNIST = ""
    settings.DRCAPTCHA_MIN_CONTROLS = 10


@pytest.fixture
def emnist(tmp_path: Path) -> Path:
    return write(tmp_path / "emnist", gzipped(split_files("balanced", PARTS)))


@pytest.fixture
def run(capsys):
    """Run a command that prints JSON and return what it printed, which must be one value alone."""

    def run(*words: Any) -> dict[str, int]:
        capsys.readouterr()
        call_command(*map(str, words), "--json")
        printed: dict[str, int] = json.loads(capsys.readouterr().out)
        return printed

    return run


def test_importemnist_prints_its_figures(run, emnist):
    assert run("importemnist", emnist) == {"imported": 38, "skipped": 0, "train": 30, "test": 8, "classes": 47}


def test_importemnist_tells_people_what_it_did(emnist, capsys):
    call_command("importemnist", emnist)

    printed = capsys.readouterr()
    assert printed.out == "38 glyphs imported (30 to train, 8 to test), 0 were here before.\n"
    assert "Importing: 100%" in printed.err


def test_importemnist_is_silent_on_demand(emnist, capsys):
    call_command("importemnist", emnist, verbosity=0)

    assert capsys.readouterr().err == ""


def test_importemnist_reads_the_path_of_the_environment(run, emnist, settings):
    settings.DRCAPTCHA_EMNIST = str(emnist)

    assert run("importemnist")["imported"] == 38


def test_importemnist_imports_the_split_asked_for(run, emnist):
    write(emnist, split_files("digits", {"train": some_glyphs(7, rows=DIGITS), "test": some_glyphs(0)}, DIGITS))

    assert run("importemnist", emnist, "--split", "digits")["train"] == 7
    assert DataSet.objects.get().name == "emnist-digits"


def test_importemnist_says_what_is_wrong(emnist):
    (emnist / "emnist-balanced-mapping.txt").unlink()

    with pytest.raises(CommandError, match=r"lacks emnist-balanced-mapping\.txt"):
        call_command("importemnist", emnist)
    assert not Glyph.objects.exists()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    class Silent(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            pass

    (tmp_path / "served").mkdir()
    listening = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    listening.server_close()
    thread.join()


def test_importemnist_downloads_an_archive_once(run, server, tmp_path):
    archive = write_zip(tmp_path / "served" / "gzip.zip", gzipped(split_files("balanced", PARTS)))
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    words = ("importemnist", "--url", f"{server}/gzip.zip", "--md5", md5)

    assert run(*words)["imported"] == 38
    archive.unlink()
    assert run(*words)["skipped"] == 38


def test_importemnist_refuses_an_archive_with_another_checksum(server, tmp_path):
    write_zip(tmp_path / "served" / "gzip.zip", gzipped(split_files("balanced", PARTS)))

    with pytest.raises(CommandError, match="58c8d27c78d21e728a6bc7b3cc06412e"):
        call_command("importemnist", "--url", f"{server}/gzip.zip")
    assert not Glyph.objects.exists()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for character in "AB7":
        path = tmp_path / "Found letters" / character / "1.png"
        path.parent.mkdir(parents=True)
        picture = Image.new("L", (60, 60), 255)
        ImageDraw.Draw(picture).text((15, 5), character, fill=0, font_size=40)
        picture.save(path)
    return tmp_path / "Found letters"


def test_importfolder_prints_its_figures(run, pictures):
    assert run("importfolder", pictures) == {"imported": 3, "skipped": 0, "train": 3, "test": 0, "classes": 3}
    assert DataSet.objects.get().name == "found-letters"


def test_importfolder_takes_a_name_and_a_part(run, pictures):
    assert run("importfolder", pictures, "--name", "pupils", "--split", "test")["test"] == 3
    assert DataSet.objects.get().name == "pupils"


def test_importfolder_says_what_is_wrong(pictures):
    (pictures / "A" / "2.png").write_bytes(b"not a picture")

    with pytest.raises(CommandError, match=r"A/2\.png"):
        call_command("importfolder", pictures)
    assert not Glyph.objects.exists()


def test_removelabels_prints_its_figures(run, emnist):
    call_command("importemnist", emnist)

    assert run("removelabels", 20) == {"unlabelled": 20, "controls": 10}
    assert Glyph.objects.unknown().count() == 20
    assert Glyph.objects.filter(split=Split.TEST, label="").count() == 0
    assert not Glyph.objects.filter(truth="").exists()


def test_removelabels_keeps_what_controls_need(emnist):
    call_command("importemnist", emnist)

    with pytest.raises(CommandError, match="Only 20 labels can be removed"):
        call_command("removelabels", 21)
    assert not Glyph.objects.unknown().exists()
