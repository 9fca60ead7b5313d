# SPDX-License-Identifier: Apache-2.0
"""One lattice for files that share a grid: their own corners differ, and their numbers are rounded.

A sinusoidal granule lies on the lattice of all MODIS tiles. Anything else, such as an AppEEARS
subset, keeps its own: the first 500 m file gives it, other files are windows of it, and 1 km files
nest 2 x 2 in it, perhaps shifted by one pixel. So the tile of one request has one name.
"""

import math
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from affine import Affine
from rasterio.crs import CRS

from .errors import GridError
from .grids import SINUSOIDAL, SINUSOIDAL_1KM, SINUSOIDAL_500M, Lattice, Window
from .located import Located
from .products import products

DIGITS = 6
"""Decimals of a pixel to which a lattice's corner is rounded, so that its name is stable."""

PIXEL_DIGITS = 12
"""Significant digits to which a pixel's size is rounded: 1e-7 pixel at the end of 36 tiles."""


@dataclass(frozen=True)
class Place:
    """Where a granule lies."""

    tile: str
    """``hXXvYY``, or the name of ``fine``."""

    fine: Lattice
    """The 500 m lattice of the tile."""

    lattice: Lattice
    """The lattice of the granule's own pixels: ``fine``, or 2 x 2 of its pixels."""

    window: Window
    """The pixels of ``lattice`` that it covers."""


class Lattices:
    """The lattices of many files: found in one pass, so that all files of a grid share one."""

    def __init__(self, found: Iterable[Located]):
        self._fine: list[Lattice] = []
        self._coarse: list[Lattice] = []
        # Studies' products come first: others then lie on their lattices, and never name them.
        order = sorted(found, key=lambda one: (products()[one.name.product].role == "other",
                                               one.sources[0].path, one.date))  # fmt: skip
        for coarse, known in ((False, self._fine), (True, self._coarse)):
            seen = set()
            for one in order:
                form = (one.crs, one.transform, one.shape)
                new = _is_coarse(one) == coarse and form not in seen and self._find(one) is None
                seen.add(form)
                if new:
                    with suppress(GridError):  # ``place`` tells, for each file
                        known.append(_own(one))

    def place(self, one: Located) -> Place:
        """The place of one of the files. Raises GridError for a grid that is not north-up."""
        found = self._find(one)
        if found is None:
            _own(one)
            raise GridError(f"expected a file that was met before, found {one.transform!r}")
        return found

    def _find(self, one: Located) -> Place | None:
        if one.name.tile and same_system(one.crs, SINUSOIDAL):
            lattice = SINUSOIDAL_1KM if _is_coarse(one) else SINUSOIDAL_500M
            window = _window(lattice, one.transform, one.shape)
            if window:
                return Place(one.name.tile, SINUSOIDAL_500M, lattice, window)
        for fine in self._fine:
            if same_system(one.crs, fine.crs):
                place = _nested(one, fine) if _is_coarse(one) else _aligned(one, fine)
                if place:
                    return place
        for coarse in self._coarse if _is_coarse(one) else []:
            window = _window(coarse, one.transform, one.shape)
            if window and same_system(one.crs, coarse.crs):
                half = Lattice(coarse.crs, coarse.left, coarse.top, coarse.dx / 2, coarse.dy / 2)
                return Place(half.name, half, coarse, window)
        return None


def _is_coarse(one: Located) -> bool:
    return products()[one.name.product].pixel == 1000


def _aligned(one: Located, fine: Lattice) -> Place | None:
    window = _window(fine, one.transform, one.shape)
    return Place(fine.name, fine, fine, window) if window else None


def _nested(one: Located, fine: Lattice) -> Place | None:
    """The place of 1 km pixels whose edges are edges of ``fine``."""
    dx, _, left, _, dy, top = one.transform[:6]
    halved = Affine(dx / 2, 0, left, 0, dy / 2, top)
    inner = _window(fine, halved, (2 * one.shape[0], 2 * one.shape[1]))
    if inner is None:
        return None
    west, north = fine.left + (inner.left % 2) * fine.dx, fine.top - (inner.top % 2) * fine.dy
    lattice = Lattice(fine.crs, west, north, 2 * fine.dx, 2 * fine.dy)
    window = Window(inner.top // 2, inner.left // 2, *one.shape)
    return Place(fine.name, fine, lattice, window)


def _window(lattice: Lattice, transform: Affine, shape: tuple[int, int]) -> Window | None:
    try:
        return lattice.window(transform, shape)
    except GridError:
        return None


def _own(one: Located) -> Lattice:
    """The lattice that a file brings. Raises GridError for a grid that is not north-up."""
    exact = Lattice.of(one.crs, one.transform)
    places = DIGITS - math.floor(math.log10(exact.dx))
    sides = (float(f"{side:.{PIXEL_DIGITS}g}") for side in (exact.dx, exact.dy))
    return Lattice(exact.crs, round(exact.left, places), round(exact.top, places), *sides)


@cache
def same_system(one: str, other: str) -> bool:
    """Whether two descriptions are of one coordinate system, whatever names they give its parts."""
    if one == other:
        return True
    first, second = CRS.from_user_input(one), CRS.from_user_input(other)
    return bool(first == second) or _parameters(first) == _parameters(second)


def _parameters(system: CRS) -> dict[str, object] | None:
    """What defines a projection; for the sphere, its radius however it is spelt."""
    said = dict(system.to_dict(projjson=False))
    if not said:
        return None
    said.pop("no_defs", None)
    if said.get("a") is not None and said.get("a") == said.get("b"):
        said["R"] = said.pop("a")
        said.pop("b")
    return {key: value for key, value in said.items() if value not in (0, 0.0, None)}
