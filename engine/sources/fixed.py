# SPDX-License-Identifier: Apache-2.0
"""Tables of numbers that a user fixes a scale with."""

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from .errors import RseiError, StudyError

LARGEST = 1 << 16
"""Bytes of such a table: far more than five rows take."""


def small_table(
    path: Path, columns: tuple[str, ...], largest: int, expected: str, fault: type[RseiError]
) -> list[list[str]]:
    """The rows under the headings ``columns`` of a CSV file of up to ``largest`` bytes.

    Raises ``fault``, whose message begins with ``expected``, for any other file.
    """
    try:
        if path.stat().st_size > largest:
            raise fault(f"{expected}, found more than {largest} bytes")
        rows = list(csv.reader(path.read_text("utf-8-sig").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise fault(f"{expected}, found none: {error}") from error
    if not rows or [name.strip() for name in rows[0]] != list(columns):
        raise fault(f"{expected}, found {','.join(rows[0]) if rows else 'an empty file'}")
    return rows[1:]


def numbers(path: Path, columns: tuple[str, ...]) -> Mapping[str, tuple[float, ...]]:
    """The rows of a CSV file by their first column; ``columns`` are the headings, in this order.

    Raises StudyError: no such file, other headings, no numbers, a row twice.
    """
    expected = f"{path}: expected a CSV file with the columns {','.join(columns)}"
    rows = small_table(path, columns, LARGEST, expected, StudyError)
    found: dict[str, tuple[float, ...]] = {}
    for line, row in enumerate(rows, 2):
        if not any(cell.strip() for cell in row):
            continue
        name = row[0].strip()
        try:
            values = tuple(float(cell) for cell in row[1:])
        except ValueError:
            values = ()
        if len(row) != len(columns) or len(values) != len(columns) - 1 or name in found:
            raise StudyError(f"{expected}, found {','.join(row)!r} in line {line}")
        if not all(map(math.isfinite, values)):
            raise StudyError(f"{expected}, found a number that is not finite in line {line}")
        found[name] = values
    return found
