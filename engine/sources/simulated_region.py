# SPDX-License-Identifier: Apache-2.0
"""What stands where in a simulated landscape, and geometry in the systems it is seen in."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TypeVar

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.features import rasterize
from shapely.affinity import scale as scaled
from shapely.geometry.base import BaseGeometry

from .grids import SINUSOIDAL_500M, Window
from .simulated_noise import Field

Shape = TypeVar("Shape", bound=BaseGeometry)
"""Any geometry; what comes out is of the kind that went in."""

METRIC = "ESRI:102025"
"""The plane in which distances and areas are measured, as the study does."""


MARGIN_DEGREES = 2.5
"""How far beyond a window its land is kept: the coast is felt no further."""


@dataclass(frozen=True)
class Region:
    """What stands where; geometries in EPSG:4326."""

    mines: Sequence[BaseGeometry] = ()
    """Outlines of the mines at their largest."""

    land: BaseGeometry | None = None
    """Land; the sea is all the rest. None: land everywhere."""

    rivers: BaseGeometry | None = None
    """Inland water, as polygons."""

    towns: Sequence[tuple[float, float, float]] = ()
    """Longitude, latitude and radius in km of each town."""

    hills: float = 1.0
    """Height of the relief, times the usual."""

    def around(self, west: float, south: float, east: float, north: float) -> "Region":
        """What of the region can matter in a box of longitudes and latitudes."""
        margin = MARGIN_DEGREES
        box = west - margin, south - margin, east + margin, north + margin
        near = [mine for mine in self.mines if shapely.intersects(mine, shapely.box(*box))]
        return replace(self, mines=near, land=_cut(self.land, box), rivers=_cut(self.rivers, box))

    @property
    def coast(self) -> BaseGeometry:
        """The line between land and sea, without the edges that ``around`` has cut."""
        land = shapely.Polygon() if self.land is None else self.land
        inner = shapely.box(*land.bounds).buffer(-1e-6) if not land.is_empty else land
        return shapely.intersection(land.boundary, inner)


@cache
def transformer(source: str, target: str) -> Transformer:
    """x, y to x, y, or longitude, latitude; kept, for one takes milliseconds to make."""
    return Transformer.from_crs(source, target, always_xy=True)


def carried(geometry: Shape, source: str, target: str) -> Shape:
    """``geometry`` in another coordinate system, vertex by vertex."""
    way = transformer(source, target)
    return shapely.transform(
        geometry, lambda xy: np.column_stack(way.transform(xy[:, 0], xy[:, 1]))
    )


def share(geometry: BaseGeometry, window: Window, parts: int) -> Field:
    """Share of each pixel inside ``geometry`` (m, sinusoidal), (h, w), by parts² points a pixel."""
    coarse = SINUSOIDAL_500M.transform(window)
    fine = Affine(coarse.a / parts, 0, coarse.c, 0, coarse.e / parts, coarse.f)
    shape = window.height * parts, window.width * parts
    inside = rasterize([geometry], shape, transform=fine, dtype="uint8")
    blocks = inside.reshape(window.height, parts, window.width, parts)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _cut(
    geometry: BaseGeometry | None, box: tuple[float, float, float, float]
) -> BaseGeometry | None:
    """What of ``geometry`` lies in a box; its crossing rings are mended after, which is quicker."""
    if geometry is None:
        return None
    part = shapely.clip_by_rect(geometry, *box)
    return part if part.is_valid else shapely.make_valid(part)


def area_km2(geometry: BaseGeometry) -> float:
    """Area of a geometry in EPSG:4326, km², in ``METRIC``, which keeps areas."""
    return carried(geometry, "EPSG:4326", METRIC).area / 1e6


def grown(mine: BaseGeometry, part: float) -> BaseGeometry:
    """The outline shrunk about its centroid to ``part`` of its area."""
    return scaled(mine, part**0.5, part**0.5, origin=mine.centroid)


def points(x: NDArray[np.float64], y: NDArray[np.float64], crs: str) -> NDArray[np.object_]:
    """Points in ``METRIC``."""
    return np.asarray(shapely.points(*transformer(crs, METRIC).transform(x, y)))
