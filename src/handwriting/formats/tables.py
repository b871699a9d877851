"""Tables of labels, one row a glyph, in batches, so that memory stays flat. A file appears when it is whole."""

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from handwriting.formats.labels import LabelRow
from handwriting.formats.placing import placed

Batches = Iterable[Sequence[LabelRow]]


def write_csv(path: Path, batches: Batches) -> None:
    """Write UTF-8 with a row of names; a distribution is a JSON object, what is not known is empty.

    A spreadsheet computes nothing from it: a sign that is a label stands alone in its cell, and the name of a data set
    has nothing but letters, digits, - and _.
    """
    with placed(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(LabelRow._fields)
        for batch in batches:
            writer.writerows(_cells(row) for row in batch)


def _cells(row: LabelRow) -> LabelRow:
    said = row.distribution
    text: Any = None if said is None else json.dumps(said, separators=(",", ":"))
    return row._replace(distribution=text)


def write_jsonl(path: Path, batches: Batches) -> None:
    """Write a JSON object a line; what is not known is null."""
    with placed(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        for batch in batches:
            file.writelines(f"{row.to_json()}\n" for row in batch)


def write_parquet(path: Path, batches: Batches) -> None:
    """Write Parquet; a distribution is a map from characters to probabilities.

    Raises:
        ModuleNotFoundError: PyArrow is not installed.
    """
    import pyarrow as pa  # noqa: PLC0415 -- Large, and only few have it.
    from pyarrow import parquet  # noqa: PLC0415

    types = {
        "glyph": pa.int64(),
        "caseless": pa.bool_(),
        "posterior": pa.float64(),
        "distribution": pa.map_(pa.string(), pa.float64()),
        "unreadable": pa.float64(),
        "votes": pa.int64(),
        "sources": pa.int64(),
    }
    schema = pa.schema([(name, types.get(name, pa.string())) for name in LabelRow._fields])
    with (
        placed(path) as partial,
        partial.open("wb") as file,  # Python tells better than PyArrow what is wrong with a place.
        parquet.ParquetWriter(file, schema, compression="zstd") as writer,
    ):
        for batch in batches:
            columns = zip(schema.types, zip(*batch, strict=True), strict=True)
            writer.write_batch(pa.record_batch([pa.array(values, of) for of, values in columns], schema=schema))
