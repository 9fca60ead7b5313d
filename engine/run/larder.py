# SPDX-License-Identifier: Apache-2.0
"""Everything an epoch's indicators are made of, strip by strip."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..index.composite import Partial
from ..index.indicators import Layers, UserRaster
from ..index.resampling import heat_on_fine
from ..sources.areas import inside
from ..sources.grids import Window
from ..sources.products import products
from ..sources.rasters import averaged, class_share
from .devices import home
from .mosaics import mosaic
from .store import Store

if TYPE_CHECKING:
    from .composites import CompositeTask

WATER_SHARE = 0.5
"""Share of a pixel from which its land cover makes it water. Source: docs/explanation/method.md."""


@dataclass(frozen=True)
class Stock:
    """What one strip is made of."""

    layers: Layers
    """What the indicators need."""

    ndvi_count: NDArray[np.float32]
    """Observations in the NDVI, (h, w); NaN where it is not of the product."""

    lst_count: NDArray[np.float32]
    """Observations in the LST, (h, w); NaN where it is not of the product."""


class Larder:
    """The partials and the user's rasters of one area and epoch."""

    def __init__(self, task: "CompositeTask", store: Store) -> None:
        self.task, self.store = task, store
        # A user's raster is laid on the whole area: how it is resampled must not depend on strips.
        window = task.place.window
        self._rasters = {
            name: self._laid(source, task.rasters[name], window)
            for name, source in task.indicators.sources.items()
            if isinstance(source, UserRaster)
        }
        self._water = self._land_cover(window)
        self._heat_kept: tuple[Window, Partial] | None = None

    def _laid(
        self, source: UserRaster, files: tuple[str, ...], window: Window
    ) -> NDArray[np.float32]:
        values = averaged(files, self.task.lattice, window, source.resampling or "auto")
        return values + np.float32(source.offset)

    def _land_cover(self, window: Window) -> NDArray[np.bool_] | None:
        if self.task.water.land_cover is None:
            return None
        classes = self.task.water.land_cover.classes
        (file,) = self.task.rasters["land_cover"]
        return class_share(file, classes, self.task.lattice, window) >= WATER_SHARE

    @property
    def view_time(self) -> dict[str, int]:
        """Sum of the view times of day, in steps of 0.1 h, and their number, over the area."""
        task = self.task
        if task.coarse is None or task.indicators.heat != "product":
            return {"sum": 0, "count": 0}
        window = task.coarse.covering(task.place.window, task.lattice)
        around = task.coarse.covering(task.place.window, task.lattice, margin=1)
        # A strip that is all of the area has asked for these pixels before, with their margin.
        kept = self._heat_kept is not None and self._heat_kept[0] == around
        asked = around if kept else window
        found, inner = self._heat_sums(asked), window.slices(asked)
        sums, counts = found.sums[1][inner], found.counts[1][inner]
        return {"sum": int(sums.sum()), "count": int(counts.sum())}

    def stock(self, strip: Window) -> Stock:
        """What the strip is made of."""
        task = self.task
        rows = strip.slices(task.place.window)
        rasters: dict[str, Any] = {name: layer[rows] for name, layer in self._rasters.items()}
        nothing = np.full(strip.shape, np.nan, np.float32)
        ndvi_count, lst_count = nothing, nothing
        if task.indicators.greenness == "product":
            rasters["ndvi"], ndvi_count = self._greenness(strip)
        if task.indicators.heat == "product":
            rasters["lst"], lst_count = self._heat(strip)
        sums, counts, scale = None, None, 1.0
        if task.needs_bands:
            found = mosaic(self.store, task.pieces, "reflectance", task.lattice, strip)
            sums, counts, scale = found.sums, found.counts, scale_of("reflectance", "red")
        xp = home(task.device)
        layers = Layers(
            inside=xp.asarray(inside(task.place.area, task.lattice, strip)),
            rasters={name: xp.asarray(layer) for name, layer in rasters.items()},
            sums=None if sums is None else xp.asarray(sums),
            counts=None if counts is None else xp.asarray(counts),
            land_cover_water=None if self._water is None else xp.asarray(self._water[rows]),
            origin=(strip.top, strip.left),
            scale=scale,
        )
        return Stock(layers, ndvi_count, lst_count)

    def _greenness(self, strip: Window) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        found = mosaic(self.store, self.task.pieces, "greenness", self.task.lattice, strip)
        mean = found.mean(scale_of("greenness", "ndvi"))
        return mean[0], found.counts[0].astype(np.float32)

    def _heat_sums(self, window: Window) -> Partial:
        """Sums of heat in a window of 1 km; the last ones are kept."""
        if self._heat_kept is None or self._heat_kept[0] != window:
            assert self.task.coarse is not None
            found = mosaic(self.store, self.task.pieces, "heat", self.task.coarse, window)
            self._heat_kept = window, found
        return self._heat_kept[1]

    def _heat(self, strip: Window) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """LST, K, and its number of observations, on the grid of 500 m."""
        task = self.task
        if task.coarse is None:
            nothing = np.full(strip.shape, np.nan, np.float32)
            return nothing, nothing
        around = task.coarse.covering(strip, task.lattice, margin=1)
        found = self._heat_sums(around)
        grids = task.coarse, around, task.lattice, strip
        kelvin = found.mean([scale_of("heat", "lst"), scale_of("heat", "view_time")])[0]
        fine = heat_on_fine(kelvin, *grids, task.indicators.lst_resampling)
        counts = heat_on_fine(found.counts[0].astype(np.float32), *grids, "nearest")
        return fine, counts


def scale_of(role: str, layer: str) -> float:
    """Factor from stored values to the unit of a layer; all products of a role share it."""
    scales: Mapping[str, float] = {
        one.name: one.layer(layer).scale for one in products().values() if one.role == role
    }
    if len(set(scales.values())) != 1:
        raise RuntimeError(f"expected one scale of {layer}, found {dict(scales)}")
    return next(iter(scales.values()))
