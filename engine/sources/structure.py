"""Metadata blocks of HDF4-EOS granules: what they say of a granule's grid, date and origin.

Source: HDF-EOS Library User's Guide 2, appendix on StructMetadata; ECS metadata in ODL.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from affine import Affine

from .grids import RADIUS

RADIUS_TOLERANCE = 1e-3
"""m by which the sphere's radius may be rounded."""

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
    """
    parts = sorted(
        (int(match[1]), str(text))
        for key, text in attributes.items()
        if (match := re.fullmatch(rf"{name}\.(\d+)", key))
    )
    return "".join(text for _, text in parts)


def grids(text: str) -> list[Grid]:
    """The grids that StructMetadata describes. Raises ValueError for one without size or corner."""
    found = re.finditer(r"GROUP=GRID_(\d+)\s(.*?)END_GROUP=GRID_\1\s", text, re.DOTALL)
    return [_grid(match[2]) for match in found]


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

    def one(key: str) -> str | None:
        match = re.search(
            rf"OBJECT\s*=\s*{key}\s*\n(?:(?!END_OBJECT).)*?VALUE\s*=\s*(.*?)\s*\n", text, re.DOTALL
        )
        return match[1].strip('"') if match else None

    sides = dict(
        re.findall(
            r'"(HORIZONTAL|VERTICAL)TILENUMBER".*?PARAMETERVALUE\s*\n.*?VALUE\s*=\s*"?(\d+)',
            text,
            re.DOTALL,
        )
    )
    tile = None
    if len(sides) == 2:
        tile = f"h{int(sides['HORIZONTAL']):02d}v{int(sides['VERTICAL']):02d}"
    version, start = one("VERSIONID"), one("RANGEBEGINNINGDATE")
    return Origin(
        one("LOCALGRANULEID"),
        one("SHORTNAME"),
        int(version) if version else None,
        date.fromisoformat(start) if start else None,
        tile,
    )
