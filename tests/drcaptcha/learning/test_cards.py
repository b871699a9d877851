"""A network that is taken along works without us."""

import io
import json
import os
import subprocess
import sys
import zipfile
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command

from drcaptcha.glyphs.models import DataSet
from drcaptcha.learning import cards, registry
from drcaptcha.learning.models import Ensemble, Network

pytestmark = [pytest.mark.django_db, pytest.mark.training]


def test_the_snippet_of_the_card_runs_outside_the_product(ensemble: Ensemble, tmp_path: Path) -> None:
    network = ensemble.networks.first()
    network.float_onnx.save("float.onnx", ContentFile(b"the float network"))
    call_command("exportnetwork", network.pk, tmp_path / "out", stdout=StringIO())
    readme = (tmp_path / "out/README.md").read_text()
    snippet = readme.split("```python\n")[1].split("```")[0]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DJANGO", "DRC"))
    }
    program = (
        snippet + "\nimport sys\nprint(sorted({'drcaptcha', 'handwriting', 'torch', 'django'} & set(sys.modules)))\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", program],
        cwd=tmp_path / "out",
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    glyph = np.zeros((1, 28, 28), np.uint8)
    glyph[0, 4:24, 13:15] = 255
    best = registry.classifier(network).probabilities(glyph)[0].argmax()
    character, loaded = run.stdout.splitlines()
    assert character.split()[0] == network.classes[best]
    assert loaded == "[]"


def test_the_card_tells_where_it_came_from(ensemble: Ensemble, tmp_path: Path) -> None:
    network = ensemble.networks.first()
    out = StringIO()
    call_command("exportnetwork", network.pk, tmp_path / "out", "--json", stdout=out)
    assert [Path(path).name for path in json.loads(out.getvalue())["files"]] == [
        "network.onnx",
        "card.json",
        "README.md",
    ]
    card = json.loads((tmp_path / "out/card.json").read_text())
    judged = network.evaluations.get()
    assert "".join(card["classes"]) == network.classes
    assert card["merged"]["c"] == "C"
    assert card["metrics"]["test_hash"] == judged.test_hash
    assert card["metrics"]["accuracy"] == judged.accuracy
    assert len(card["metrics"]["recall"]) == 47
    assert card["training"]["snapshot_hash"] == network.snapshot_hash
    assert card["training"]["data_sets"] == {DataSet.objects.get().name: 180}
    assert (card["serves"], card["temperature"]) == ("network.onnx", judged.temperature)
    assert "MIT" in card["licence"]


def test_the_float_network_goes_along_where_another_serves(ensemble: Ensemble) -> None:
    network = ensemble.networks.first()
    serving = network.onnx.open().read()
    network.float_onnx.save("float.onnx", ContentFile(b"larger"))
    found = cards.files(network)
    assert (found["int8.onnx"], found["float.onnx"]) == (serving, b"larger")
    network.float_onnx.save("float.onnx", ContentFile(serving))
    assert list(cards.files(network)) == ["float.onnx", "card.json", "README.md"]


def test_a_zip_has_the_same_files(ensemble: Ensemble) -> None:
    network = ensemble.networks.first()
    with zipfile.ZipFile(io.BytesIO(cards.archive(network))) as packed:
        content = {name.partition("/")[2]: packed.read(name) for name in packed.namelist()}
    assert content == cards.files(network)


def test_nothing_is_overwritten_and_what_is_missing_is_told(ensemble: Ensemble, tmp_path: Path) -> None:
    network = ensemble.networks.first()
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(CommandError, match="not an empty folder"):
        call_command("exportnetwork", network.pk, tmp_path)
    with pytest.raises(CommandError, match=rf"no network 999. There are: {network.pk} \(slim\)"):
        call_command("exportnetwork", 999, tmp_path / "out")
    network.onnx.storage.delete(network.onnx.name)
    with pytest.raises(CommandError, match="lost a file"):
        call_command("exportnetwork", network.pk, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert Network.objects.count() == 2
