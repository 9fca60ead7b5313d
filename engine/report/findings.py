# SPDX-License-Identifier: Apache-2.0
"""What a run found, as its figures and its page take it: tables, maps and outlines."""

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from ..sources.areas import Area, areas
from ..sources.errors import RseiError
from ..sources.geotiff import stored_transform
from ..sources.grids import LONLAT, SINUSOIDAL, carrier
from ..sources.rasterfiles import opened_tiff
from ..sources.vectors import read as read_vectors
from .contents import RunTables
from .pixels import PixelTable
from .tables import TABLES

DENSE = 200
"""Parts of a boundary's extent between two points of its outline once it is in degrees."""

SEEN = 2400
"""Most pixels along a side of a raster that is put together from tiles, for the eye alone."""


@dataclass(frozen=True)
class Layer:
    """Pixels of one map, and where they lie."""

    values: NDArray[Any]
    """(h, w) float32, NaN where there is none; or steps of uint8, 0 there."""

    crs: str
    """Coordinate system, as WKT."""

    transform: Affine
    """Of columns and rows to that system."""


@dataclass(frozen=True)
class Site:
    """One area of a run."""

    folder: Path
    """The run folder."""

    name: str
    """As the user writes it."""

    slug: str
    """The name in paths."""

    epochs: tuple[int, ...]
    """Epochs that have a map."""

    outline: BaseGeometry | None
    """The boundary in degrees; None where its file is gone."""

    mines: tuple[BaseGeometry, ...]
    """Outlines of the mines, in degrees."""

    numbers: tuple[int, ...] = ()
    """Number of each mine in its file, as in the tables."""

    zones: Mapping[str, BaseGeometry] = field(default_factory=dict)
    """Outlines of the user's own zones by name, in degrees."""

    def files(self, folder: str, epoch: int) -> tuple[Path, ...]:
        """The rasters of an epoch in a folder of the run: one, or of a large area one a tile."""
        return parts_of(self.folder / folder / self.slug / str(epoch))

    def rsei(self, epoch: int, most: int = SEEN) -> Layer:
        """The map of an epoch; of many tiles, ``most`` pixels along a side."""
        return read_layer(self.files("rsei", epoch), 1, most)

    def crs(self) -> rasterio.CRS:
        """Coordinate system of the maps: that of one, which is long to open, is that of all."""
        with opened_tiff(self.files("rsei", self.epochs[0])[0]) as dataset:
            return dataset.crs

    def slope(self, most: int = SEEN) -> Layer | None:
        """Theil-Sen slope of each pixel, RSEI a year; None where the epochs are too few."""
        paths = parts_of(self.folder / "trends" / self.slug)
        layer = read_layer(paths, 1, most) if paths else None
        return layer if layer is not None and np.isfinite(layer.values).any() else None

    def band(self, epoch: int, name: str) -> Layer | None:
        """A band of an epoch's composite; None where the index was made without it."""
        paths = self.files("composites", epoch)
        if not paths:
            return None
        with opened_tiff(paths[0]) as dataset:
            names = list(dataset.descriptions)
        layer = read_layer(paths, names.index(name) + 1) if name in names else None
        return layer if layer is not None and np.isfinite(layer.values).any() else None


def parts_of(base: Path) -> tuple[Path, ...]:
    """The files of a raster by its path without an ending: itself, or one a tile, or none."""
    whole = base.with_name(f"{base.name}.tif")
    return (whole,) if whole.is_file() else tuple(sorted(base.glob("[!.]*.tif")))


def read_layer(paths: tuple[Path, ...], band: int, most: int = SEEN) -> Layer:
    """One band of a raster of the run; of many tiles coarser, ``most`` pixels along a side.

    Raises RasterError where it cannot be read.
    """
    if len(paths) > 1:
        return _put_together(paths, band, most)
    with opened_tiff(paths[0]) as dataset:
        return Layer(dataset.read(band), dataset.crs.to_wkt(), dataset.transform)


def _put_together(paths: tuple[Path, ...], band: int, most: int) -> Layer:
    """Rasters of one grid as one, its pixels as many times larger as it takes: means of theirs."""
    with ExitStack() as stack:
        tiles: list[rasterio.DatasetReader] = []
        places: list[Affine] = []
        for path in paths:
            place = stored_transform(path)
            # The coordinate system of one is that of all, and takes most of the time to open.
            tiles.append(stack.enter_context(opened_tiff(path, place is None or not tiles)))
            places.append(place or tiles[-1].transform)
        dx, dy = places[0].a, places[0].e
        left, top = min(place.c for place in places), max(place.f for place in places)
        corners = [(round((at.f - top) / dy), round((at.c - left) / dx)) for at in places]
        ends = [(y + t.height, x + t.width) for (y, x), t in zip(corners, tiles)]
        height, width = (max(end) for end in zip(*ends))
        times = max(1, math.ceil(max(width, height) / most))
        sums = np.zeros((math.ceil(height / times), math.ceil(width / times)))
        counts = np.zeros(sums.shape, np.int32)
        for corner, tile in zip(corners, tiles):
            values = tile.read(band)
            known = np.isfinite(values)
            for total, part in ((sums, np.where(known, values, 0)), (counts, known)):
                for axis, offset in enumerate(corner):
                    starts = _starts(offset, part.shape[axis], times)
                    part = np.add.reduceat(part, starts, axis, dtype=total.dtype)
                row, column = (offset // times for offset in corner)
                total[row : row + part.shape[0], column : column + part.shape[1]] += part
        there = np.full(sums.shape, np.nan, np.float32)
        np.divide(sums, counts, out=there, where=counts > 0, casting="same_kind")
        return Layer(there, tiles[0].crs.to_wkt(), Affine(dx * times, 0, left, 0, dy * times, top))


def _starts(offset: int, size: int, times: int) -> NDArray[np.intp]:
    """Where, in ``size`` pixels from the ``offset``th on, each larger pixel of ``times`` begins.

    >>> _starts(4, 7, 3)
    array([0, 2, 5])
    """
    return np.union1d([0], np.arange(-offset % times, size, times))


@dataclass(frozen=True)
class Findings:
    """All that a run found."""

    folder: Path
    """The run folder."""

    record: Mapping[str, Any]
    """The run's record: settings, granules, versions, warnings, times."""

    sites: tuple[Site, ...]
    """The areas that have at least one map."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings of the study."""
        return dict(self.record["settings"])

    @property
    def products(self) -> tuple[str, ...]:
        """The products that were read."""
        table = self.tables.get("coverage")
        return () if table is None else tuple(sorted(table["product"].unique()))

    @cached_property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The tables that the run has, by name; epochs are text, as some are ``all``."""
        return RunTables(self.folder)

    def has(self, name: str, area: str | None = None) -> bool:
        """Whether a table has any rows, of one area if one is named."""
        if TABLES[name].suffix == "parquet":
            return self.pixels(name, area) is not None
        return self.of(name, area) is not None

    def pixels(self, name: str, area: str | None = None) -> PixelTable | None:
        """A table with a row a pixel, which is read part by part; None where there are none."""
        if name not in self.tables:
            return None
        table = PixelTable(self.folder / TABLES[name].file, area)
        return table if table else None

    def of(self, name: str, area: str | None = None) -> pd.DataFrame | None:
        """The rows of a table, of one area if one is named; None where there are none."""
        table = self.tables.get(name)
        if table is not None and area is not None:
            table = table[table["area"] == area].reset_index(drop=True)
        return None if table is None or table.empty else table


def sites(folder: Path, settings: Mapping[str, Any], base: Path) -> tuple[Site, ...]:
    """The areas of a run with at least one map, by the order of the study.

    ``base`` is the folder of the study file, to which the paths of outlines are relative.
    """
    found = []
    for part in settings["area"]:
        for area in _areas(part, base):
            maps = folder / "rsei" / area.slug
            wanted = sorted(settings["study"]["epochs"])
            epochs = tuple(epoch for epoch in wanted if parts_of(maps / str(epoch)))
            if epochs:
                outline = None if area.geometry.is_empty else in_degrees(area.geometry, area.crs)
                mines = _mines(part, base, outline)
                shapes, own = tuple(mines.values()), _zones(part, base)
                place = folder, area.name, area.slug, epochs, outline
                found.append(Site(*place, shapes, tuple(mines), own))
    return tuple(found)


def _areas(part: Mapping[str, Any], base: Path) -> tuple[Area, ...]:
    given = part["bounds"] or part.get("tiles") or ()
    source = base / part["boundary"] if part["boundary"] else given
    try:
        return areas(source, part["name"], part["name_field"])
    except RseiError:
        if part["name_field"]:
            raise  # nobody knows the names of its areas
        corner = areas((0, 0, 1, 1), part["name"])[0]
        return (Area(part["name"], corner.slug, shapely.Polygon(), LONLAT),)


def _mines(
    part: Mapping[str, Any], base: Path, outline: BaseGeometry | None
) -> dict[int, BaseGeometry]:
    """The mines of the area's file that lie in it, by number; none where the file is gone."""
    frame = _frame(part["mines"], base)
    if frame is None:
        return {}
    shapes = [in_degrees(shape, frame.crs.to_wkt()) for shape in frame.geometry]
    inside = (outline is None or shapely.intersects(shape, outline) for shape in shapes)
    return {number: shapes[number] for number, held in enumerate(inside) if held}


def _zones(part: Mapping[str, Any], base: Path) -> dict[str, BaseGeometry]:
    """The user's own zones by name; none where the file is gone."""
    frame, name = _frame(part.get("zones"), base), part.get("zones_field")
    if frame is None or (name is not None and name not in frame.columns):
        return {}
    names = frame.index if name is None else frame[name]
    crs = frame.crs.to_wkt()
    return {str(key): in_degrees(shape, crs) for key, shape in zip(names, frame.geometry)}


def _frame(name: str | None, base: Path) -> Any:
    """The layer of a file that the study names; None without one."""
    if not name:
        return None
    try:
        return read_vectors(base / name).frame
    except RseiError:
        return None


def in_degrees(shape: BaseGeometry, crs: str) -> BaseGeometry:
    """A geometry in longitude and latitude, its long edges cut so that they bend."""
    shape = on_globe(shape, crs)
    west, south, east, north = shape.bounds
    step = max(east - west, north - south) / DENSE
    return moved(shapely.segmentize(shape, step) if step > 0 else shape, crs, LONLAT)


def on_globe(shape: BaseGeometry, crs: str) -> BaseGeometry:
    """A geometry without what lies beyond the edge of the globe, on the products' grid.

    Tiles reach over it, and degrees would bring that back on the globe's other side.
    """
    same = rasterio.crs.CRS.from_user_input(crs) == rasterio.crs.CRS.from_user_input(SINUSOIDAL)
    return shapely.intersection(shape, _globe()) if same else shape


@cache
def _globe() -> BaseGeometry:
    """The outline of the globe on the products' grid, m."""
    edge = shapely.box(-179.9999, -90, 179.9999, 90)
    return moved(shapely.segmentize(edge, 0.25), LONLAT, SINUSOIDAL)


def moved(shape: BaseGeometry, source: str, target: str) -> BaseGeometry:
    """A geometry carried from one coordinate system to another, point by point."""
    carry = carrier(source, target)

    def points(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.column_stack(carry.transform(at[:, 0], at[:, 1]))

    return shapely.transform(shape, points)
