# SPDX-License-Identifier: Apache-2.0
"""Polygons in another coordinate system, and their areas."""

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from ..sources.errors import BoundaryError
from ..sources.grids import carrier

ANALYSIS = "ESRI:102025"
"""Asia North Albers, m: the study's analysis CRS. Areas are exact in it, distances are not."""

Geometries = NDArray[np.object_]
"""Shapely polygons and multi-polygons, (Z,)."""

PROBES = (0.25, 0.5, 0.75)
"""Shares of an edge at which its bend is measured; the middle alone misses an S."""

COLLECTION = 7
"""Shapely's type number of a geometry collection."""


def carried(
    geometries: Sequence[shapely.Geometry | None] | Geometries,
    source: str,
    target: str,
    tolerance: float,
) -> Geometries:
    """The polygons, (Z,), in the ``target`` CRS; missing ones become empty.

    An edge that is straight in ``source`` is bent in ``target``: it gets as many vertices as keep
    it within ``tolerance``, units of ``target``. Raises BoundaryError where there is no place
    for a polygon.
    """
    shapes = np.array(geometries, dtype=object).reshape(-1)
    shapes[shapely.is_missing(shapes)] = shapely.Polygon()
    shapes = shapely.force_2d(shapes)
    if source == target:
        return polygonal(shapes)
    if not np.isfinite(moved(shapely.get_coordinates(shapes), source, target)).all():
        raise BoundaryError(
            f"expected polygons that can be carried to {target}, found some beyond its limits at "
            f"{shapely.total_bounds(shapes)}; check their coordinate system"
        )
    step = longest_edges(shapes, source, target, tolerance)
    bent = np.isfinite(step)
    shapes[bent] = shapely.segmentize(shapes[bent], step[bent])
    return polygonal(shapely.transform(shapes, lambda points: moved(points, source, target)))


def moved(points: NDArray[np.float64], source: str, target: str) -> NDArray[np.float64]:
    """``points``, (N, 2), of one CRS in another."""
    return np.column_stack(carrier(source, target).transform(*points.T))


def longest_edges(
    shapes: Geometries, source: str, target: str, tolerance: float
) -> NDArray[np.float64]:
    """Length to which the edges of each shape are to be cut, (Z,); infinite where none is.

    In units of ``source``; of a shape alone, so that its course does not depend on the others.
    """
    parts, part_of = shapely.get_parts(shapes, return_index=True)
    rings, ring_of = shapely.get_rings(parts, return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    first, last, shape = points[:-1][same], points[1:][same], part_of[ring_of[ring[1:][same]]]
    ends = moved(first, source, target), moved(last, source, target)
    chord = ends[1] - ends[0]
    length = np.hypot(*chord.T)
    bend = np.zeros(len(first))
    for share in PROBES:
        off = moved(first + share * (last - first), source, target) - ends[0]
        across = np.abs(off[:, 0] * chord[:, 1] - off[:, 1] * chord[:, 0])
        bend = np.fmax(bend, across / np.where(length > 0, length, 1))
    # A chord's bend falls with the square of its length; doubled, as an edge bends unevenly.
    pieces = np.ceil(2 * np.sqrt(bend / tolerance))
    cut = pieces > 1
    longest = np.full(len(shapes), np.inf)
    edges = np.hypot(*(last[cut] - first[cut]).T)
    np.minimum.at(longest, shape[cut], edges / pieces[cut])
    return longest


def polygonal(shapes: Geometries) -> Geometries:
    """Valid polygons of ``shapes``; what has no area becomes an empty polygon."""
    faulty = ~shapely.is_valid(shapes)
    if faulty.any():
        shapes = shapes.copy()
        shapes[faulty] = shapely.make_valid(shapes[faulty])
    return without_lines(shapes)


def without_lines(shapes: Geometries) -> Geometries:
    """The polygons among the parts of each geometry, as one geometry."""
    mixed = np.flatnonzero(shapely.get_type_id(shapes) == COLLECTION)
    flat = shapely.get_dimensions(shapes) < 2
    if len(mixed) or flat.any():
        shapes = shapes.copy()
        shapes[flat] = shapely.Polygon()
        for index in mixed:
            parts = shapely.get_parts(shapes[index])
            shapes[index] = shapely.union_all(parts[shapely.get_dimensions(parts) == 2])
    return shapes


def areas_km2(
    geometries: Sequence[shapely.Geometry] | Geometries, crs: str, target: str = ANALYSIS
) -> NDArray[np.float64]:
    """Area of each polygon, km2, (Z,), in the ``target`` CRS, which is to be equal-area in m."""
    # 1 cm on the outline of a mine of 0.1 km2 is 1e-4 of its area at the very worst.
    return shapely.area(carried(geometries, crs, target, tolerance=0.01)) / 1e6
