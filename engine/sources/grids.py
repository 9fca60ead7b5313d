# SPDX-License-Identifier: Apache-2.0
"""Where a pixel lies: windows of an endless lattice, and the MODIS tiles on it."""

import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from threading import get_ident
from typing import Self

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from odc.geo import CRS
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from pyproj.exceptions import ProjError

from .errors import GridError

TOLERANCE = 1e-3
"""Share of a pixel by which two edges may differ and still count as equal."""


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of whole pixels of a lattice; rows grow downwards, columns to the right."""

    top: int
    """First row, from the lattice's corner; may be negative."""

    left: int
    """First column."""

    height: int
    """Rows; 0 for an empty window."""

    width: int
    """Columns."""

    @property
    def bottom(self) -> int:
        """The row after the last."""
        return self.top + self.height

    @property
    def right(self) -> int:
        """The column after the last."""
        return self.left + self.width

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    def __and__(self, other: Self) -> Self:
        """The pixels of both, which may be none.

        >>> Window(0, 0, 4, 4) & Window(2, 3, 4, 4)
        Window(top=2, left=3, height=2, width=1)
        """
        top, left = max(self.top, other.top), max(self.left, other.left)
        height = max(0, min(self.bottom, other.bottom) - top)
        width = max(0, min(self.right, other.right) - left)
        return type(self)(top, left, height, width)

    def __or__(self, other: Self) -> Self:
        """The smallest window that holds both."""
        top, left = min(self.top, other.top), min(self.left, other.left)
        height, width = max(self.bottom, other.bottom) - top, max(self.right, other.right) - left
        return type(self)(top, left, height, width)

    def __contains__(self, other: Self) -> bool:
        """Whether every pixel of ``other`` is in this window."""
        return self & other == other

    def slices(self, outer: Self) -> tuple[slice, slice]:
        """Rows and columns of this window within an array that holds ``outer``.

        >>> Window(2, 3, 2, 1).slices(Window(0, 3, 9, 9))
        (slice(2, 4, None), slice(0, 1, None))
        """
        top, left = self.top - outer.top, self.left - outer.left
        return slice(top, top + self.height), slice(left, left + self.width)

    def strips(self, rows: int) -> Iterator[Self]:
        """Windows of at most ``rows`` rows that make up this one, from the top."""
        for top in range(self.top, self.bottom, rows):
            yield type(self)(top, self.left, min(rows, self.bottom - top), self.width)

    def grown(self, pixels: int) -> Self:
        """This window with a margin of ``pixels`` on each side."""
        top, left = self.top - pixels, self.left - pixels
        return type(self)(top, left, self.height + 2 * pixels, self.width + 2 * pixels)


@dataclass(frozen=True)
class Lattice:
    """Square or rectangular pixels without end, north up, in one coordinate system."""

    crs: str
    """Coordinate system: an authority's code, a PROJ string or WKT."""

    left: float
    """x of the left edge of column 0, in units of the CRS."""

    top: float
    """y of the upper edge of row 0."""

    dx: float
    """Width of a pixel."""

    dy: float
    """Height of a pixel, positive."""

    @classmethod
    def of(cls, crs: CRS | str, transform: Affine) -> Self:
        """The lattice on which a raster with this transform lies.

        Raises GridError for a rotated raster or one with rows from the south.
        """
        if transform.b or transform.d or transform.a <= 0 or transform.e >= 0:
            raise GridError(f"expected a north-up raster without rotation, found {transform!r}")
        return cls(str(crs), transform.c, transform.f, transform.a, -transform.e)

    @property
    def name(self) -> str:
        """A short name that depends on the lattice alone, such as ``g3fa85f64``."""
        text = f"{self.crs}|{self.left!r}|{self.top!r}|{self.dx!r}|{self.dy!r}"
        return "g" + hashlib.sha256(text.encode()).hexdigest()[:8]

    def transform(self, window: Window) -> Affine:
        """The affine transform of an array that holds ``window``."""
        left, top = self.left + window.left * self.dx, self.top - window.top * self.dy
        return Affine(self.dx, 0, left, 0, -self.dy, top)

    def geobox(self, window: Window) -> GeoBox:
        """Shape, transform and CRS of ``window``."""
        return GeoBox(window.shape, self.transform(window), CRS(self.crs))

    def x(self, window: Window) -> NDArray[np.float64]:
        """x of the centre of each column, (w,)."""
        return self.left + (window.left + np.arange(window.width, dtype=np.float64) + 0.5) * self.dx

    def y(self, window: Window) -> NDArray[np.float64]:
        """y of the centre of each row, (h,)."""
        return self.top - (window.top + np.arange(window.height, dtype=np.float64) + 0.5) * self.dy

    def window(self, transform: Affine, shape: tuple[int, int]) -> Window:
        """The window that a raster of ``shape`` with ``transform`` covers.

        Raises GridError where its pixels are not pixels of this lattice.
        """
        column, row = (transform.c - self.left) / self.dx, (self.top - transform.f) / self.dy
        drift = (transform.a / self.dx - 1) * shape[1], (-transform.e / self.dy - 1) * shape[0]
        misfit = max(abs(column - round(column)), abs(row - round(row)), *map(abs, drift))
        if misfit > TOLERANCE or transform.b or transform.d:
            raise GridError(
                f"expected pixels of {self.dx:g} x {self.dy:g} aligned with "
                f"({self.left:.3f}, {self.top:.3f}), found {transform!r}, off by {misfit:.3g} pixel"
            )
        return Window(round(row), round(column), *shape)

    def bounding(self, left: float, bottom: float, right: float, top: float) -> Window:
        """The smallest window that covers a rectangle given in units of the CRS."""
        first, last = (left - self.left) / self.dx, (right - self.left) / self.dx
        upper, lower = (self.top - top) / self.dy, (self.top - bottom) / self.dy
        row, column = math.floor(upper + TOLERANCE), math.floor(first + TOLERANCE)
        height = max(0, math.ceil(lower - TOLERANCE) - row)
        width = max(0, math.ceil(last - TOLERANCE) - column)
        return Window(row, column, height, width)

    def bounds(self, window: Window) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of ``window``, in units of the CRS."""
        left, top = self.left + window.left * self.dx, self.top - window.top * self.dy
        return left, top - window.height * self.dy, left + window.width * self.dx, top

    def coarse(self, factor: int = 2) -> "Lattice":
        """The lattice of pixels ``factor`` times as wide and high, with the same corner."""
        return Lattice(self.crs, self.left, self.top, self.dx * factor, self.dy * factor)

    def covering(self, window: Window, fine: "Lattice", margin: int = 0) -> Window:
        """The window of this lattice that covers ``window`` of ``fine``, and a margin."""
        return self.bounding(*fine.bounds(window)).grown(margin)


LONLAT = "OGC:CRS84"
"""Longitude and latitude in degrees on WGS84, in this order."""


def carrier(source: str, target: str) -> Transformer:
    """Carries x, y of one CRS to another; raises GridError where PROJ knows no way."""
    return _carrier(source, target, get_ident())


@lru_cache(maxsize=64)
def _carrier(source: str, target: str, thread: int) -> Transformer:
    """PROJ's own object may serve one thread alone."""
    try:
        return Transformer.from_crs(source, target, always_xy=True)
    except ProjError as error:
        raise GridError(
            f"expected a way from one coordinate system to another, found none from {source[:99]} "
            f"to {target[:99]}: {error}; check the file's coordinate system"
        ) from error


def extent(bounds: tuple[float, float, float, float], crs: str) -> str:
    """West, south, east and north of ``bounds``, degrees, for a message.

    >>> extent((0, 0, 111319.49, 110579.97), "EPSG:3857")
    '0.000 to 1.000 E, 0.000 to 0.993 N'
    """
    carry = carrier(crs, LONLAT)
    west, south, east, north = carry.transform_bounds(*bounds, densify_pts=21)
    return f"{west:.3f} to {east:.3f} E, {south:.3f} to {north:.3f} N"


RADIUS = 6371007.181
"""Radius of the MODIS sphere, m. Source: MODIS land grids, StructMetadata ProjParams."""

SINUSOIDAL = f"+proj=sinu +lon_0=0 +x_0=0 +y_0=0 +R={RADIUS} +units=m +no_defs"
"""The CRS of MODIS land tiles. An ellipsoid would shift the data by kilometres."""

LEFT, TOP = -20015109.354, 10007554.677
"""Upper left corner of tile h00v00, m. Source: MODIS land grid definition."""

TILE = 1111950.5196666666
"""Width and height of a tile, m: 2 pi R / 36."""

TILES_ACROSS, TILES_DOWN = 36, 18
"""Columns and rows of tiles. Source: MODIS land grid definition."""

TILE_PIXELS = 2400
"""Pixels of 500 m along the side of a tile."""

SINUSOIDAL_500M = Lattice(SINUSOIDAL, LEFT, TOP, TILE / TILE_PIXELS, TILE / TILE_PIXELS)
"""Every 500 m pixel of every tile: a mosaic of tiles is one window of it."""

SINUSOIDAL_1KM = SINUSOIDAL_500M.coarse(2)
"""Every 1 km pixel of every tile: exactly 2 x 2 pixels of 500 m."""


def tile_window(tile: str, lattice: Lattice = SINUSOIDAL_500M) -> Window:
    """The pixels of tile ``hXXvYY`` in one of the sinusoidal lattices; raises GridError.

    >>> tile_window("h27v05")
    Window(top=12000, left=64800, height=2400, width=2400)
    """
    match = re.fullmatch(r"h(\d\d)v(\d\d)", tile)
    if match is None or int(match[1]) >= TILES_ACROSS or int(match[2]) >= TILES_DOWN:
        raise GridError(f"expected a tile hXXvYY from h00v00 to h35v17, found {tile!r}")
    side = round(TILE / lattice.dx)
    return Window(int(match[2]) * side, int(match[1]) * side, side, side)


def tiles(window: Window, lattice: Lattice = SINUSOIDAL_500M) -> list[str]:
    """The tiles that ``window`` touches, sorted.

    >>> tiles(Window(11999, 64799, 2, 2))
    ['h26v04', 'h26v05', 'h27v04', 'h27v05']
    """
    side = round(TILE / lattice.dx)
    rows = range(window.top // side, -(-window.bottom // side))
    columns = range(window.left // side, -(-window.right // side))
    return sorted(f"h{h:02d}v{v:02d}" for h in columns for v in rows)
