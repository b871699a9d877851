"""Whatever is known of a glyph is the same in every table."""

import csv
import json
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from handwriting.formats.labels import LabelRow
from handwriting.formats.tables import Batches, write_csv, write_jsonl, write_parquet

SIGNS = "=+-@\t\r"
"""With these a spreadsheet takes a cell for a formula."""

printable = st.characters(min_codepoint=33, max_codepoint=126)
maybe_character = st.none() | printable
share = st.floats(0, 1)
any_row = st.builds(
    LabelRow,
    glyph=st.integers(1, 2**62),
    digest=st.binary(min_size=16, max_size=16).map(bytes.hex),
    data_set=st.from_regex(r"[a-z0-9][-a-zA-Z0-9_]{0,20}", fullmatch=True),
    caseless=st.booleans(),
    split=st.sampled_from(["train", "test"]),
    state=st.sampled_from(["unknown", "accepted", "control", "disputed"]),
    label=maybe_character,
    given=maybe_character,
    truth=maybe_character,
    posterior=st.none() | share,
    distribution=st.none() | st.dictionaries(printable, share, max_size=5),
    unreadable=st.none() | share,
    votes=st.integers(0, 2**40),
    sources=st.integers(0, 2**40),
)
any_batches = st.lists(st.lists(any_row, min_size=1, max_size=4), max_size=4)
tables = settings(deadline=None, max_examples=60)


def rows_of(batches: Batches) -> list[dict]:
    return [row._asdict() for batch in batches for row in batch]


@tables
@given(batches=any_batches)
def test_jsonl_holds_what_is_known(batches):
    with tempfile.TemporaryDirectory() as place:
        write_jsonl(path := Path(place) / "out.jsonl", batches)

        assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == rows_of(batches)


@tables
@given(batches=any_batches)
def test_parquet_holds_what_is_known_in_types_of_its_own(batches):
    with tempfile.TemporaryDirectory() as place:
        write_parquet(path := Path(place) / "out.parquet", batches)
        table = parquet.read_table(path)

    assert table.column_names == list(LabelRow._fields)
    assert table.schema.field("distribution").type == pa.map_(pa.string(), pa.float64())
    assert table.to_pylist(maps_as_pydicts="strict") == rows_of(batches)


READ = {"glyph": int, "votes": int, "sources": int, "posterior": float, "unreadable": float, "distribution": json.loads}


def read_cell(name: str, cell: str) -> object:
    if name == "caseless":
        return cell == "True"
    return READ.get(name, str)(cell) if cell else None


@tables
@given(batches=any_batches)
def test_csv_holds_what_is_known_and_no_formula(batches):
    with tempfile.TemporaryDirectory() as place:
        write_csv(path := Path(place) / "out.csv", batches)
        with path.open(encoding="utf-8", newline="") as file:
            header, *cells = csv.reader(file)

    assert header == list(LabelRow._fields)
    found = [{name: read_cell(name, cell) for name, cell in zip(header, row, strict=True)} for row in cells]
    assert found == rows_of(batches)
    assert not [cell for row in cells for cell in row if len(cell) > 1 and cell[0] in SIGNS]


@pytest.mark.parametrize("write", [write_csv, write_jsonl, write_parquet])
def test_no_glyphs_are_a_table_too(write, tmp_path):
    write(tmp_path / "out", [])

    assert [path.name for path in tmp_path.iterdir()] == ["out"]
