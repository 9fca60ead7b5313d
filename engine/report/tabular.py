# SPDX-License-Identifier: Apache-2.0
"""Write, read and check tables against their description."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from .tables import TABLES, Column, Table

DTYPES = {"text": "str", "int": "Int64", "float": "float64", "bool": "boolean"}
"""pandas type of each kind of column; an integer may be missing."""

ARROW = {"text": pa.string(), "int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
"""Parquet type of each kind of column."""

ROWS = 1 << 17
"""Rows of a group of Parquet, which is read and written at once: 15 MB of the widest table."""


def ordered(table: Table, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of ``frame`` with the table's columns and types, sorted by its key.

    Raises ValueError where the frame is not what the table's description says.
    """
    if list(frame.columns) != table.names:
        raise ValueError(f"{table.name}: expected {table.names}, found {list(frame.columns)}")
    typed = pd.DataFrame({c.name: _typed(table, c, frame[c.name]) for c in table.columns})
    rows = typed.sort_values(list(table.key), kind="stable", ignore_index=True)
    if faults := list(_row_faults(table, rows)):
        raise ValueError("; ".join(faults))
    return rows


def _typed(table: Table, column: Column, values: "pd.Series[Any]") -> "pd.Series[Any]":
    if column.kind == "text":
        # Millions of pixels say the same few words: each is looked at once.
        places, words = pd.factorize(values)
        text = [*(str(word) or None for word in words), None]  # the last for -1, a missing one
        return pd.Series(np.array(text, object)[places], dtype="str")
    try:
        numbers = values.reset_index(drop=True).astype(cast(Any, DTYPES[column.kind]))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{table.name}: expected values of {column.name} of type {column.kind}: {error}"
        ) from error
    # A negative zero would print as one, and be a difference of bytes without one of value.
    return numbers + 0.0 if column.kind == "float" else numbers


def _row_faults(table: Table, rows: pd.DataFrame) -> Iterator[str]:
    for column in table.columns:
        values = rows[column.name]
        if values.isna().any() and (not column.blank or column.name in table.key):
            yield f"{table.name}: expected a value of {column.name} in every row, found a blank"
        if column.kind == "float" and np.isinf(values.to_numpy()).any():
            yield f"{table.name}: expected finite values of {column.name}, found an infinite one"
    twice = rows[rows.duplicated(list(table.key))]
    if len(twice):
        found = tuple(twice[list(table.key)].iloc[0])
        yield f"{table.name}: expected each of {table.key} once, found {found} again"


def csv_bytes(table: Table, frame: pd.DataFrame) -> bytes:
    """``frame`` as the CSV file of ``table``: the same bytes for the same values in any order.

    Real numbers have as many digits as it takes to read them back exactly. Raises ValueError
    where the frame is not what the table's description says.
    """
    rows = ordered(table, frame)
    columns = [[_cell(c, value) for value in rows[c.name]] for c in table.columns]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.names)
    writer.writerows(zip(*columns))
    return text.getvalue().encode()


def _cell(column: Column, value: Any) -> str:
    if pd.isna(value):
        return ""
    if column.kind == "bool":
        return "true" if value else "false"
    if column.kind == "float" and not (column.whole and float(value).is_integer()):
        return repr(float(value))
    return str(int(value)) if column.kind == "float" else str(value)


def write(path: Path, name: str, frame: pd.DataFrame) -> None:
    """Write ``frame`` as the table ``name`` to ``path``.

    Raises ValueError where the frame is not what the table's description says.
    """
    table = TABLES[name]
    if table.suffix == "csv":
        path.write_bytes(csv_bytes(table, frame))
        return
    rows = ordered(table, frame)
    groups = range(0, max(1, len(rows)), ROWS)
    _write_groups(path, table, (_arrow(table, rows.iloc[first : first + ROWS]) for first in groups))


def write_parts(path: Path, name: str, parts: Iterable[pd.DataFrame]) -> None:
    """Write the Parquet table ``name``, which may be too large to hold, to ``path``.

    ``parts`` are its rows in the order of its key; however they are cut the bytes are the same.
    Raises ValueError where a part is not what the table's description says, or out of order.
    """
    table = TABLES[name]
    _write_groups(path, table, _groups(table, parts))


def _groups(table: Table, parts: Iterable[pd.DataFrame]) -> Iterator[pa.Table]:
    """The rows of ``parts``, ``ROWS`` at a time."""
    held, last = _schema(table).empty_table(), None
    for part in parts:
        if not len(part):
            continue
        rows = ordered(table, part)
        ends = [tuple(rows[list(table.key)].iloc[end]) for end in (0, -1)]
        if last is not None and not last < ends[0]:
            raise ValueError(f"{table.name}: expected rows after {last}, found {ends[0]}")
        last = ends[1]
        held = pa.concat_tables([held, _arrow(table, rows)])
        while held.num_rows > ROWS:
            yield held.slice(0, ROWS)
            held = held.slice(ROWS)
    yield held


def _schema(table: Table) -> pa.Schema:
    return pa.schema([(column.name, ARROW[column.kind]) for column in table.columns])


def _arrow(table: Table, rows: pd.DataFrame) -> pa.Table:
    schema = _schema(table)
    arrays = [pa.array(rows[field.name], type=field.type, from_pandas=True) for field in schema]
    return pa.table(arrays, schema=schema)


def _write_groups(path: Path, table: Table, groups: Iterable[pa.Table]) -> None:
    """Write row groups, none of more than ``ROWS`` rows."""
    with pq.ParquetWriter(path, _schema(table), compression="zstd") as file:
        for group in groups:
            file.write_table(group.combine_chunks(), row_group_size=ROWS)


def read_parts(path: Path, name: str) -> Iterator[pd.DataFrame]:
    """The Parquet table ``name`` in the file ``path``, a row group at a time.

    Raises ValueError where the file is not what the table's description says.
    """
    with pq.ParquetFile(path) as file:
        for group in range(file.num_row_groups):
            yield ordered(TABLES[name], file.read_row_group(group).to_pandas())


def read(path: Path, name: str) -> pd.DataFrame:
    """The table ``name`` in the file ``path``.

    Raises ValueError where the file is not what the table's description says.
    """
    table = TABLES[name]
    if table.suffix == "parquet":
        return ordered(table, pq.read_table(path).to_pandas())
    rows = list(csv.reader(io.StringIO(path.read_bytes().decode(), newline=""), strict=True))
    if not rows or rows[0] != table.names or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError(f"{path}: expected rows of {table.names}, found {rows[:1]}")
    columns = zip(table.columns, zip(*rows[1:])) if rows[1:] else ((c, ()) for c in table.columns)
    return ordered(table, pd.DataFrame({c.name: _parsed(path, c, cells) for c, cells in columns}))


PARSERS: dict[str, Callable[[str], Any]] = {
    "text": str,
    "int": int,
    "float": float,
    "bool": {"true": True, "false": False}.__getitem__,
}
"""How a cell of each kind is read."""


def _parsed(path: Path, column: Column, cells: tuple[str, ...]) -> "pd.Series[Any]":
    try:
        values = [None if cell == "" else PARSERS[column.kind](cell) for cell in cells]
    except (ValueError, KeyError) as error:
        raise ValueError(
            f"{path}: expected values of {column.name} of type {column.kind}: {error}"
        ) from error
    return pd.Series(values, dtype=DTYPES[column.kind])


def check_run_tables(folder: Path) -> list[str]:
    """What is wrong with the tables of the run in ``folder``; nothing where all is well."""
    faults = []
    known = {table.file: table for table in TABLES.values()}
    for path in sorted((folder / "tables").glob("*")):
        if path.name.startswith("."):
            continue  # unfinished
        table = known.get(path.relative_to(folder).as_posix())
        if table is None:
            faults.append(f"{path}: expected a table that is described, found an unknown one")
            continue
        try:
            frame = read(path, table.name)
        except (ValueError, pa.ArrowException) as error:
            faults.append(f"{path}: {error}")
            continue
        faults += [f"{path}: {fault}" for fault in _file_faults(path, table, frame)]
    return faults


def _file_faults(path: Path, table: Table, frame: pd.DataFrame) -> Iterator[str]:
    """What the values, once parsed, no longer show: types of Parquet, form of the text, order."""
    if table.suffix == "parquet":
        schema = pq.read_schema(path)
        if [(f.name, f.type) for f in schema] != [(c.name, ARROW[c.kind]) for c in table.columns]:
            yield f"expected the types of {table.columns}, found {schema}"
        written = pq.read_table(path).to_pandas()[list(table.key)]
        if not written.reset_index(drop=True).astype(str).equals(frame[[*table.key]].astype(str)):
            yield f"expected rows sorted by {table.key}"
        return
    text = path.read_bytes().decode()
    if text != csv_bytes(table, frame).decode():
        yield f"expected rows sorted by {table.key}, numbers in full and lines without blanks"
