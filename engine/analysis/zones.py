# SPDX-License-Identifier: Apache-2.0
"""Zones: how much of each pixel lies in each polygon, and statistics of layers over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj

from ...kernels.coverage import MARGIN, cover
from ...kernels.shares import Shares
from ...kernels.zonal import LabelSums, Runs
from ..sources.areas import Area, inside
from ..sources.grids import Lattice, Window, carrier
from .polygons import Geometries, carried, without_lines

BEND = 1e-4
"""Share of a pixel by which a carried edge may leave its true course: 5 cm of 500 m."""

STATISTICS = ("n", "mean", "std", "min", "max")
"""Columns of the statistics of a zone; n is the sum of shares or the number of pixels."""

NOISE = 1e-11
"""Share below which a pixel is not in a zone, and below which what lacks of a whole one is not
missing: sums of a row's edges round in the last digits."""


@dataclass(frozen=True)
class Coverage:
    """The share of each pixel of a window in each zone: made once, used for every layer."""

    lattice: Lattice
    """The grid."""

    window: Window
    """The pixels of a layer."""

    shares: Shares
    """Pixels and shares of each zone; pixels count along the rows of the window."""

    sizes: NDArray[np.float64]
    """Sum of shares of each zone, pixels, (Z,)."""

    reasons: tuple[str, ...]
    """Why a zone has no pixel, or nothing where it has some."""

    @classmethod
    def of(
        cls,
        geometries: Sequence[shapely.Geometry | None] | Geometries,
        crs: str,
        lattice: Lattice,
        window: Window,
    ) -> Self:
        """The exact shares of polygons that may overlap, lie outside or be empty.

        The polygons are carried to the lattice's own CRS. Raises BoundaryError where they
        cannot be.
        """
        tolerance = BEND * min(lattice.dx, lattice.dy)
        shapes = in_pixels(carried(geometries, crs, lattice.crs, tolerance), lattice, window)
        zones, pixels, weights = shares_of(shapes, window.shape)
        bounds = np.searchsorted(zones, np.arange(len(shapes) + 1))
        sizes = np.bincount(zones, weights, minlength=len(shapes)).astype(np.float64)
        reasons = tuple(
            "" if size else "empty" if empty else "outside"
            for size, empty in zip(sizes, shapely.is_empty(shapes), strict=True)
        )
        return cls(lattice, window, Shares.of(bounds, pixels, weights), sizes, reasons)

    def moved(self, put: Callable[[Any], Any]) -> Self:
        """This coverage with its arrays carried by ``put``, such as ``cupy.asarray``."""
        return replace(self, shares=self.shares.moved(put))

    def among(self, held: NDArray[np.int64]) -> Self:
        """This coverage where a layer holds some pixels alone, flat and rising: it counts them."""
        every = self.shares.pixels
        place = np.searchsorted(held, every)
        kept = np.zeros(len(every), bool)
        known = place < len(held)
        kept[known] = held[place[known]] == every[known]
        before = np.concatenate([[0], np.cumsum(kept)])
        bounds = before[self.shares.starts[self.shares.ends]]
        shares = Shares.of(bounds, place[kept], self.shares.weights[kept])
        return replace(self, shares=shares)

    def entries(self, zone: int) -> tuple[Any, Any]:
        """Flat pixels and shares of one zone."""
        first, last = (int(self.shares.starts[end]) for end in self.shares.ends[zone : zone + 2])
        return self.shares.pixels[first:last], self.shares.weights[first:last]

    def statistics(self, layer: Any) -> pd.DataFrame:
        """Sum of shares, mean, std (ddof 0), min and max of ``layer``, (h, w) float32, by zone.

        NaN is no pixel. A zone without pixel keeps its row; ``reason`` says why: empty, outside
        (of the window), or no value.
        """
        found = self.shares.statistics(layer.reshape(-1))
        table = pd.DataFrame(found, columns=list(STATISTICS))
        table.insert(0, "zone", np.arange(len(found)))
        blank = np.where(found[:, 0] == 0, "no value", "")
        table["reason"] = [own or other for own, other in zip(self.reasons, blank, strict=True)]
        return table


def in_pixels(shapes: Geometries, lattice: Lattice, window: Window) -> Geometries:
    """``shapes`` in columns and rows of ``window``, so that pixel edges are integers."""
    left, _, _, top = lattice.bounds(window)
    corner, size = np.array([left, top]), np.array([lattice.dx, -lattice.dy])
    return shapely.transform(shapes, lambda points: (points - corner) / size)


Entries = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]
"""Zone, flat pixel and share of each entry."""


def shares_of(shapes: Geometries, shape: tuple[int, int]) -> Entries:
    """Every pixel of a raster of ``shape`` and its share in each of ``shapes``, in pixel units.

    The parts of a shape are covered one by one, each in its own rectangle of pixels.
    """
    frame = shapely.box(0, 0, shape[1], shape[0])
    out = ~shapely.covered_by(shapes, frame)
    shapes = shapes.copy()
    shapes[out] = without_lines(shapely.intersection(shapes[out], frame))
    parts, zone_of = shapely.get_parts(shapes, return_index=True)
    kept = ~shapely.is_empty(parts)
    parts, zone_of = parts[kept], zone_of[kept]
    boxes = blocks_around(parts, shape)
    found, cells = cover(*outlines_of(parts), boxes)
    place = np.flatnonzero(found > NOISE)
    part = np.searchsorted(cells, place, side="right") - 1
    box = boxes[part]
    row, column = np.divmod(place - cells[part], box[:, 2] - box[:, 0] + MARGIN)
    held = column < box[:, 2] - box[:, 0]
    pixel = (row + box[:, 1]) * shape[1] + column + box[:, 0]
    share = found[place]
    return joined(zone_of[part][held], pixel[held], share[held])


def outlines_of(
    parts: Geometries,
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Vertices of the rings of each polygon, and where each ring and each polygon begins."""
    rings, part_of = shapely.get_rings(parts, return_index=True)
    points, ring_of = shapely.get_coordinates(rings, return_index=True)
    ends = np.arange(len(rings) + 1), np.arange(len(parts) + 1)
    return points, np.searchsorted(ring_of, ends[0]), np.searchsorted(part_of, ends[1])


def joined(
    zone: NDArray[np.int64], pixel: NDArray[np.int64], share: NDArray[np.float64]
) -> Entries:
    """The entries by zone and pixel, those of several parts of a zone added."""
    order = np.lexsort((pixel, zone))
    zone, pixel, share = zone[order], pixel[order], share[order]
    new = np.ones(len(zone), bool)
    new[1:] = (zone[1:] != zone[:-1]) | (pixel[1:] != pixel[:-1])
    first = np.flatnonzero(new)
    total = np.add.reduceat(share, first) if len(first) else share
    total = np.where(total > 1 - NOISE, 1.0, total)
    return zone[first], pixel[first], total


def blocks_around(shapes: Geometries, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Left, top, right and bottom, (Z, 4), of the whole pixels of a raster about each shape."""
    bounds = shapely.bounds(shapes).reshape(-1, 4)
    box = np.concatenate([np.floor(bounds[:, :2]), np.ceil(bounds[:, 2:])], axis=1)
    return np.clip(box, 0, np.array([shape[1], shape[0]] * 2)).astype(np.int64)


def labels_of(
    geometries: Sequence[shapely.Geometry] | Geometries, crs: str, lattice: Lattice, window: Window
) -> NDArray[np.int32]:
    """Which polygon a pixel's centre lies in, counted from 1, 0 for none, (h, w) int32.

    The centre is carried to the polygons' own CRS. Where they overlap, the first one holds.
    """
    labels = np.zeros(window.shape, np.int32)
    tolerance = BEND * min(lattice.dx, lattice.dy)
    for number, geometry in enumerate(geometries, 1):
        shape = carried([geometry], crs, lattice.crs, tolerance)[0]
        if shape.is_empty:
            continue
        part = lattice.bounding(*shape.bounds).grown(1) & window
        within = inside(Area("zone", "zone", geometry, crs), lattice, part)
        here = labels[part.slices(window)]
        here[within & (here == 0)] = number
    return labels


def label_statistics(
    layer: Any, runs: Runs, names: Sequence[str], bound: float = 1.0
) -> pd.DataFrame:
    """Number, mean, std, min and max of ``layer``, (h, w) float32, in the zones of a label raster.

    ``runs`` are ``Runs.of(labels.reshape(-1), len(names))``, ``names`` those of the labels from 1;
    ``bound``, a power of two, is no less than any absolute value. A zone without pixel keeps its
    row.
    """
    sums = LabelSums.of(layer.reshape(-1), runs, bound)
    table = pd.DataFrame(sums.statistics(), columns=list(STATISTICS))
    table["n"] = table["n"].astype(np.int64)
    table.insert(0, "zone", list(names))
    table["reason"] = np.where(table["n"] == 0, "no value", "")
    return table


def centres(
    lattice: Lattice, window: Window, crs: str = "OGC:CRS84"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x and y, each (h, w), of every pixel's centre in another CRS; longitude and latitude here."""
    x, y = np.meshgrid(lattice.x(window), lattice.y(window))
    there = carrier(lattice.crs, crs).transform(x, y)
    return np.asarray(there[0]), np.asarray(there[1])


def pixel_areas(lattice: Lattice, window: Window) -> NDArray[np.float64]:
    """Area of each pixel, km2, (h, w), on the sphere or ellipsoid of the grid's own CRS.

    Constant in an equal-area CRS such as MODIS's own, whose sphere is within 0.5 % of the
    ellipsoid up to 55 degrees of latitude.
    """
    crs = CRS(lattice.crs)
    if crs.is_geographic:
        return np.broadcast_to(row_areas(crs, lattice, window)[:, None], window.shape)
    plane = lattice.dx * lattice.dy * crs.axis_info[0].unit_conversion_factor ** 2 / 1e6
    corners = Window(window.top, window.left, min(window.height, 2), min(window.width, 2))
    far = Window(window.bottom - 1, window.right - 1, 1, 1)
    if all(np.abs(areal_scale(crs, lattice, part) - 1).max() < 1e-9 for part in (corners, far)):
        return np.broadcast_to(plane, window.shape)
    return plane / areal_scale(crs, lattice, window)


def areal_scale(crs: CRS, lattice: Lattice, window: Window) -> NDArray[np.float64]:
    """Area on the map by area on the ground, (h, w)."""
    projection = Proj(crs)
    x, y = np.meshgrid(lattice.x(window), lattice.y(window))
    return np.asarray(projection.get_factors(*projection(x, y, inverse=True)).areal_scale)


def row_areas(crs: CRS, lattice: Lattice, window: Window) -> NDArray[np.float64]:
    """Area of a pixel of each row of a geographic grid, km2, (h,), on its ellipsoid.

    Source: Snyder 1987, Map Projections, equation 3-12, between the parallels of the edges.
    """
    geod = crs.get_geod() or Geod(ellps="WGS84")
    edges = lattice.top - (window.top + np.arange(window.height + 1)) * lattice.dy
    sine, e = np.sin(np.radians(edges)), np.sqrt(geod.es)
    log = np.log((1 + e * sine) / (1 - e * sine)) / (2 * e) if e else sine
    zone = geod.a**2 * (1 - geod.es) / 2 * (sine / (1 - geod.es * sine**2) + log)
    return (zone[:-1] - zone[1:]) * np.radians(lattice.dx) / 1e6
