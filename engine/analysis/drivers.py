# SPDX-License-Identifier: Apache-2.0
"""Drivers on one grid: the layers that are made here, and the table of an area's pixels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from ...kernels.barriers import shortest_ways
from ...kernels.focal import focal_mean
from ...kernels.terrain import slope as slope_of
from ..sources.errors import InputError
from ..sources.grids import Lattice, Window
from .pixels import Pixels
from .polygons import Geometries, carried, moved
from .trees import Put, room
from .zones import BEND, in_pixels, shares_of

Layer = NDArray[np.float32]
Flags = NDArray[np.bool_]

DRIVERS = (
    "dem",
    "slope",
    "prec",
    "gdp",
    "ntl",
    "elec",
    "co2",
    "pm25",
    "dism",
    "minea",
)
"""Columns of the table of drivers, in their order. Source: the study, section 3.5."""

MARGIN = 50_000.0
"""Width of the margin in which mines outside an area count, m.

Source: docs/explanation/method.md.
"""

SHARE_WINDOW = 10_000.0
"""Side of the window of the mine share, m. Source: the study, section 3.5."""

MONTHS = 12

BOTH = 8
"""Bytes of a pixel of a layer and of what is made of it, float32 each."""

STRIP = 1 << 18
"""Pixels whose place by the coast is asked for at a time: each is a box of 500 bytes."""


def grid(
    bounds: tuple[float, float, float, float], crs: str, resolution: float
) -> tuple[Lattice, Window, Window]:
    """The drivers' lattice, the window of an area, and that window with its margin.

    ``bounds`` are left, bottom, right and top in ``crs``. Edges of pixels are multiples of
    ``resolution``, so that the pixels of neighbouring areas are the same.
    """
    lattice = Lattice(crs, 0.0, 0.0, resolution, resolution)
    window = lattice.bounding(*bounds)
    return lattice, window, window.grown(int(np.ceil(MARGIN / resolution)))


def year_of_months(
    months: Sequence[Layer], reduce: Literal["sum", "mean"], name: str, area: str
) -> Layer:
    """The sum or mean of twelve months, (h, w) float32; NaN where a single one is missing.

    Raises InputError for another number of months, naming the layer and the area.
    """
    if len(months) != MONTHS:
        raise InputError(
            f"{area}: expected the {MONTHS} months of {name}, found {len(months)}; a year needs all"
        )
    total: NDArray[np.float64] = np.stack(months).sum(axis=0, dtype=np.float64)
    return (total if reduce == "sum" else total / MONTHS).astype(np.float32)


def slope(dem: Layer, lattice: Lattice, z_unit: float = 1.0, put: Put = np.asarray) -> Layer:
    """Slope, degrees, (h, w) float32, of elevation on ``lattice``; ``z_unit`` is its unit in m.

    Give it a margin of one pixel: the outermost are extrapolated.
    """
    heights, metres = np.ascontiguousarray(dem, np.float32), (lattice.dx, lattice.dy, z_unit)
    return in_strips(heights, (1, 1), put, lambda part: slope_of(part, *metres))


def in_strips(layer: Layer, halo: tuple[int, int], put: Put, work: Callable[[Any], Any]) -> Layer:
    """What ``work`` makes of ``layer``, (h, w), as many rows at a time as ``put`` has room for.

    A pixel of it follows from the rows around, ``halo`` of them above and below. One row with those
    is the least.
    """
    (height, width), (above, below) = layer.shape, halo
    whole = (height + above + below) * width * BOTH
    rows = max(1, room(put, whole) // max(1, width * BOTH) - above - below)
    if rows >= height:
        return _fetched(work(put(layer)))
    out = np.empty((height, width), np.float32)
    for top in range(0, height, rows):
        first = max(0, top - above)
        part = _fetched(work(put(layer[first : top + rows + below])))
        out[top : top + rows] = part[top - first :][:rows]
    return out


def mine_share(
    mines: Sequence[shapely.Geometry] | Geometries, crs: str, lattice: Lattice, window: Window
) -> Layer:
    """Exact share of each pixel that is mine, 0 to 1, (h, w) float32; overlaps count once."""
    tolerance = BEND * min(lattice.dx, lattice.dy)
    shapes = in_pixels(carried(mines, crs, lattice.crs, tolerance), lattice, window)
    near = shapes[shapely.intersects(shapes, shapely.box(0, 0, window.width, window.height))]
    out = np.zeros(window.size)
    if near.size:
        union = np.array([shapely.union_all(near)], dtype=object)
        _, pixels, shares = shares_of(union, window.shape)
        out[pixels] = shares
    # A mine however small leaves its mark: it is a source of distance.
    small = (out > 0) & (out < np.finfo(np.float32).tiny)
    out[small] = np.finfo(np.float32).tiny
    return out.reshape(window.shape).astype(np.float32)


def sea(
    coast: Sequence[shapely.Geometry] | Geometries, crs: str, lattice: Lattice, window: Window
) -> Flags:
    """Pixels that the coast closes to any way, (h, w) bool.

    ``coast`` is land, as polygons: then those whose centre is not on it; or lines: then those
    that a line enters.
    """
    shapes = np.array(coast, dtype=object).reshape(-1)
    is_land = bool((shapely.get_dimensions(shapes) == 2).any())
    closed = _off(shapes, crs, lattice) if is_land else _entered(shapes, crs, lattice, window)
    out = np.empty(window.shape, bool)
    for strip in window.strips(max(1, STRIP // max(1, window.width))):
        out[strip.slices(window)] = closed(strip)
    return out


def _off(land: Geometries, crs: str, lattice: Lattice) -> Callable[[Window], Flags]:
    """Tells which pixels of a window have their centre off the land, (h, w) bool."""
    tolerance = BEND * min(lattice.dx, lattice.dy)
    whole = shapely.union_all(carried(land, crs, lattice.crs, tolerance))
    shapely.prepare(whole)
    return lambda part: ~shapely.contains_xy(whole, *np.meshgrid(lattice.x(part), lattice.y(part)))


def _entered(
    lines: Geometries, crs: str, lattice: Lattice, window: Window
) -> Callable[[Window], Flags]:
    """Tells which pixels of a part of ``window`` a line enters, (h, w) bool."""
    there = shapely.transform(lines, lambda points: moved(points, crs, lattice.crs))
    there = shapely.get_parts(in_pixels(there, lattice, window))
    _, highest, _, lowest = shapely.bounds(there).reshape(-1, 4).T

    def closed(part: Window) -> Flags:
        top = part.top - window.top
        rows, columns = np.indices(part.shape).reshape(2, -1)
        boxes = shapely.box(columns, rows + top, columns + 1, rows + top + 1)
        near = there[(highest <= top + part.height) & (lowest >= top)]
        _, found = shapely.STRtree(boxes).query(near, predicate="intersects")
        out = np.zeros(part.size, bool)
        out[found] = True
        return out.reshape(part.shape)

    return closed


@dataclass(frozen=True)
class NearMines:
    """What mines are to each pixel of a window."""

    dism: Layer
    """Distance to the nearest mine round the coast, m, (h, w); NaN in the sea and out of reach."""

    minea: Layer
    """Share of mines in the window of 10 x 10 km around, (h, w)."""

    unreachable: int
    """Pixels on land from which no way leads to a mine."""


def near_mines(
    share: Layer, blocked: Flags, lattice: Lattice, area: str, put: Put = np.asarray
) -> NearMines:
    """Distance to the mines and their share, on a window with its margin.

    ``share`` is the mine share of each pixel, ``blocked`` the sea. Every pixel that a mine touches
    is a source, its own value 0; the value elsewhere goes from centre to centre, the shortest way
    round what is blocked. Raises InputError where there is no mine.
    """
    sources = share > 0
    if not sources.any():
        raise InputError(
            f"{area}: expected a mine within {MARGIN / 1000:g} km, found none; without mines leave "
            "out area.mines, and dism and minea are left out too"
        )
    if lattice.dx != lattice.dy:
        raise InputError(
            f"{area}: expected square pixels for distances, found {lattice.dx:g} x {lattice.dy:g}"
        )
    ways = _fetched(shortest_ways(put(sources), put(np.ascontiguousarray(blocked))))
    reached = np.isfinite(ways)
    cells = max(1, round(SHARE_WINDOW / lattice.dx))
    reach = (cells - 1) // 2, cells // 2
    mean = in_strips(share, reach, put, lambda part: focal_mean(part, *reach))
    distance = np.where(reached, ways * np.float32(lattice.dx), np.float32(np.nan))
    return NearMines(distance, mean, int((~reached & ~blocked).sum()))


def _fetched(array: Any) -> Layer:
    """``array`` in NumPy, wherever it was calculated."""
    return np.asarray(array.get() if hasattr(array, "get") else array)


def usable(pixels: Pixels, names: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The drivers of ``names`` that can explain anything, and what is wrong with each other one.

    One is left out that has no value where there is RSEI, or the same everywhere.
    """
    known = np.isfinite(pixels["rsei"])
    good, complaints = [], []
    for name in names:
        values = pixels[name][known]
        values = values[np.isfinite(values)]
        if not values.size:
            complaints.append(
                f"{pixels.area}: expected {name} to cover the area, found no value in its "
                f"{np.count_nonzero(known)} pixels; it is left out"
            )
        elif values.min() == values.max():
            complaints.append(
                f"{pixels.area}: expected {name} to differ, found {values[0]:g} in all its "
                f"{values.size} pixels; it is left out"
            )
        else:
            good.append(name)
    return tuple(good), tuple(complaints)
