"""Zones: how much of each pixel lies in each polygon, and statistics of layers over them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from pyproj import CRS, Geod, Proj

from ...kernels.zonal import LabelSums, Runs, Shares
from ..sources.areas import Area, inside
from ..sources.grids import Lattice, Window, carrier
from .polygons import Geometries, carried, without_lines

BEND = 1e-4
"""Share of a pixel by which a carried edge may leave its true course: 5 cm of 500 m."""

STATISTICS = ("n", "mean", "std", "min", "max")
"""Columns of the statistics of a zone; n is the sum of shares or the number of pixels."""

WHOLE = 1 - 1e-14
"""Share of a block from which on it is whole: the corners are integers, areas round in the last
digit."""


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

    Blocks of pixels are halved until they are whole, empty or one pixel, and the polygon is cut
    along: each vertex is looked at once a level, not once a pixel.
    """
    zone = np.flatnonzero(~shapely.is_empty(shapes))
    box = blocks_around(shapes[zone], shape)
    piece = cut(shapes[zone], box)
    done: list[Entries] = [(np.zeros(0, int), np.zeros(0, int), np.zeros(0))]
    while len(zone):
        area, size = shapely.area(piece), (box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1])
        whole = (area >= size * WHOLE) & (shapely.get_num_coordinates(piece) == 5)
        ready = (area > 0) & (whole | (size == 1))
        share = np.where(whole, 1.0, np.minimum(area, 1.0))
        done.append(pixels_of(zone[ready], box[ready], share[ready], shape[1]))
        split = (area > 0) & ~ready
        zone, box, piece = zone[split].repeat(2), halves(box[split]), piece[split].repeat(2)
        piece = cut(piece, box)
    zones, pixels, weights = (np.concatenate(column) for column in zip(*done, strict=True))
    order = np.lexsort((pixels, zones))
    return zones[order], pixels[order], weights[order]


def blocks_around(shapes: Geometries, shape: tuple[int, int]) -> NDArray[np.int64]:
    """Left, top, right and bottom, (Z, 4), of the whole pixels of a raster about each shape."""
    bounds = shapely.bounds(shapes)
    box = np.concatenate([np.floor(bounds[:, :2]), np.ceil(bounds[:, 2:])], axis=1)
    limits = np.array([shape[1], shape[0]] * 2)
    return np.clip(box, 0, limits).astype(np.int64)


def cut(shapes: Geometries, box: NDArray[np.int64]) -> Geometries:
    """The part of each shape in its box."""
    return without_lines(shapely.intersection(shapes, shapely.box(*box.T.astype(np.float64))))


def halves(box: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each box cut across its longer side, (2 Z, 4), the halves one after the other."""
    first, second = box.copy(), box.copy()
    wide = box[:, 2] - box[:, 0] >= box[:, 3] - box[:, 1]
    for axis, chosen in ((0, wide), (1, ~wide)):
        middle = (box[:, axis] + box[:, axis + 2]) // 2
        first[chosen, axis + 2] = second[chosen, axis] = middle[chosen]
    return np.stack([first, second], axis=1).reshape(-1, 4)


def pixels_of(
    zone: NDArray[np.int64], box: NDArray[np.int64], share: NDArray[np.float64], width: int
) -> Entries:
    """The pixels of each box, with the zone and share of their box."""
    wide = box[:, 2] - box[:, 0]
    size = wide * (box[:, 3] - box[:, 1])
    nth = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    row, column = np.divmod(nth, np.repeat(wide, size))
    pixel = (row + box[:, 1].repeat(size)) * width + column + box[:, 0].repeat(size)
    return zone.repeat(size), pixel, share.repeat(size)


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
