# SPDX-License-Identifier: Apache-2.0
"""Metadata blocks of HDF4-EOS granules: what they say of a granule's grid, date and origin.

Source: HDF-EOS Library User's Guide 2, appendix on StructMetadata; ECS metadata in ODL.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import pairwise

from affine import Affine

from .grids import RADIUS

KEPT = 128
"""Texts of StructMetadata whose grids are kept: some thousand characters each."""

RADIUS_TOLERANCE = 1e-3
"""m by which the sphere's radius may be rounded."""

LONGEST = 1 << 20
"""Characters of a metadata block; the longest of a real granule has 60,000."""

OBJECTS = re.compile(r"^[ \t]*(OBJECT|VALUE)[ \t]*=(.*)", re.MULTILINE)
"""Lines of an ODL text that name an object, or give its value."""

SIDE_LIMIT = 1 << 16
"""Rows or columns that no grid reaches; a 250 m tile has 4800."""


@dataclass(frozen=True)
class Grid:
    """A grid of a granule, as StructMetadata describes it."""

    name: str
    """Its name."""

    shape: tuple[int, int]
    """Rows and columns."""

    corners: tuple[float, float, float, float]
    """Left, top, right and bottom edges, m."""

    projection: str
    """GCTP's name of the projection."""

    parameters: tuple[float, ...]
    """GCTP's parameters of the projection; the first is the sphere's radius, m."""

    fields: tuple[str, ...]
    """Names of its layers."""

    @property
    def transform(self) -> Affine:
        """From pixels to the coordinates of the sinusoidal sphere."""
        left, top, right, bottom = self.corners
        (height, width) = self.shape
        return Affine((right - left) / width, 0, left, 0, (bottom - top) / height, top)

    @property
    def sinusoidal(self) -> bool:
        """Whether it lies on the MODIS sphere, sinusoidal, with no offset."""
        radius, *rest = self.parameters or (0.0,)
        sphere = abs(radius - RADIUS) <= RADIUS_TOLERANCE and not any(rest)
        return self.projection == "GCTP_SNSOID" and sphere


def block(attributes: Mapping[str, object], name: str) -> str:
    """A metadata block from its numbered parts: ``name.0``, ``name.1`` ..., joined.

    The subset tools move the core metadata of the whole granule to ``OldCoreMetadata``.
    Raises ValueError for one that is longer than any is.
    """
    parts = sorted(
        (int(match[1]), str(text))
        for key, text in attributes.items()
        if (match := re.fullmatch(rf"{name}\.(\d{{1,9}})", key))
    )
    whole = "".join(text for _, text in parts)
    if len(whole) > LONGEST:
        raise ValueError(f"{name} of {len(whole)} characters")
    return whole


@lru_cache(maxsize=KEPT)
def grids(text: str) -> tuple[Grid, ...]:
    """The grids that StructMetadata describes; kept, since a tile's is the same on every date.

    Raises ValueError for one without size or corner.
    """
    found, lines, end = [], list[str](), ""
    for line in text.splitlines():
        word = line.strip()
        if end and word == end:
            found.append(_grid("\n".join(lines)))
            end = ""
        elif end:
            lines.append(line)
        elif re.fullmatch(r"GROUP=GRID_\d{1,9}", word):
            lines, end = [], "END_" + word
    return tuple(found)


def _grid(text: str) -> Grid:
    def one(key: str) -> str:
        match = re.search(rf"^\s*{key}=(.*?)\s*$", text, re.MULTILINE)
        if not match:
            raise ValueError(f"a grid without {key}")
        return match[1].strip('"')

    def numbers(key: str) -> tuple[float, ...]:
        return tuple(float(number) for number in one(key).strip("()").split(","))

    shape = int(one("YDim")), int(one("XDim"))
    if not all(0 < side < SIDE_LIMIT for side in shape):
        raise ValueError(f"a grid of {shape[0]} x {shape[1]}")
    (left, top), (right, bottom) = numbers("UpperLeftPointMtrs"), numbers("LowerRightMtrs")
    if not (right > left and top > bottom):
        raise ValueError(f"a grid from {left}, {top} to {right}, {bottom}")
    return Grid(
        one("GridName"),
        shape,
        (left, top, right, bottom),
        one("Projection"),
        numbers("ProjParams"),
        tuple(re.findall(r'DataFieldName="(.*?)"', text)),
    )


@dataclass(frozen=True)
class Origin:
    """What a granule's core metadata says of it; None where it does not say it."""

    granule: str | None
    """Its name when it was made."""

    product: str | None
    """Short name."""

    version: int | None
    """Collection as a number: 6 or 61."""

    start: date | None
    """First day of its period."""

    tile: str | None
    """``hXXvYY``."""


def origin(text: str) -> Origin:
    """What core metadata says. Raises ValueError for a date or number that is none."""
    values = list(_values(text))
    said: dict[str, str] = {}
    for name, value in values:
        said.setdefault(name, value)
    # A tile's numbers are additional attributes: a name, and the value that follows it.
    sides = {name[1]: value[1] for name, value in pairwise(values) if value[0] == "PARAMETERVALUE"}
    tile, start = None, said.get("RANGEBEGINNINGDATE")
    if {"HORIZONTALTILENUMBER", "VERTICALTILENUMBER"} <= sides.keys():
        across, down = (int(sides[f"{side}TILENUMBER"]) for side in ("HORIZONTAL", "VERTICAL"))
        tile = f"h{across:02d}v{down:02d}"
    return Origin(
        said.get("LOCALGRANULEID"),
        said.get("SHORTNAME"),
        int(said["VERSIONID"]) if said.get("VERSIONID") else None,
        date.fromisoformat(start) if start else None,
        tile,
    )


def _values(text: str) -> Iterator[tuple[str, str]]:
    """Name and value of every object of an ODL text, in its order.

    >>> list(_values("OBJECT = VERSIONID\\nVALUE = 61\\nEND_OBJECT = VERSIONID"))
    [('VERSIONID', '61')]
    """
    name = ""
    for key, value in OBJECTS.findall(text):
        if key == "OBJECT":
            name = value.strip()
        elif name:
            yield name, value.strip().strip('"')
            name = ""
