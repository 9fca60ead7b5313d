# SPDX-License-Identifier: Apache-2.0
"""What a table is described by: its columns, their kinds and units, and the key of its rows."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "int", "float", "bool"]


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    """Its heading."""

    kind: Kind
    """Type of its values."""

    about: str
    """What it holds."""

    unit: str = ""
    """Unit of its values; empty for a name, a count or a ratio."""

    blank: bool = False
    """Whether a value may be missing."""

    whole: bool = False
    """Whether a real number is written without a fraction where it has none."""


@dataclass(frozen=True)
class Table:
    """One table; its rows are sorted by the key, which no two of them share."""

    name: str
    """Its name."""

    about: str
    """What it tells."""

    key: tuple[str, ...]
    """Columns that tell its rows apart."""

    columns: tuple[Column, ...]
    """Its columns, in order."""

    suffix: Literal["csv", "parquet"] = "csv"
    """Its format."""

    @property
    def file(self) -> str:
        """Its path in the run folder."""
        return f"tables/{self.name}.{self.suffix}"

    @property
    def names(self) -> list[str]:
        """Headings, in order."""
        return [column.name for column in self.columns]


def text(name: str, about: str, blank: bool = False) -> Column:
    """A column of names."""
    return Column(name, "text", about, blank=blank)


def count(name: str, about: str, unit: str = "", blank: bool = False) -> Column:
    """A column of whole numbers."""
    return Column(name, "int", about, unit, blank)


def number(name: str, about: str, unit: str = "", blank: bool = False) -> Column:
    """A column of real numbers."""
    return Column(name, "float", about, unit, blank)


def measured(name: str, about: str, unit: str = "") -> Column:
    """A column of real numbers that a group of pixels may be too small for."""
    return number(name, about, unit, blank=True)


def flag(name: str, about: str) -> Column:
    """A column of true and false."""
    return Column(name, "bool", about)


AREA = text("area", "Name of the area")
ZONE = text("zone", "Part of the area: area, mines or outside")
RING = Column("ring_km", "float", "0 in the mines; k from k-1, excluded, to k", "km", whole=True)
EPOCH = count("epoch", "Middle year of the three")
EPOCH_OR_ALL = text("epoch", "Middle year of the three, or all for the multi-year mean")
FROM, TO = count("from_epoch", "Earlier epoch"), count("to_epoch", "Later epoch")
DRIVER = text("driver", "Driver of the index")
N = count("n", "Number of pixels")
COVERAGE = number("n", "Number of pixels; in a zone of polygons the sum of their covered shares")
MEAN, STD = measured("mean", "Mean RSEI"), measured("std", "Standard deviation of RSEI, ddof 0")
