# SPDX-License-Identifier: Apache-2.0
"""The areas of a study on its grid: each whole, or tile by tile where it is too large for that."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from itertools import pairwise
from pathlib import Path

import shapely

from ..analysis.polygons import carried
from ..sources.areas import Area, areas, distinct, inside, require_pixels
from ..sources.grids import LONLAT, Lattice, Window, carrier
from .study import AreaSettings, Study

LARGE = 1 << 25
"""Pixels of a rectangle from which an area is worked on by tiles, unless the study says: a map of
so many is 128 MiB, and packing it takes three times that."""

STRIP = 64
"""Rows that are looked at together for a pixel without data: most areas show one at once."""

BEND = 0.1
"""Pixels by which the edge of a boundary may leave its course where tiles are looked for."""


@dataclass(frozen=True)
class Place:
    """One area, on the grid of the study; or the part of it in one tile."""

    area: Area
    """The area."""

    settings: AreaSettings
    """The part of the study that asks for it."""

    window: Window
    """The bounding rectangle of its pixels."""

    tiles: tuple[str, ...]
    """Tiles with at least one pixel of that rectangle; of an area by tiles, of the area."""

    extents: tuple[Window, ...] = ()
    """Of an area that is worked on by tiles, the part of the rectangle in each of them."""

    tile: str = ""
    """Of a part, its tile."""

    company: tuple[float, float, float, float] | None = None
    """Extent, degrees, of all areas that share its file of mines: then it need not meet one. None
    where the file is its own."""

    @cached_property
    def digest(self) -> str:
        """A hash of the boundary: what results depend on, whatever its file is called."""
        shape = shapely.to_wkb(shapely.normalize(self.area.geometry), byte_order=1)
        return hashlib.sha256(shape + self.area.crs.encode()).hexdigest()

    @property
    def by_tile(self) -> bool:
        """Whether its rasters are a file a tile."""
        return bool(self.extents)

    @cached_property
    def pixels(self) -> int:
        """Pixels of its rasters."""
        return sum(part.window.size for part in self.parts)

    def count(self, lattice: Lattice) -> int:
        """Pixels of the area, about: no more than its rasters have."""
        return min(self.pixels, about(self.area, lattice))

    @cached_property
    def parts(self) -> tuple["Place", ...]:
        """What is worked on at a time: its tiles, or itself."""
        if not self.by_tile:
            return (self,)
        held = zip(self.tiles, self.extents, strict=True)
        return tuple(replace(self, window=one, tile=tile, extents=()) for tile, one in held)

    def named(self, epoch: int | str) -> str:
        """Area and epoch, and the tile of a part: an artefact, and a path without its ending."""
        return f"{self.area.slug}/{epoch}" + (f"/{self.tile}" if self.tile else "")


def places(
    study: Study, lattice: Lattice, extents: Mapping[str, Window]
) -> tuple[tuple[Place, ...], list[str]]:
    """The areas on the pixels that the granules of each tile cover, and what to say of them.

    Raises BoundaryError for one that lies outside of all.
    """
    found: list[Place] = []
    warnings: list[str] = []
    for settings in study.area:
        for area in areas(settings.outline, settings.name, settings.name_field):
            window = require_pixels(area, lattice, list(extents.values()))
            place = _placed(area, settings, window, lattice, extents)
            held = [extents[tile] & window for tile in place.tiles]
            if _pixels_beyond(area, lattice, window, held):
                warnings.append(
                    f"{area.name}: part of the area lies outside the granules (tiles "
                    f"{' '.join(place.tiles)}); its pixels are left out for want of data"
                )
            found.append(place)
    distinct([place.area for place in found])
    return _in_company(found), warnings


def _in_company(found: Sequence[Place]) -> tuple[Place, ...]:
    """The same, each with the extent of those that share its file of mines."""
    bounds: dict[Path | None, list[tuple[float, float, float, float]]] = {}
    for place in found:
        if place.settings.mines is not None:
            edges, carry = place.area.geometry.bounds, carrier(place.area.crs, LONLAT)
            own = carry.transform_bounds(edges[0], edges[1], edges[2], edges[3], densify_pts=21)
            bounds.setdefault(place.settings.mines, []).append(own)
    around = {}
    for path, each in bounds.items():
        west, south, east, north = zip(*each, strict=True)
        if len(each) > 1:
            around[path] = min(west), min(south), max(east), max(north)
    return tuple(replace(one, company=around.get(one.settings.mines)) for one in found)


def _placed(
    area: Area,
    settings: AreaSettings,
    window: Window,
    lattice: Lattice,
    extents: Mapping[str, Window],
) -> Place:
    tiles = tuple(sorted(t for t, extent in extents.items() if (extent & window).size))
    wanted = window.size > LARGE if settings.by_tile is None else settings.by_tile
    if not wanted:
        return Place(area, settings, window, tiles)
    shape = _carried(area, lattice)
    shapely.prepare(shape)
    parts = {tile: extents[tile] & window for tile in tiles}
    met = {
        tile: part
        for tile, part in parts.items()
        if shapely.intersects(shape, shapely.box(*lattice.bounds(part)))
    }
    return Place(area, settings, window, tuple(met), tuple(met.values()))


@lru_cache(maxsize=4096)
def about(area: Area, lattice: Lattice) -> int:
    """Pixels of an area by its size, with some for its edge."""
    shape = _carried(area, lattice)
    size = shapely.area(shape) + shapely.length(shape) * lattice.dy
    return math.ceil(size / (lattice.dx * lattice.dy))


def _carried(area: Area, lattice: Lattice) -> shapely.Geometry:
    tolerance = BEND * min(lattice.dx, lattice.dy)
    return carried([area.geometry], area.crs, lattice.crs, tolerance)[0]


def _pixels_beyond(area: Area, lattice: Lattice, window: Window, held: Sequence[Window]) -> bool:
    """Whether a pixel of the area lies outside the windows that are ``held``."""
    rest = (strip for part in _rest(window, held) for strip in part.strips(STRIP))
    return any(inside(area, lattice, strip).any() for strip in rest)


def _rest(window: Window, held: Sequence[Window]) -> list[Window]:
    """Windows that make up what of ``window`` is in none of ``held``, which do not overlap.

    >>> _rest(Window(0, 0, 4, 4), [Window(0, 0, 4, 3)])
    [Window(top=0, left=3, height=4, width=1)]
    """
    rows = sorted({window.top, window.bottom, *(e for w in held for e in (w.top, w.bottom))})
    columns = sorted({window.left, window.right, *(e for w in held for e in (w.left, w.right))})
    cells = (
        Window(top, left, bottom - top, right - left)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(columns)
    )
    return [cell for cell in cells if not any(cell in one for one in held)]
