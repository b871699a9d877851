"""Labels go out with what is behind them, and come in again."""

import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pyarrow import parquet

from drcaptcha.glyphs.models import DataSet, Glyph, Split, State
from drcaptcha.labelling import deciding, exporting
from drcaptcha.labelling.models import Decision, Miss, Vote
from handwriting.alphabet import BALANCED
from handwriting.formats import exports
from tests.emnist_files import LETTERS, gzipped, some_glyphs, split_files, write

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]
KINDS = {"csv": "out.csv", "jsonl": "out.jsonl", "parquet": "out.parquet", "idx": "out.zip"}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    """Run a command that prints JSON and return what it printed, which must be one value alone."""

    def run(*words: object) -> dict[str, Any]:
        capsys.readouterr()
        call_command(*map(str, words), "--json")
        printed: dict[str, Any] = json.loads(capsys.readouterr().out)
        return printed

    return run


@pytest.fixture
def rows(tmp_path: Path) -> Callable[..., dict[int, dict[str, Any]]]:
    """Export and return the rows by glyph."""

    def rows(*words: str) -> dict[int, dict[str, Any]]:
        call_command("exportlabels", "--format", "jsonl", str(tmp_path / "out.jsonl"), *words, verbosity=0)
        return {row["glyph"]: row for row in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())}

    return rows


@pytest.fixture
def lively(make_glyph: MakeGlyph, vote: Callable[..., Glyph]) -> dict[str, Glyph]:
    """A glyph in each state, two data sets and both parts; by what they are."""

    def voted(answers: str, truth: str) -> Glyph:
        glyph = make_glyph(truth=truth)
        for visitor, typed in enumerate(answers):
            glyph = vote(glyph, typed, visitor)
        return glyph

    return {
        "given": make_glyph("A"),
        "given otherwise": make_glyph("c", truth="e"),
        "caseless": make_glyph("B", caseless=True),
        "test": make_glyph("7", split=Split.TEST),
        "unknown": make_glyph(truth="Q"),
        "without a truth": make_glyph(),
        "provisional": voted("1", "1"),
        "accepted": voted("MM", "M"),
        "accepted wrongly": voted("HH", "N"),
        "disputed": voted("O0O0O0", "O"),
        "unreadable": voted("????", "K"),
    }


def test_it_tells_how_many_went_where(lively, run, tmp_path, capsys):
    path = tmp_path / "out.csv"

    assert run("exportlabels", "--format", "csv", path) == {"exported": 11, "file": str(path)}
    call_command("exportlabels", "--format", "csv", str(path))
    printed = capsys.readouterr()
    assert printed.out == f"11 glyphs exported to {path}.\n"
    assert "Exporting: 100%" in printed.err
    call_command("exportlabels", "--format", "csv", str(path), verbosity=0)
    assert capsys.readouterr().err == ""


def test_a_row_tells_what_is_known_of_a_glyph(lively, rows):
    found = {name: rows()[glyph.pk] for name, glyph in lively.items()}

    assert {name: row["state"] for name, row in found.items()} == {
        "given": "control",
        "given otherwise": "control",
        "caseless": "control",
        "test": "control",
        "unknown": "unknown",
        "without a truth": "unknown",
        "provisional": "provisional",
        "accepted": "accepted",
        "accepted wrongly": "accepted",
        "disputed": "disputed",
        "unreadable": "unreadable",
    }
    for name, glyph in lively.items():
        row = found[name]
        assert (row["label"] or "", row["given"] or "", row["truth"] or "") == (glyph.label, glyph.given, glyph.truth)
        assert (row["data_set"], row["caseless"]) == (glyph.data_set.name, glyph.data_set.caseless)
        assert (row["split"], row["digest"]) == (glyph.split, glyph.digest.hex())
    assert found["accepted wrongly"]["label"] == "H"
    assert found["accepted wrongly"]["truth"] == "N"


def test_the_posterior_is_the_one_that_the_administration_shows(lively, rows):
    found = rows()

    for name in ("provisional", "accepted", "disputed", "unreadable"):
        glyph = lively[name]
        assert found[glyph.pk]["posterior"] == pytest.approx(glyph.posterior, abs=2 * deciding.CLOSE)


def test_what_is_disputed_has_a_distribution_and_no_label(lively, rows):
    row = rows()[lively["disputed"].pk]

    assert row["label"] is None
    assert list(row["distribution"])[:2] in (["O", "0"], ["0", "O"])
    assert min(row["distribution"]["O"], row["distribution"]["0"]) > 0.3
    assert sum(row["distribution"].values()) == pytest.approx(1, abs=0.01)


def test_what_people_can_not_read_says_so(lively, rows):
    found = rows()

    assert found[lively["unreadable"].pk]["unreadable"] > 0.9
    assert found[lively["accepted"].pk]["unreadable"] < 0.01


def test_without_evidence_there_is_no_distribution(lively, rows, set_prior, make_glyph):
    told = make_glyph()
    set_prior(told, K=0.9)
    found = rows()

    assert found[lively["unknown"].pk]["distribution"] is None
    assert found[lively["unknown"].pk]["posterior"] is None
    assert found[lively["unknown"].pk]["unreadable"] is None
    assert found[told.pk]["distribution"]["K"] > 0.8
    assert found[lively["given"].pk]["distribution"]["A"] > 0.9


def test_votes_are_all_and_sources_those_that_count(make_glyph, vote, rows):
    glyph = make_glyph()
    for visitor, typed in [(1, "M"), (1, "M"), (1, "N"), (2, "M"), (3, "!")]:
        vote(glyph, typed, visitor)

    row = rows()[glyph.pk]
    assert (row["votes"], row["sources"]) == (5, 2)


def test_votes_from_before_the_label_was_taken_away_are_in_the_log_but_do_not_count(lively, rows):
    glyph = lively["accepted"]
    last = glyph.votes.latest("created").created
    Glyph.objects.filter(pk=glyph.pk).update(label="", state=State.UNKNOWN, heard_from=last.replace(year=2027))

    row = rows()[glyph.pk]
    assert (row["votes"], row["sources"], row["distribution"]) == (2, 0, None)


def test_every_format_says_the_same(lively, tmp_path):
    for kind, name in KINDS.items():
        call_command("exportlabels", "--format", kind, str(tmp_path / name), verbosity=0)

    said = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert parquet.read_table(tmp_path / "out.parquet").to_pylist(maps_as_pydicts="strict") == said
    with (tmp_path / "out.csv").open(newline="") as file:
        cells = list(csv.DictReader(file))
    assert [row["label"] for row in cells] == [row["label"] or "" for row in said]
    assert [json.loads(row["distribution"] or "null") for row in cells] == [row["distribution"] for row in said]


def test_only_some_states_are_exported(lively, rows):
    found = rows("--states", "accepted,disputed")

    assert {row["state"] for row in found.values()} == {"accepted", "disputed"}
    assert len(found) == 3


def test_only_one_data_set_is_exported(lively, rows):
    assert list(rows("--data-set", "caseless")) == [lively["caseless"].pk]
    assert rows("--data-set", "caseless", "--states", "unknown") == {}


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["--states", "accepted,certain"], r"no state certain\. There are: unknown, provisional, accepted"),
        (["--data-set", "nist"], r"no data set nist\. There are: caseless, known"),
    ],
)
def test_it_says_what_there_is_to_choose(words, fault, lively, tmp_path):
    with pytest.raises(CommandError, match=fault):
        call_command("exportlabels", "--format", "csv", str(tmp_path / "out.csv"), *words)
    assert list(tmp_path.iterdir()) == []


def test_batches_leave_nothing_out(lively, run, rows, tmp_path, monkeypatch):
    whole = rows()
    monkeypatch.setattr(exporting, "BATCH", 2)
    monkeypatch.setattr(exports, "BATCH", 2)

    assert rows() == whole
    assert list(rows()) == sorted(glyph.pk for glyph in lively.values())
    assert run("exportlabels", "--format", "idx", tmp_path / "out.zip")["exported"] == len(whole)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_exported_where_there_is_nothing(kind, run, tmp_path):
    path = tmp_path / KINDS[kind]

    assert run("exportlabels", "--format", kind, path)["exported"] == 0
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c_leaves_what_was_there(kind, lively, tmp_path, monkeypatch):
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / KINDS[kind]
    path.write_text("from yesterday")
    monkeypatch.setattr(exporting, "weigh", interrupt)

    with pytest.raises(CommandError, match="Nothing was written") as caught:
        call_command("exportlabels", "--format", kind, str(path))
    assert caught.value.returncode == 130
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [(path.name, "from yesterday")]


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_ctrl_c_among_the_pictures_leaves_nothing(name, lively, tmp_path, monkeypatch):
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(exports, "turned", interrupt)

    with pytest.raises(CommandError, match="Nothing was written"):
        call_command("exportlabels", "--format", "idx", str(tmp_path / name))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_place_that_is_not_there_is_named(kind, lively, tmp_path):
    path = tmp_path / "nowhere" / KINDS[kind]

    with pytest.raises(CommandError, match=r"nowhere/out\.\w+ can't be written: No such file or directory"):
        call_command("exportlabels", "--format", kind, str(path))


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_is_not_replaced(kind, lively, tmp_path):
    with pytest.raises(CommandError, match="is there already"):
        call_command("exportlabels", "--format", kind, str(tmp_path))


def test_it_says_how_to_get_parquet(lively, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    with pytest.raises(CommandError, match=r"pip install 'drcaptcha\[parquet\]'"):
        call_command("exportlabels", "--format", "parquet", str(tmp_path / "out.parquet"))
    assert list(tmp_path.iterdir()) == []


def what_lasts() -> list[tuple[Any, ...]]:
    """All that an export brings over, in the order of the pictures."""
    fields = ("picture", "digest", "split", "label", "truth", "data_set__name", "data_set__caseless")
    return list(Glyph.objects.order_by("digest").values_list(*fields))


def empty() -> None:
    for model in (Vote, Miss, Decision, Glyph, DataSet):
        model.objects.all().delete()


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_an_export_comes_in_again_as_it_was(name, lively, run, tmp_path):
    before = what_lasts()
    run("exportlabels", "--format", "idx", tmp_path / name)
    empty()

    assert run("importemnist", tmp_path / name) == {
        "imported": 11,
        "skipped": 0,
        "train": 10,
        "test": 1,
        "classes": len(BALANCED) + 1,
    }
    assert what_lasts() == before
    for glyph in Glyph.objects.all():
        assert glyph.given == glyph.label
        assert glyph.state == (State.CONTROL if glyph.label else State.UNKNOWN)
    assert run("importemnist", tmp_path / name)["skipped"] == 11


def test_any_set_of_emnists_survives_the_journey(run, tmp_path):
    for split, table in (("balanced", None), ("letters", LETTERS)):
        rows = {"rows": table} if table else {}
        parts = {
            "train": some_glyphs(30, seed=len(split), **rows),
            "test": some_glyphs(7, seed=99 + len(split), **rows),
        }
        folder = write(tmp_path / split, gzipped(split_files(split, parts, *rows.values())))
        run("importemnist", folder, "--split", split)
    before = what_lasts()
    run("exportlabels", "--format", "idx", tmp_path / "out.zip")
    empty()

    assert run("importemnist", tmp_path / "out.zip")["imported"] == 74
    assert what_lasts() == before
    assert dict(DataSet.objects.values_list("name", "caseless")) == {"emnist-balanced": False, "emnist-letters": True}


def test_the_labels_of_votes_last_without_their_votes(lively, run, tmp_path):
    run("exportlabels", "--format", "idx", tmp_path / "out.zip")
    empty()
    run("importemnist", tmp_path / "out.zip")
    before = what_lasts()

    assert run("relabel")["moved"] == 0
    assert what_lasts() == before


def test_some_states_can_be_brought_over_alone(lively, run, tmp_path):
    run("exportlabels", "--format", "idx", tmp_path / "out.zip", "--states", "control")
    empty()

    assert run("importemnist", tmp_path / "out.zip")["imported"] == 4
    assert not Glyph.objects.filter(label="").exists()


def test_a_set_of_another_kind_stops_the_import(lively, run, tmp_path):
    run("exportlabels", "--format", "idx", tmp_path / "out.zip")
    empty()
    DataSet.objects.create(name="caseless", caseless=False)

    with pytest.raises(CommandError, match="labels of another kind"):
        call_command("importemnist", str(tmp_path / "out.zip"))
    assert not Glyph.objects.exists()
    assert DataSet.objects.count() == 1


def test_a_damaged_export_adds_nothing(lively, run, tmp_path):
    run("exportlabels", "--format", "idx", tmp_path / "out.zip")
    empty()
    data = bytearray((tmp_path / "out.zip").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "out.zip").write_bytes(data)

    with pytest.raises(CommandError, match=r"out\.zip"):
        call_command("importemnist", str(tmp_path / "out.zip"))
    assert not Glyph.objects.exists()
    assert not DataSet.objects.exists()


def test_what_came_in_by_an_export_goes_out_the_same(lively, run, rows, tmp_path):
    run("exportlabels", "--format", "idx", tmp_path / "out.zip")
    empty()
    run("importemnist", tmp_path / "out.zip")
    came = {row["digest"]: row for row in rows().values()}

    for glyph in lively.values():
        row = came[glyph.digest.hex()]
        assert (row["label"] or "", row["truth"] or "") == (glyph.label, glyph.truth)
        assert (row["votes"], row["sources"]) == (0, 0)
