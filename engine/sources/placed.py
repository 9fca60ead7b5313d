# SPDX-License-Identifier: Apache-2.0
"""Where the pixels of a user's raster lie, and how they meet the grid of the study."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS

from .grids import TOLERANCE, Lattice, Window, carrier

Floats = NDArray[np.float64]

PATCH = 1 << 24
"""Source pixels that a block should need: 128 MB as float64."""

DENSE = 12
"""Source pixels along a target pixel from which one sample for each of them will do."""

FEWEST = 8
"""Samples along a target pixel at least; 64 for a pixel cost 3 microseconds."""


@dataclass(frozen=True)
class Step:
    """The size of a target pixel, in pixels of the source."""

    across: int
    """Samples taken along a row of the target pixel."""

    down: int
    """Samples taken along its columns."""

    pixels: float
    """Its area."""


@dataclass(frozen=True)
class Placed:
    """Where the pixels of a raster lie, rows from the north."""

    crs: str
    """Coordinate system, as WKT."""

    transform: Affine
    """From column and row to x and y: no rotation, rows downwards."""

    shape: tuple[int, int]
    """Rows and columns."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top, in units of the CRS."""
        left, top = self.transform.c, self.transform.f
        right, bottom = self.point(self.shape[1], self.shape[0])
        return left, bottom, right, top

    def point(self, columns: Any, rows: Any) -> tuple[Any, Any]:
        """x and y of columns and rows, numbers or arrays."""
        place = self.transform
        return place.c + columns * place.a, place.f + rows * place.e

    @property
    def world(self) -> float | None:
        """Columns in 360 degrees of longitude; None where x is not longitude."""
        return 360 / self.transform.a if CRS(self.crs).is_geographic else None

    @property
    def global_(self) -> bool:
        """Whether the first column follows upon the last, round the globe."""
        return self.world is not None and abs(self.shape[1] - self.world) < 0.01

    def position(self, lattice: Lattice, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Column and row, as fractions, of points of the lattice's CRS; inf where they have none.

        Longitudes go round so that the cut lies opposite to the raster's centre.
        """
        there = carrier(lattice.crs, self.crs).transform(x, y)
        columns = (there[0] - self.transform.c) / self.transform.a
        rows = (there[1] - self.transform.f) / self.transform.e
        if self.world is not None:
            start = (self.shape[1] - self.world) / 2
            turns = np.floor(
                (columns - start) / self.world,
                where=np.isfinite(columns),
                out=np.zeros_like(columns),
            )
            columns -= turns * self.world
        return columns, rows

    def step(self, lattice: Lattice, window: Window) -> Step:
        """The size of the pixel in the middle of ``window``."""
        x = lattice.left + (window.left + window.width / 2) * lattice.dx
        y = lattice.top - (window.top + window.height / 2) * lattice.dy
        half = np.array([-0.5, 0.5, 0, 0]), np.array([0, 0, 0.5, -0.5])
        columns, rows = self.position(lattice, x + half[0] * lattice.dx, y + half[1] * lattice.dy)
        if not (np.isfinite(columns).all() and np.isfinite(rows).all()):
            return Step(1, 1, 1.0)
        if self.world is not None:
            columns = (columns - columns[0] + self.world / 2) % self.world
        (cx, cy), (rx, ry) = np.diff(columns)[::2], np.diff(rows)[::2]
        across, down = max(abs(cx), abs(rx)), max(abs(cy), abs(ry))
        return Step(samples(across), samples(down), abs(cx * ry - cy * rx))


def samples(pixels: float) -> int:
    """Samples along a target pixel that spans ``pixels`` of the source.

    A multiple of twice the span weighs any integer ratio exactly, aligned by whole or half pixels.

    >>> [samples(n) for n in (0.3, 1, 1.5, 2, 2.2, 15.4, 40)]
    [8, 8, 9, 8, 10, 16, 40]
    """
    if pixels >= DENSE:
        return math.ceil(pixels - TOLERANCE)
    least = max(1, math.ceil(2 * pixels - TOLERANCE))
    return least * math.ceil(FEWEST / least)


def same_grid(placed: Placed, lattice: Lattice) -> Window | None:
    """The window of ``lattice`` that a raster on the same grid covers; None for another grid.

    The CRSs are compared by where they put the raster's pixels: the names of one and the same
    sinusoidal sphere differ between programs.
    """
    height, width = placed.shape
    columns, rows = np.meshgrid([0, width / 2, width], [0, height / 2, height])
    x, y = placed.point(columns, rows)
    x, y = carrier(placed.crs, lattice.crs).transform(x, y)
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    across, down = (x - lattice.left) / lattice.dx - columns, (lattice.top - y) / lattice.dy - rows
    left, top = round(across[0, 0]), round(down[0, 0])
    misfit = max(np.abs(across - left).max(), np.abs(down - top).max())
    return Window(top, left, height, width) if misfit < TOLERANCE else None


def blocks(placed: Placed, lattice: Lattice, window: Window) -> Iterator[Window]:
    """Squares of the lattice that cover ``window``; they lie where they lie for any window."""
    x, y = placed.point(placed.shape[1] / 2, placed.shape[0] / 2)
    x, y = carrier(placed.crs, lattice.crs).transform(x, y)
    ratio = 1.0
    if math.isfinite(x) and math.isfinite(y):
        middle = lattice.bounding(x, y, x, y)
        ratio = placed.step(lattice, Window(middle.top, middle.left, 1, 1)).pixels ** 0.5
    ratio = ratio if math.isfinite(ratio) else 1.0
    side = 1 << int(math.log2(min(256, max(1, PATCH**0.5 / max(ratio, 1)))))
    for top in range(window.top // side * side, window.bottom, side):
        for left in range(window.left // side * side, window.right, side):
            yield Window(top, left, side, side)
