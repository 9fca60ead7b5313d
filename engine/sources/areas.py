# SPDX-License-Identifier: Apache-2.0
"""Areas of a study, and which pixels lie in them."""

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from .errors import BoundaryError
from .grids import (
    LONLAT,
    SINUSOIDAL,
    SINUSOIDAL_500M,
    Lattice,
    Window,
    carrier,
    extent,
    tile_window,
    tiles,
)
from .vectors import read

BLOCK = 1 << 18
"""Pixels carried to the boundary's CRS at a time: 2 MB an array stays in the cache."""

PREPARED = Lock()
"""A prepared geometry builds its index when it is first asked, and may serve one thread alone."""

PIECES = 512
"""Parts into which the sides of a boundary's extent are cut before it is carried to a lattice.

The longest straight edge of a nation 60 degrees wide is then 13 km, and bends by 3 m at most.
"""


@dataclass(frozen=True)
class Area:
    """A city, a province or a nation: where an index is computed."""

    name: str
    """As the user writes it."""

    slug: str
    """The name in paths: ASCII, unique in a study."""

    geometry: BaseGeometry
    """A valid polygon or multi-polygon."""

    crs: str
    """Coordinate system of ``geometry``, as WKT or an authority's code."""


def areas(
    source: Path | Sequence[float] | Sequence[str],
    name: str,
    name_field: str | None = None,
    layer: str | None = None,
) -> tuple[Area, ...]:
    """The area of a boundary file, of ``[west, south, east, north]`` in degrees, or of tiles.

    A file gives the union of its features; with ``name_field`` one area for each of that field's
    values, in the order of the file. Raises BoundaryError.
    """
    if not isinstance(source, (str, Path)):
        corners = [one for one in source if not isinstance(one, str)]
        if source and not corners:
            return (Area(name, slug(name), squares(list(map(str, source))), SINUSOIDAL),)
        return (Area(name, slug(name), rectangle(corners), LONLAT),)
    found = read(Path(source), layer, keep_duplicates=True)
    crs = found.frame.crs.to_wkt()
    if name_field is None:
        return (Area(name, slug(name), shapely.union_all(found.frame.geometry.values), crs),)
    if name_field not in found.frame.columns:
        fields = ", ".join(sorted(set(found.frame.columns) - {found.frame.geometry.name}))
        raise BoundaryError(
            f"{source}: expected a field {name_field!r}, found {fields or 'none'}; "
            "see area.name_field"
        )
    if found.frame[name_field].isna().any():
        blank = int(found.frame[name_field].isna().sum())
        raise BoundaryError(
            f"{source}: expected a name in every {name_field!r}, found blanks in {blank} of "
            f"{len(found.frame)} features; name them, or leave them out"
        )
    groups = found.frame.groupby(found.frame[name_field].astype(str), sort=False)
    result = tuple(
        Area(str(key), slug(str(key)), shapely.union_all(group.geometry.values), crs)
        for key, group in groups
    )
    distinct(result)
    return result


def rectangle(bounds: Sequence[float]) -> shapely.Polygon:
    """The polygon of ``[west, south, east, north]``, degrees; raises BoundaryError."""
    rule = "expected bounds [west, south, east, north] in degrees, west < east, south < north"
    if len(bounds) != 4 or not all(np.isfinite(bounds)):
        raise BoundaryError(f"{rule}, found {list(bounds)}")
    west, south, east, north = bounds
    if not (-180 <= west < east <= 180 and -90 <= south < north <= 90):
        raise BoundaryError(f"{rule}, found {list(bounds)}")
    return shapely.box(west, south, east, north)


def squares(names: Sequence[str]) -> BaseGeometry:
    """The outline of tiles of the sinusoidal grid, in its CRS; raises GridError."""
    windows = map(tile_window, names)
    return shapely.union_all([shapely.box(*SINUSOIDAL_500M.bounds(one)) for one in windows])


def slug(name: str) -> str:
    """``name`` in lower-case ASCII, for paths; a name without any Latin letter gives a hash.

    >>> slug("Ma'anshan"), slug("Huángshí (市)"), slug("唐山")
    ('ma-anshan', 'huangshi', 'area-dafbf9c8')
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    text = re.sub("[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-")
    return text or "area-" + hashlib.sha256(name.encode()).hexdigest()[:8]


def distinct(found: Sequence[Area]) -> None:
    """Raises BoundaryError where two areas would write to one folder."""
    names: dict[str, str] = {}
    for area in found:
        if area.slug in names:
            raise BoundaryError(
                f"expected names that differ in their letters, found {names[area.slug]!r} and "
                f"{area.name!r}, both {area.slug!r} in paths; rename one"
            )
        names[area.slug] = area.name


def inside(area: Area, lattice: Lattice, window: Window) -> NDArray[np.bool_]:
    """Whether each pixel's centre, carried to the boundary's own CRS, lies in it; (h, w) bool.

    A centre exactly on the boundary is outside, so that no pixel is in two areas that share it.
    """
    result = np.empty(window.shape, dtype=bool)
    with PREPARED:
        shapely.prepare(area.geometry)
        for strip in window.strips(max(1, BLOCK // max(1, window.width))):
            result[strip.slices(window)] = inside_strip(area, lattice, strip)
    return result


def inside_strip(area: Area, lattice: Lattice, window: Window) -> NDArray[np.bool_]:
    """As ``inside``, for a few rows."""
    x, y = np.meshgrid(lattice.x(window), lattice.y(window))
    there = carrier(lattice.crs, area.crs)
    found = shapely.contains_xy(area.geometry, *there.transform(x, y))
    if found.any():
        # Beyond the edge of the globe PROJ wraps longitudes: such pixels do not come back.
        back = there.transform(*there.transform(x[found], y[found]), direction="INVERSE")
        off = np.hypot(back[0] - x[found], back[1] - y[found])
        found[found] = off < 0.5 * min(lattice.dx, lattice.dy)
    return found


def window_of(area: Area, lattice: Lattice) -> Window:
    """The bounding rectangle of the pixels whose centre lies in ``area``.

    Raises BoundaryError where there is none. Only the margins of a first guess, the extent of the
    boundary's own line, are looked at, so that a nation costs little more than a city.
    """
    guess = lattice.bounding(*carried_bounds(area, lattice)).grown(1)
    top = first(area, lattice, guess, "top")
    if top is None:
        raise BoundaryError(
            f"{area.name}: expected at least one pixel of {lattice.dx:g} x {lattice.dy:g} with its "
            f"centre inside, found none at {extent(area.geometry.bounds, area.crs)}; take a larger "
            "area, or check its coordinate system"
        )
    bottom = guess.height - (first(area, lattice, guess, "bottom") or 0)
    left = first(area, lattice, guess, "left") or 0
    right = guess.width - (first(area, lattice, guess, "right") or 0)
    return Window(guess.top + top, guess.left + left, bottom - top, right - left)


def carried_bounds(area: Area, lattice: Lattice) -> tuple[float, float, float, float]:
    """Extent of the boundary in the lattice's CRS; raises BoundaryError where it has no place."""
    west, south, east, north = area.geometry.bounds
    step = max(east - west, north - south) / PIECES
    line = shapely.get_coordinates(shapely.segmentize(area.geometry.boundary, step))
    x, y = carrier(area.crs, lattice.crs).transform(line[:, 0], line[:, 1])
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise BoundaryError(
            f"{area.name}: expected a boundary that can be carried to {lattice.crs}, found extent "
            f"{west:g} {south:g} {east:g} {north:g}; check its coordinate system"
        )
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def first(area: Area, lattice: Lattice, window: Window, side: str) -> int | None:
    """Rows or columns without a pixel of ``area`` at one side of ``window``; None: no pixel."""
    for depth, strip in margins(window, side):
        found = inside(area, lattice, strip)
        if found.any():
            lines = np.flatnonzero(found.any(axis=1 if side in ("top", "bottom") else 0))
            return depth + int(
                lines[0]
                if side in ("top", "left")
                else (found.shape[0 if side == "bottom" else 1] - 1 - lines[-1])
            )
    return None


def margins(window: Window, side: str) -> Iterator[tuple[int, Window]]:
    """Strips of ``window`` from one side inwards, each with its distance from that side."""
    across = side in ("top", "bottom")
    length = window.height if across else window.width
    for depth in range(0, length, 16):
        size = min(16, length - depth)
        start = depth if side in ("top", "left") else length - depth - size
        if across:
            yield depth, Window(window.top + start, window.left, size, window.width)
        else:
            yield depth, Window(window.top, window.left + start, window.height, size)


def require_pixels(area: Area, lattice: Lattice, covered: Sequence[Window]) -> Window:
    """The window of ``area`` where it meets the ``covered`` windows, those of the granules.

    Raises BoundaryError, with both extents, for an area outside all of them.
    """
    window = window_of(area, lattice)
    if not any(
        (window & tile).size and inside(area, lattice, window & tile).any() for tile in covered
    ):
        ours = extent(area.geometry.bounds, area.crs)
        theirs = "; ".join(extent(lattice.bounds(tile), lattice.crs) for tile in covered[:4])
        raise BoundaryError(
            f"{area.name}: expected an area within the granules at {theirs or 'no place'}, "
            f"found it at {ours}; get the granules of its tiles, or check its coordinate system"
        )
    return window


def tiles_of(area: Area) -> list[str]:
    """The MODIS tiles with at least one 500 m pixel of ``area``, sorted."""
    window = window_of(area, SINUSOIDAL_500M)

    def touched(tile: str) -> bool:
        strips = (window & tile_window(tile)).strips(16)  # most tiles end at the first
        return any(inside(area, SINUSOIDAL_500M, strip).any() for strip in strips)

    return [tile for tile in tiles(window) if touched(tile)]
