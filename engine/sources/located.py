# SPDX-License-Identifier: Apache-2.0
"""What is known of a file before its pixels are read: its name, its grid, and its layers."""

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal

from affine import Affine

Format = Literal["hdf4", "geotiff", "netcdf"]

_PRODUCT = r"(?P<product>(?:MOD|MYD|MCD|VNP|VJ1)[A-Z0-9]+)"
_TILE = r"(?P<tile>h\d\dv\d\d)"
_DAY = r"A(?P<day>\d{7})"
_PRODUCED = r"(?P<produced>\d{11,14})"
_COLLECTION = r"(?P<collection>\d{3})"

_PATTERNS: tuple[tuple[Format, str], ...] = (
    # NASA's granules, and subsets of them under longer names
    ("hdf4", rf"{_PRODUCT}\.{_DAY}\.{_TILE}\.{_COLLECTION}\.{_PRODUCED}(?!\d).*\.hdf"),
    # AppEEARS: a layer that begins with a digit has one more underscore; thirteen digits of date,
    # the time among them, since 2024
    ("geotiff", rf"{_PRODUCT}\.{_COLLECTION}_(?P<layer>.+)_doy(?P<day>\d{{7}})(?:\d{{6}})?"
                r"_(?P<request>aid\d+)\.tiff?"),
    ("netcdf", rf"{_PRODUCT}\.{_COLLECTION}_(?:.*_)?(?P<request>aid\d+)\.nc4?"),
    # one layer of a granule, cut from it
    ("geotiff", rf"{_PRODUCT}\.{_DAY}\.{_TILE}\.{_COLLECTION}\.{_PRODUCED}\.(?P<layer>.+)\.tiff?"),
    # MODIStsp
    ("geotiff", rf"{_PRODUCT}_(?P<layer>.+)_(?P<day>\d{{4}}_\d{{3}})\.tiff?"),
)  # fmt: skip

PATTERNS = tuple((form, re.compile(text, re.IGNORECASE)) for form, text in _PATTERNS)
"""Names of files, as each maker writes them; the first that fits a whole name counts."""


@dataclass(frozen=True)
class Name:
    """What a file's name says; None where it does not say it."""

    format: Format
    """The file format that the name promises."""

    product: str
    """Short name of the product."""

    collection: str | None
    """Three digits, such as ``061``."""

    tile: str | None
    """``hXXvYY``."""

    date: date | None
    """Start of the period; a NetCDF file holds several."""

    produced: str | None
    """Production time, year to second."""

    layer: str | None
    """Name of the one layer of a GeoTIFF, as its maker spells it."""

    request: str | None
    """Area of an AppEEARS request, such as ``aid0001``."""


@dataclass(frozen=True, slots=True)  # a country has a quarter of a million of them
class Source:
    """Where one layer of one date lies."""

    layer: str
    """Role of the layer, such as ``red``."""

    path: Path
    """The file."""

    format: Format
    """How it is read."""

    stored: str
    """Name of the layer in the file."""

    index: int = 0
    """Position along the time axis of a NetCDF file."""

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled: a class with slots looks for its fields, ten times as long."""
        return type(self), (self.layer, self.path, self.format, self.stored, self.index)


@dataclass(frozen=True)
class Located:
    """One date of one product in one file, and the rectangle of the world that it covers."""

    name: Name
    """What the file is called."""

    date: date
    """Start of the period."""

    crs: str
    """Coordinate system of the file."""

    transform: Affine
    """From pixels to coordinates."""

    shape: tuple[int, int]
    """Rows and columns."""

    sources: tuple[Source, ...]
    """Its layers."""


def name_of(file: str) -> Name | None:
    """What the name ``file`` says; None where it is not that of a granule.

    >>> name_of("MOD13A1.061__500m_16_days_NDVI_doy2019161_aid0001.tif").layer
    '_500m_16_days_NDVI'
    """
    for form, pattern in PATTERNS:
        match = pattern.fullmatch(file)
        if match:
            said = match.groupdict()
            day = said.get("day")
            try:
                start = _day(day) if day else None
            except ValueError:
                return None
            return Name(
                form,
                said["product"].upper(),
                said.get("collection"),
                said["tile"].lower() if said.get("tile") else None,
                start,
                said.get("produced"),
                said.get("layer"),
                said.get("request"),
            )
    return None


@cache
def _day(text: str) -> date:
    """The day that a year and the number of a day in it, such as ``2019161``, stand for.

    Kept, since every tile has the same days. Raises ValueError for a day that the year has not.
    """
    return datetime.strptime(text.replace("_", ""), "%Y%j").date()
