# SPDX-License-Identifier: Apache-2.0
"""What one entry of a study file may be: an amount of memory, a day, a tile, a name, a year."""

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field

FIRST_YEAR, LAST_YEAR = 2000, 2100
"""Years an epoch may have: Terra's first images are of February 2000."""

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
"""Bytes in each unit of memory."""


def in_bytes(text: str) -> int:
    """Bytes of a text such as ``8 GiB``.

    Raises ValueError for another form.

    >>> in_bytes("8 GiB"), in_bytes("1.5GB")
    (8589934592, 1500000000)
    """
    found = re.fullmatch(
        r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(B|[KMGT]i?B)\s*", text, re.IGNORECASE
    )
    if not found or float(found[1]) == 0:
        raise ValueError(f'expected a number and a unit such as "8 GiB", found "{text}"')
    return int(float(found[1]) * UNITS[found[2].upper()])


def _memory(text: str) -> str:
    in_bytes(text)
    return text


def _day(text: str) -> str:
    try:
        if not re.fullmatch("[0-9]{2}-[0-9]{2}", text):
            raise ValueError
        date.fromisoformat(f"2000-{text}")  # a leap year: 29 February is a day
    except ValueError:
        raise ValueError(f'expected a month and a day such as "06-01", found "{text}"') from None
    return text


def _named(text: str) -> str:
    if not text.strip() or text != text.strip():
        raise ValueError(f'expected a name without blanks at its ends, found "{text}"')
    return text


Memory = Annotated[str, AfterValidator(_memory)]
"""An amount of memory, such as ``8 GiB``."""

Day = Annotated[str, AfterValidator(_day)]
"""A day of any year, such as ``06-01``."""

Tile = Annotated[str, Field(pattern=r"^h([0-2]\d|3[0-5])v(0\d|1[0-7])$")]
"""A tile of the sinusoidal grid, h00v00 to h35v17."""

Name = Annotated[str, Field(max_length=200), AfterValidator(_named)]
"""The name of a study or of an area."""

Year = Annotated[int, Field(ge=FIRST_YEAR, le=LAST_YEAR)]
"""A year with MODIS images."""
