# SPDX-License-Identifier: Apache-2.0
"""What explains the index: the table of an area's pixels, and how index and drivers go together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..analysis.autocorrelation import moran
from ..analysis.correlation import correlation, inflation, matrix
from ..analysis.drivers import usable
from ..analysis.forest import BLANK, PARTS, ForestSettings, drawn
from ..analysis.geodetector import factors, interactions, stratified_drivers
from ..analysis.pixels import Pixels, parts
from ..report.tables import TABLES
from ..report.tabular import ROWS, write, write_parts
from ..sources.errors import InputError
from ..sources.geotiff import read_geotiff
from ..sources.grids import Lattice
from ..sources.rasters import on_lattice
from ..sources.tiled import Tiled
from .driver_settings import DriverRaster
from .layers import PROGRAM, Ground, LayerTask, grounds
from .nearness import MineLayers
from .rasterlayers import RasterLayer
from .store import Draft, Key, Marker, Store
from .survey import Survey
from .tasks import committed, need

ALGORITHM = 3
"""Version of these tables: raised when their results change."""

PIXEL = 100
"""Bytes of a pixel beside its index and drivers: places, two columns as float64, their grids and
half a spectrum. Of 4 million pixels with ten drivers 84 were measured at most, in correlograms."""

Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class DriverTask:
    """The table of one area's pixels on the drivers' grid, and what it says by itself."""

    ground: Ground
    """Where, and of which epoch."""

    layers: tuple[LayerTask, ...]
    """What was to be brought there; the table does without those that failed."""

    rule: ForestSettings | None
    """How pixels are split for the forest; None without one."""

    lattice: Lattice
    """The grid of the index."""

    stage = "analyse"
    tables = (
        "drivers",
        "layers",
        "correlation",
        "vif",
        "matrix",
        "moran",
        "geodetector",
        "interactions",
    )

    @property
    def slug(self) -> str:
        """The area in paths."""
        return self.ground.place.area.slug

    @property
    def name(self) -> str:
        """The area."""
        return f"drivers/{self.slug}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The index; layers that fail are left out."""
        place, year = self.ground.place, self.ground.settings.year
        return tuple(f"write {part.named(year)}" for part in place.parts)

    @property
    def files(self) -> tuple[str, ...]:
        """Its tables, each in a file of its own."""
        return table_files(self.name, self.tables)

    @property
    def read(self) -> int:
        """Bytes of the map, and of the layers."""
        return (self.ground.place.pixels + 10 * self.ground.window.size) * 4

    @property
    def write(self) -> int:
        """Bytes of the table."""
        return self.ground.window.size * 8 * 14

    @property
    def memory(self) -> int:
        """Bytes of the columns, and of what is made of one or two of them at a time."""
        columns = 1 + sum(len(layer.drivers) for layer in self.layers)
        return self.ground.window.size * (4 * columns + PIXEL) + PROGRAM

    def key(self, store: Store) -> Key:
        """The map, the layers that there are, and the split."""
        index = [need(store, *name.split(" ", 1)).key for name in self.inputs]
        found = {layer.name: marker.key for layer, marker in self._made(store)}
        parts = {"validation", "seed", "sample"}
        rule = self.rule and self.rule.model_dump(include=parts, exclude_none=True)
        how = self.ground.key() | {"split": rule, "name": self.ground.place.area.name}
        how |= {"layers": {one.name: _described(one) for one in self.layers}}
        return Key(self.stage, self.name, ALGORITHM, how, found | {"rsei": " ".join(index)})

    def _made(self, store: Store) -> list[tuple[LayerTask, Marker]]:
        """The layers that are there."""
        pairs = ((layer, committed(layer, store)) for layer in self.layers)
        return [(layer, marker) for layer, marker in pairs if marker]

    def make(self, store: Store, draft: Draft) -> None:
        """Lay the map on the grid, and put all in a table.

        Raises InputError without any pixel of the index, or without any driver that can explain it.
        """
        area, made = self.ground.place.area.name, self._made(store)
        pixels = self._pixels(store, made)
        wanted = [driver for layer, _ in made for driver in layer.drivers]
        if not np.isfinite(pixels["rsei"]).any():
            settings = self.ground.settings
            raise InputError(
                f"{area}: expected RSEI of {settings.year} on the drivers' grid, found none "
                f"in its {len(pixels)} pixels of {settings.resolution:g} m"
            )
        names, complaints = usable(pixels, wanted)
        if not names:
            raise InputError(f"{area}: expected at least one driver, found none that can be used")
        paths = dict(zip(self.tables, self.files, strict=True))
        write_parts(draft.paths[paths["drivers"]], "drivers", self._rows(pixels, names))
        write_tables(draft, self, tables_of(pixels, names) | {"layers": _ways(made)}, area)
        draft.payload["drivers"] = list(names)
        draft.payload["warnings"] = [*complaints, *self._unmined()]

    def _pixels(self, store: Store, made: Sequence[tuple[LayerTask, Marker]]) -> Pixels:
        """The index and the bands of the layers, of the pixels of the area."""

        def layers() -> Iterator[tuple[str, NDArray[np.float32]]]:
            yield "rsei", self._rsei(store)
            for layer, _ in made:
                path, there = store.folder / layer.files[0], layer.ground
                for band, driver in enumerate(layer.drivers, 1):
                    yield driver, read_geotiff(path, there.lattice, there.window, [band])[0]

        ground = self.ground
        name = ground.place.area.name
        return Pixels.of(name, ground.lattice, ground.window, ground.inside, layers())

    def _rows(self, pixels: Pixels, names: Sequence[str]) -> Iterator[pd.DataFrame]:
        """The table of pixels in the order of its key."""
        part = np.zeros(len(pixels), np.int8)
        if self.rule:
            found = (np.isfinite(pixels[name]) for name in ("rsei", *names))
            part = drawn(np.logical_and.reduce([*found]), self.rule)
        said = np.array([None if one == BLANK else one for one in PARTS], object)
        for rows in parts(pixels.by_place(), ROWS):
            frame = pixels.frame(rows).assign(split=said[part[rows]])
            yield frame.reindex(columns=TABLES["drivers"].names)

    def _rsei(self, store: Store) -> NDArray[np.float32]:
        """The index on the grid: from the four nearest pixels, as in the study."""
        year, place = self.ground.settings.year, self.ground.place
        paths = [store.folder / f"rsei/{part.named(year)}.tif" for part in place.parts]
        there = self.ground.lattice, self.ground.window
        if not place.by_tile:
            return on_lattice(paths[0], *there, "bilinear")
        held = tuple((path, part.window) for path, part in zip(paths, place.parts, strict=True))
        return Tiled(self.lattice, held).on_lattice(*there, "bilinear")

    def _unmined(self) -> list[str]:
        if self.ground.place.settings.mines:
            return []
        area = self.ground.place.area.name
        return [f"{area}: no area.mines, so there is no dism and no minea among its drivers"]


def _described(layer: LayerTask) -> dict[str, Any]:
    """What the table of layers says of a layer beyond its values: a key sees it change."""
    if isinstance(layer, RasterLayer):
        return {"units": layer.raster.units}
    return {}


UNITS = {"slope": "degrees", "dism": "m", "minea": "1"}
"""Units of the drivers that are made here."""


def _ways(made: Sequence[tuple[LayerTask, Marker]]) -> pd.DataFrame:
    """How each layer came to the grid."""
    rows = []
    for layer, marker in made:
        for driver in layer.drivers:
            said = marker.payload
            unit = layer.raster.units if isinstance(layer, RasterLayer) else None
            row = {"driver": driver, "source": said["source"], "resampling": said["resampling"]}
            row |= {"unit": UNITS.get(driver, unit)} | dict(said[driver])
            rows.append(row | ({"resampling": "made"} if driver in UNITS else {}))
    return pd.DataFrame(rows)


def tables_of(pixels: Pixels, drivers: Sequence[str]) -> Frames:
    """What the pixels say without a forest: by name of the table, without the area."""
    alike = [moran(pixels.grid(pixels[name])).row(name) for name in ("rsei", *drivers)]
    strata = stratified_drivers(pixels, drivers)
    return {
        "correlation": correlation(pixels, drivers),
        "vif": inflation(pixels, drivers).replace(np.inf, np.nan),
        "matrix": matrix(pixels, drivers),
        "moran": pd.DataFrame(alike),
        "geodetector": factors(strata),
        "interactions": interactions(pixels["rsei"], strata),
    }


def table_files(name: str, tables: Sequence[str]) -> tuple[str, ...]:
    """Paths, in the run folder, of the tables of a task, before those of all areas are joined."""
    return tuple(f"store/{name}/{table}.{TABLES[table].suffix}" for table in tables)


def write_tables(draft: Draft, task: Any, frames: Mapping[str, pd.DataFrame], area: str) -> None:
    """Write those tables of a task on ``area`` that are held in ``frames``."""
    for path, name in zip(table_files(task.name, task.tables), task.tables, strict=True):
        if name in frames:
            frame = frames[name].assign(area=area)
            write(draft.paths[path], name, frame[TABLES[name].names])


def layer_tasks(survey: Survey, device: str) -> tuple[LayerTask, ...]:
    """The layers of each area; none where the study has no drivers."""
    room = survey.study.compute.block_bytes(device)
    tasks = (task for ground in grounds(survey) for task in layers_of(ground, device))
    return tuple(replace(task, budget=room) for task in tasks)


def layers_of(ground: Ground, device: str) -> tuple[LayerTask, ...]:
    """The layers of one area."""
    tasks: list[LayerTask] = []
    for name in type(ground.settings.layers).model_fields:
        chosen = getattr(ground.settings.layers, name)
        if chosen is not None:
            raster = DriverRaster(raster=chosen) if isinstance(chosen, str) else chosen
            tasks.append(RasterLayer(ground, device, name, raster))
    if ground.place.settings.mines:
        tasks.append(MineLayers(ground, device))
    return tuple(tasks)


def driver_tasks(survey: Survey, device: str) -> tuple[DriverTask, ...]:
    """The table of each area; none where the study has no drivers."""
    rule = survey.study.forest
    return tuple(
        DriverTask(ground, layers_of(ground, device), rule, survey.lattice)
        for ground in grounds(survey)
    )
