# SPDX-License-Identifier: Apache-2.0
"""The parts of an area: its mines, the zones that the user names, and its land cover."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely

from ..analysis.polygons import Geometries
from ..analysis.rings import RingSettings, scale_range
from ..analysis.stacks import Stack, Zone
from ..sources.errors import BoundaryError
from ..sources.grids import LONLAT, carrier
from ..sources.patterns import of_year
from ..sources.rasterfiles import split
from ..sources.rasters import on_lattice
from ..sources.vectors import Layer, read, require_overlap
from .survey import Place


@dataclass(frozen=True)
class Mines:
    """Every mine of a file, and which of them lie in an area."""

    shapes: Geometries
    """Polygons, in the file's CRS: all count for distances, also those outside the area."""

    crs: str
    """The file's CRS."""

    inside: tuple[int, ...]
    """Numbers, from 0, of the mines that meet the area."""

    warnings: tuple[str, ...] = ()
    """What was mended in the file, and that no mine meets the area."""

    @property
    def inside_shapes(self) -> Geometries:
        """The mines that meet the area."""
        return self.shapes[list(self.inside)]

    def scale(self, stack: Stack, settings: RingSettings) -> list[float] | None:
        """Least and most metres that the rings' metric takes for a metre; None without mines."""
        return list(scale_range(stack, settings)) if len(self.shapes) else None


def mines_of(place: Place) -> Mines:
    """The mines of an area; none where the study names no file.

    Raises BoundaryError where no mine of the file meets the area, nor those that share the file.
    """
    if place.settings.mines is None:
        return Mines(np.zeros(0, object), "OGC:CRS84", ())
    layer = read(place.settings.mines)
    said = unmet(layer, place)
    shapes = np.asarray(layer.frame.geometry.values, dtype=object)
    crs = layer.frame.crs.to_wkt()
    meeting = () if said else _meeting(shapes, crs, place)
    return Mines(shapes, crs, meeting, (*said, *_mended(place.settings.mines, layer)))


def unmet(layer: Layer, place: Place) -> tuple[str, ...]:
    """What to say where no mine of ``layer`` meets the area; nothing where one does.

    Raises BoundaryError where none lies in the extent of the areas that share the file either.
    """
    try:
        require_overlap(layer, place.area.geometry, place.area.crs, "mines")
    except BoundaryError:
        if place.company is None:
            raise
        require_overlap(layer, shapely.box(*place.company), LONLAT, "mines")
        return (
            f"{layer.path.name}: no mine meets the area; other areas share the file, so this one "
            "is done without mines of its own",
        )
    return ()


def _meeting(shapes: Geometries, crs: str, place: Place) -> tuple[int, ...]:
    """Numbers of the mines that meet the area."""
    area = shapely.transform(
        place.area.geometry,
        lambda points: np.column_stack(carrier(place.area.crs, crs).transform(*points.T)),
    )
    return tuple(int(i) for i in np.flatnonzero(shapely.intersects(shapes, area)))


def _mended(path: Path, layer: Layer) -> tuple[str, ...]:
    repairs = layer.repairs
    changed = repairs.repaired or repairs.empty or repairs.duplicates
    return (f"{path.name}: {repairs}",) if changed else ()


def fields_of(place: Place) -> tuple[Geometries, list[str], str]:
    """The user's own zones: polygons, names and CRS.

    Raises BoundaryError where the file has no field of names, or a name twice.
    """
    if place.settings.zones is None:
        return np.zeros(0, object), [], "OGC:CRS84"
    layer = read(place.settings.zones)
    field = place.settings.zones_field
    names = [str(i) for i in layer.frame.index]
    if field is not None:
        if field not in layer.frame.columns:
            known = ", ".join(sorted(set(layer.frame.columns) - {layer.frame.geometry.name}))
            raise BoundaryError(
                f"{layer.path}: expected a field {field!r}, found {known or 'none'}; "
                "see area.zones_field"
            )
        names = [str(value) for value in layer.frame[field]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BoundaryError(
            f"{layer.path}: expected each zone once, found {twice[0]!r} more than once"
        )
    return np.asarray(layer.frame.geometry.values, dtype=object), names, layer.frame.crs.to_wkt()


def cover_files(pattern: str, epochs: tuple[int, ...]) -> list[Path]:
    """The land-cover maps of the epochs."""
    return [split(of_year(pattern, epoch)[0])[0] for epoch in epochs]


def cover_zones(pattern: str, epoch: int, stack: Stack) -> tuple[Zone, ...]:
    """The pixels of each class of an epoch's land-cover map, by the class under their centre."""
    source = of_year(pattern, epoch)[0]
    whole = on_lattice(source, stack.lattice, stack.window, "nearest")
    found = np.unique(whole[np.isfinite(whole)]).astype(np.int64)
    classes = stack.held(whole)
    return tuple(Zone(str(one), np.flatnonzero(classes == one)) for one in found.tolist())
