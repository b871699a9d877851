"""Pictures in files and folders are named by the ensemble that serves, or by another that is asked for."""

import json
import os
import subprocess
import sys
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from PIL import Image, ImageDraw

from drcaptcha.errors import NotReady
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.learning import predicting, registry, scoring
from drcaptcha.learning.models import Ensemble, Evaluation

pytestmark = pytest.mark.training


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with two drawings, a text that is called a picture, a blank page, and things that are no pictures."""
    folder = tmp_path / "pictures"
    (folder / "b").mkdir(parents=True)
    image = Image.new("L", (90, 90), 255)
    ImageDraw.Draw(image).line([(20, 20), (60, 70)], fill=0, width=6)
    image.save(folder / "a.png")
    image.save(folder / "b/c.JPG")
    Image.new("L", (90, 90), 255).save(folder / "b/blank.png")
    (folder / "text.png").write_text("no picture")
    (folder / "notes.txt").write_text("passed over")
    (folder / ".hidden.png").write_text("passed over")
    return folder


def predicted(*arguments: object) -> list[dict[str, Any]]:
    out = StringIO()
    call_command("predict", *arguments, "--json", stdout=out)
    found: list[dict[str, Any]] = json.loads(out.getvalue())
    return found


def test_it_names_the_characters_of_glyphs(ensemble: Ensemble) -> None:
    glyphs = Glyph.objects.filter(split=Split.TEST)[:9]
    named = predicting.serving().guess(np.stack([glyph.array for glyph in glyphs]))
    assert sum(guesses[0][0] == glyph.label for guesses, glyph in zip(named, glyphs, strict=True)) >= 8
    for guesses in named:
        shares = [share for _, share in guesses]
        assert len(guesses) == 3
        assert shares == sorted(shares, reverse=True)
        assert 0 <= shares[-1] <= sum(shares) <= 1.0001


def test_the_temperature_of_the_evaluation_counts(ensemble: Ensemble) -> None:
    glyph = Glyph.objects.filter(split=Split.TEST)[0].array[np.newaxis]
    sure = predicting.serving().guess(glyph)[0][0]
    Evaluation.objects.update(temperature=4 * ensemble.evaluation.temperature)
    less_sure = predicting.serving().guess(glyph)[0][0]
    assert less_sure[0] == sure[0]
    assert less_sure[1] < sure[1] - 0.05


@pytest.mark.usefixtures("db")
def test_without_an_ensemble_it_is_not_ready(pictures: Path) -> None:
    with pytest.raises(NotReady, match="No networks"):
        predicting.serving()
    with pytest.raises(CommandError, match="No networks"):
        predicted(pictures)


def test_a_lost_file_is_not_ready_and_not_shown(ensemble: Ensemble) -> None:
    for network in ensemble.networks.all():
        Path(network.onnx.path).unlink()
    registry._load.cache_clear()
    with pytest.raises(NotReady) as fault:
        predicting.serving().guess(np.zeros((1, 28, 28), np.uint8))
    assert "networks/" not in fault.value.message
    names = [f"network {network.pk}" for network in ensemble.networks.order_by("pk")]
    assert f"{', '.join(names)} of the ensemble bars is lost" in fault.value.message


def test_the_command_reads_folders_in_order_and_tells_what_it_can_not_read(ensemble: Ensemble, pictures: Path) -> None:
    found = predicted(pictures, "--top", 2)
    assert [Path(one["file"]).relative_to(pictures).as_posix() for one in found] == [
        "a.png",
        "text.png",
        "b/blank.png",
        "b/c.JPG",
    ]
    assert [len(one["guesses"]) for one in found] == [2, 0, 0, 2]
    assert ["error" in one for one in found] == [False, True, True, False]
    assert "not a picture" in found[1]["error"]
    assert "blank" in found[2]["error"]
    assert set(found[0]["guesses"][0]) == {"character", "probability"}
    assert found[0]["guesses"][0]["probability"] >= found[0]["guesses"][1]["probability"] > 0


def test_the_command_takes_more_pictures_than_it_names_at_once(
    ensemble: Ensemble, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = predicted(pictures)
    monkeypatch.setattr(predicting, "BATCH", 1)
    one_by_one = predicted(pictures)
    assert [one["file"] for one in one_by_one] == [one["file"] for one in at_once]
    for one, other in zip(one_by_one, at_once, strict=True):
        assert [g["character"] for g in one["guesses"]] == [g["character"] for g in other["guesses"]]


def test_people_get_a_line_for_each_picture(ensemble: Ensemble, pictures: Path) -> None:
    out = StringIO()
    call_command("predict", pictures / "a.png", pictures / "text.png", stdout=out)
    named, refused = out.getvalue().splitlines()
    assert named.count("%") == 3
    assert "not a picture" in refused


def test_it_fails_only_where_nothing_could_be_read(ensemble: Ensemble, pictures: Path) -> None:
    assert len(predicted(pictures / "a.png", pictures / "gone.png")) == 2
    out = StringIO()
    with pytest.raises(CommandError, match="No picture could be read"):
        call_command("predict", pictures / "gone.png", pictures / "b/blank.png", "--json", stdout=out)
    missing, blank = json.loads(out.getvalue())
    assert "No such file" in missing["error"]
    assert "blank" in blank["error"]
    (pictures / "empty").mkdir()
    with pytest.raises(CommandError, match="No picture could be read"):
        predicted(pictures / "empty")


def test_another_ensemble_or_a_network_can_be_asked(ensemble: Ensemble, pictures: Path, now: datetime) -> None:
    path = pictures / "a.png"
    first, second = ensemble.networks.order_by("pk")
    alone = [predicted(path, "--network", one.pk)[0]["guesses"] for one in (first, second)]
    assert alone[0] != alone[1]
    other = Ensemble.objects.create(name="of one")
    other.memberships.create(network=second)
    scoring.evaluate(other, now=now)
    named = predicted(path, "--ensemble", other.pk)[0]["guesses"]
    assert [one["character"] for one in named] == [one["character"] for one in alone[1]]
    assert predicted(path) == predicted(path, "--ensemble", ensemble.pk)


def test_a_network_alone_has_a_temperature_of_its_own(ensemble: Ensemble, pictures: Path) -> None:
    network = ensemble.networks.first()
    sure = predicted(pictures / "a.png", "--network", network.pk)[0]["guesses"]
    network.evaluations.update(temperature=3.0)
    cooler = predicted(pictures / "a.png", "--network", network.pk)[0]["guesses"]
    assert cooler[0]["probability"] < sure[0]["probability"]
    network.evaluations.all().delete()
    assert predicted(pictures / "a.png", "--network", network.pk)[0]["guesses"] == sure


def test_what_is_not_there_is_told_with_what_is(ensemble: Ensemble, pictures: Path) -> None:
    with pytest.raises(CommandError, match=r"no ensemble 999. There are: .*bars"):
        predicted(pictures, "--ensemble", 999)
    with pytest.raises(CommandError, match=r"no network 999. There are: .*slim"):
        predicted(pictures, "--network", 999)
    empty = Ensemble.objects.create(name="empty")
    with pytest.raises(CommandError, match="never evaluated"):
        predicted(pictures, "--ensemble", empty.pk)
    with pytest.raises(CommandError, match="0 is not a number from 1"):
        predicted(pictures, "--top", "0")


def test_the_command_loads_no_training_framework(tmp_path: Path) -> None:
    program = (
        "import sys, django; django.setup(); import drcaptcha.learning.management.commands.predict;"
        "print([name for name in ('torch', 'matplotlib', 'onnx') if name in sys.modules])"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "drcaptcha.settings", "DRCAPTCHA_STATE": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
