import json
import os
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from drcaptcha.learning import registry, validation
from drcaptcha.learning.experiments import Step
from drcaptcha.learning.management.commands import train
from drcaptcha.learning.models import Ensemble, Membership, Network, Promotion

pytestmark = pytest.mark.training


def printed(*arguments: object, **options: object) -> dict[str, object]:
    out = StringIO()
    call_command(*arguments, stdout=out, **options)
    found: dict[str, object] = json.loads(out.getvalue())
    return found


@pytest.mark.usefixtures("material")
def test_train_prints_one_value_and_shows_progress_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("train", "--networks=slim", "--epochs=2", "--batch-size=16", "--seed=3", "--name=quick", "--json")
    out, err = capsys.readouterr()
    network = Network.objects.get()
    figures = json.loads(out)
    assert (figures["ensemble"], figures["accuracy"]) == (Ensemble.objects.get(name="quick").pk, network.accuracy)
    assert figures["networks"] == [
        {
            "id": network.pk,
            "architecture": "slim",
            "accuracy": network.accuracy,
            "seconds": round(network.seconds, 1),
            "weight": 1.0,
        }
    ]
    assert "slim: epoch 2 of 2" in err
    assert network.seed == 3


def test_evaluateensemble_prints_the_same_figures(ensemble: Ensemble) -> None:
    figures = printed("evaluateensemble", ensemble.pk, "--json")
    assert figures["ensemble"] == ensemble.pk
    assert ensemble.evaluation is not None
    judged = ensemble.evaluation
    for name in ("accuracy", "macro_f1", "top3", "folded", "log_loss", "brier", "ece", "test_hash", "temperature"):
        assert figures[name] == getattr(judged, name)
    assert figures["interval"] == [judged.share.low, judged.share.high]
    assert figures["serves"] is True
    assert ensemble.evaluations.count() == 2


def test_normalizeensembleweights_scales_and_judges(ensemble: Ensemble) -> None:
    ensemble.memberships.update(weight=5)
    assert printed("normalizeensembleweights", ensemble.pk, "--json")["ensemble"] == ensemble.pk
    assert [member.weight for member in ensemble.memberships.all()] == [0.5, 0.5]
    assert ensemble.evaluations.count() == 2


def test_people_get_a_line_for_each_network(ensemble: Ensemble) -> None:
    out = StringIO()
    call_command("evaluateensemble", ensemble.pk, stdout=out)
    lines = out.getvalue().splitlines()
    assert lines[0].startswith(f"Ensemble {ensemble.pk} (bars):")
    assert [line.split(",")[1].split(":")[0].strip() for line in lines[-2:]] == ["slim", "slim"]
    assert "ECE" in lines[2]
    assert lines[3] == "  It serves."


def test_optimizeensembleweights_weighs_and_judges(ensemble: Ensemble, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="validation glyphs"):
        call_command("optimizeensembleweights", ensemble.pk)
    monkeypatch.setattr(validation, "FEWEST", 3)
    figures = printed("optimizeensembleweights", ensemble.pk, "--json", "--pooling=logarithm")
    assert figures["pooling"] == "logarithm"
    assert sum(row["weight"] for row in figures["networks"]) == pytest.approx(1)
    ensemble.refresh_from_db()
    assert figures["temperature"] == ensemble.evaluation.temperature


def rival(ensemble: Ensemble) -> Ensemble:
    other = Ensemble.objects.create(name="rival")
    Membership.objects.create(ensemble=other, network=ensemble.networks.first())
    return other


def test_compareensembles_tells_whether_they_differ(ensemble: Ensemble) -> None:
    other = rival(ensemble)
    with pytest.raises(CommandError, match=f"evaluateensemble {other.pk}"):
        call_command("compareensembles", ensemble.pk, other.pk)
    call_command("evaluateensemble", other.pk, stdout=StringIO())
    found = printed("compareensembles", ensemble.pk, other.pk, "--json")
    assert [found[side]["ensemble"] for side in ("one", "other")] == [ensemble.pk, other.pk]
    assert found["only_one"] - found["only_other"] == round(
        60 * (found["one"]["accuracy"] - found["other"]["accuracy"])
    )
    out = StringIO()
    call_command("compareensembles", ensemble.pk, other.pk, stdout=out)
    assert "McNemar" in out.getvalue()


def test_promoteensemble_and_back(ensemble: Ensemble) -> None:
    other = rival(ensemble)
    call_command("evaluateensemble", other.pk, stdout=StringIO())
    assert printed("promoteensemble", other.pk, "--reason=smaller", "--json")["ensemble"] == other.pk
    assert (registry.champion().ensemble, Promotion.objects.last().reason) == (other, "smaller")
    out = StringIO()
    call_command("promoteensemble", "--former", stdout=out)
    assert out.getvalue().startswith(f"Ensemble {ensemble.pk} (bars) serves.")
    with pytest.raises(CommandError, match="serves already"):
        call_command("promoteensemble", ensemble.pk)


@pytest.mark.parametrize("command", ["evaluateensemble", "normalizeensembleweights", "optimizeensembleweights"])
def test_an_unknown_ensemble_is_told_with_those_that_there_are(command: str, ensemble: Ensemble) -> None:
    with pytest.raises(CommandError, match=rf"no ensemble 999. There are: {ensemble.pk} \(bars\)"):
        call_command(command, 999)


@pytest.mark.usefixtures("db")
def test_train_says_what_is_missing() -> None:
    with pytest.raises(CommandError, match="importemnist"):
        call_command("train")
    with pytest.raises(CommandError, match=r"no network resnet.*compact"):
        call_command("train", "--networks=resnet")


@pytest.mark.usefixtures("material")
def test_train_ends_after_so_many_steps_or_minutes(capsys: pytest.CaptureFixture[str]) -> None:
    for option in ("--steps=7", "--minutes=0.005"):
        call_command("train", "--networks=slim", option, "--balance=0.25", "--batch-size=16", "--json")
    assert "left" in capsys.readouterr().err
    steps, minutes = Network.objects.order_by("pk")
    assert (steps.history["steps"], steps.history["balance"], minutes.history["minutes"]) == (7, 0.25, 0.005)
    with pytest.raises(CommandError, match="not allowed with"):
        call_command("train", "--steps=7", "--minutes=1")


def test_train_says_how_to_get_torch(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None;"
        "from django.core.management import execute_from_command_line; execute_from_command_line(['', 'train'])"
    )
    environment = os.environ | {"DJANGO_SETTINGS_MODULE": "drcaptcha.settings", "DRCAPTCHA_STATE": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "needs the package torch" in run.stderr
    assert "pip install 'drcaptcha[train]'" in run.stderr
    assert "Traceback" not in run.stderr


def test_ctrl_c_after_the_first_network_shows_its_figures_and_says_that_it_was_stopped(
    material: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(_: train.Bars, step: Step) -> None:
        if step.batch and step.share > 0.6:
            raise KeyboardInterrupt

    monkeypatch.setattr(train.Bars, "show", stop)
    with pytest.raises(CommandError, match="1 of 2 networks were finished and kept") as stopped:
        call_command("train", "--networks=slim,slim", "--epochs=1", "--json")
    assert stopped.value.returncode == 130
    assert json.loads(capsys.readouterr().out)["ensemble"] == Ensemble.objects.get().pk


def test_ctrl_c_before_the_first_network_says_how_to_go_on(material: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train.Bars, "show", stop)
    with pytest.raises(CommandError, match="The same command goes on"):
        call_command("train")
