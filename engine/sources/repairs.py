# SPDX-License-Identifier: Apache-2.0
"""Features as they are wanted, valid, flat and each once, and the count of what that changed."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

POLYGONS = {"Polygon", "MultiPolygon"}
"""Geometry types with an area."""

LINES = {"LineString", "MultiLineString", "LinearRing"}
"""Geometry types with a length alone."""


@dataclass(frozen=True)
class Repairs:
    """What reading changed in a layer; counts of features."""

    read: int
    """Features in the file."""

    repaired: Mapping[str, int]
    """Features with an invalid geometry that was made valid, by kind of fault."""

    flattened: int
    """Features that had heights, which were dropped."""

    empty: int
    """Features dropped since they have no geometry, or none of the kind wanted after repair."""

    duplicates: int
    """Features dropped since an earlier one has the same geometry."""

    def __str__(self) -> str:
        """One line for a log.

        >>> str(Repairs(9, {"Self-intersection": 2}, 0, 1, 0))
        '9 features, 2 repaired (Self-intersection), 1 dropped (empty or of another kind)'
        """
        parts = [f"{self.read} features"]
        if self.repaired:
            parts.append(f"{sum(self.repaired.values())} repaired ({', '.join(self.repaired)})")
        parts += [f"{self.flattened} flattened"] if self.flattened else []
        parts += [f"{self.empty} dropped (empty or of another kind)"] if self.empty else []
        parts += [f"{self.duplicates} duplicates dropped"] if self.duplicates else []
        return ", ".join(parts)


def repair(
    frame: gpd.GeoDataFrame, kinds: set[str], keep_duplicates: bool = False
) -> tuple[gpd.GeoDataFrame, Repairs]:
    """Features that are valid, flat, not empty, not repeated and of the ``kinds`` wanted."""
    shapes: NDArray[np.object_] = np.asarray(frame.geometry.values, dtype=object)
    flattened = shapely.has_z(shapes)
    shapes = shapely.force_2d(shapes)
    present = ~(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    faulty = present & ~shapely.is_valid(shapes)
    faults = Counter(reason.split("[")[0] for reason in shapely.is_valid_reason(shapes[faulty]))
    shapes[faulty] = [mended(shape) for shape in shapes[faulty]]
    shapes = np.array([only(shape, kinds) for shape in shapes], dtype=object)
    kept = np.array([shape is not None for shape in shapes], dtype=bool)
    result = frame.set_geometry(gpd.GeoSeries(shapes, crs=frame.crs))[kept]
    wkb = pd.Series(shapely.to_wkb(shapely.normalize(shapes[kept])), dtype=object)
    again = wkb.duplicated().to_numpy() & (not keep_duplicates)
    repairs = Repairs(
        read=len(frame),
        repaired=dict(sorted(faults.items())),
        flattened=int(flattened.sum()),
        empty=int((~kept).sum()),
        duplicates=int(again.sum()),
    )
    return result[~again].reset_index(drop=True), repairs


def mended(shape: BaseGeometry) -> BaseGeometry:
    """A valid geometry of the same lines; parts that overlap become one."""
    # GEOS, given the whole, would cut out what two parts share.
    if shape.geom_type != "MultiPolygon":
        return shapely.make_valid(shape)
    return shapely.union_all(shapely.make_valid(shapely.get_parts(shape)))


def only(shape: BaseGeometry | None, kinds: set[str]) -> BaseGeometry | None:
    """The parts of ``shape`` of the ``kinds`` wanted, as one geometry; None where there is none.

    >>> mixed = shapely.from_wkt("GEOMETRYCOLLECTION (POINT (0 0), LINESTRING (0 0, 1 1))")
    >>> print(only(mixed, LINES))
    LINESTRING (0 0, 1 1)
    """
    if shape is None or shape.is_empty:
        return None
    if shape.geom_type in kinds:
        return shape
    if shape.geom_type != "GeometryCollection":
        return None
    parts = (only(part, kinds) for part in shapely.get_parts(shape))
    found = [part for part in parts if part is not None]
    return shapely.union_all(found) if found else None
