# SPDX-License-Identifier: Apache-2.0
"""Rasters of the user that may explain the index, brought to the drivers' grid strip by strip."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.drivers import BOTH, slope, year_of_months
from ..sources.errors import InputError
from ..sources.grids import Window
from ..sources.patterns import expand
from ..sources.placed import same_grid
from ..sources.rasterfiles import CACHE, open_raster, split
from ..sources.rasters import laid, method, require_cover, scaled
from ..sources.resampling import Method
from .driver_settings import DriverRaster
from .layers import ALGORITHM, PROGRAM, LayerTask, Strip, Values
from .store import Draft, Key, Store

METRES = {"m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048}
"""Units of a DEM, m. Source of the foot: the international one of 1959."""

ROWS = 256
"""Rows of the grid that are laid at a time: those of a block of resampling."""

STRIP = 48
"""Bytes of a pixel of a strip beside its layers: its source as stored and scaled, if copied."""

PATCHES = 3 << 27
"""Bytes of the part of a source that a block needs, as stored and as float64."""


@dataclass(frozen=True)
class RasterLayer(LayerTask):
    """A raster of the user; of elevation also its slope."""

    driver: str
    """Which driver."""

    raster: DriverRaster
    """The file or files, and how they are read."""

    @property
    def layer(self) -> str:
        """The driver."""
        return self.driver

    @property
    def drivers(self) -> tuple[str, ...]:
        """The driver, and the slope beside elevation."""
        return ("dem", "slope") if self.driver == "dem" else (self.driver,)

    @property
    def _pattern(self) -> str:
        return self.raster.raster or self.raster.months or ""

    def _sources(self) -> tuple[str, ...]:
        """The file, or those of the months. Raises RasterError that names the missing ones."""
        year = self.ground.settings.year
        months = range(1, 13) if self.raster.months else ()
        return expand(self._pattern, year, (year,), months)

    def key(self, store: Store) -> Key:
        """The files by content, the grid and how it is reached."""
        how = self.raster.model_dump(mode="json", exclude={"raster", "months"})
        how |= {"monthly": self.raster.months is not None}
        try:
            prints = self._prints([split(one)[0] for one in self._sources()], store)
            layers = {str(i): split(one)[1:] for i, one in enumerate(self._sources())}
            how |= {"variables": {i: list(one) for i, one in layers.items() if any(one)}}
        except InputError as error:
            prints = {"fault": str(error)}
        return Key(self.stage, self.name, ALGORITHM, self.ground.key() | how, prints)

    @property
    def held(self) -> int:
        """Bytes of the area's pixels, of a strip of each file, and of what a block of it needs and
        GDAL holds."""
        months = 12 if self.raster.months else 1
        strips = self._strip * (STRIP + 8 * months)
        return self.ground.window.size + strips + PATCHES + CACHE + PROGRAM

    @property
    def memory(self) -> int:
        """Bytes of all that, and of a strip's slope."""
        return self.held + min(self.budget, self._strip * BOTH if self.driver == "dem" else 0)

    @property
    def _strip(self) -> int:
        """Pixels of a strip with those around."""
        return (ROWS + 2) * (self.ground.window.width + 2)

    def make(self, store: Store, draft: Draft) -> None:
        """Read, resample, reduce months to a year; where this fails the area goes on without it.

        Raises InputError that names file, layer and area.
        """
        with self.named(f"drivers.layers.{self.driver}"), ExitStack() as files:
            sources = self._sources()
            unit = self.raster.units
            if self.driver == "dem" and unit is not None and unit not in METRES:
                known = ", ".join(METRES)
                raise InputError(f"expected units of elevation among {known}, found {unit!r}")
            opened = [files.enter_context(self._opened(one)) for one in sources]
            self._keep(draft, self._strips([read for read, _ in opened]))
            self._require_values(draft.payload[self.driver])
        draft.payload["resampling"] = ", ".join(sorted({way for _, way in opened}))
        draft.payload["source"] = Path(self._pattern).name

    def _strips(self, sources: Sequence[Callable[[Window], Values]]) -> Iterator[Strip]:
        """The bands, strip by strip; a slope needs the rows and columns around."""
        ground, area = self.ground, self.ground.place.area.name
        halo, metres = int(self.driver == "dem"), METRES.get(self.raster.units or "m", 1.0)
        for strip in strips(ground.window):
            around = strip.grown(halo)
            layers = [read(around) for read in sources]
            whole = layers[0]
            if self.raster.months:
                whole = year_of_months(layers, self.raster.reduce, self.driver, area)
            bands = [whole]
            if self.driver == "dem":
                bands.append(slope(whole, ground.lattice, metres, self.put))
            yield strip, np.stack([band[strip.slices(around)] for band in bands])

    @contextmanager
    def _opened(self, source: str) -> Iterator[tuple[Callable[[Window], Values], str]]:
        """Reads a source's values on the grid, and the way there, which its middle decides."""
        raster, lattice, margin = (
            open_raster(source),
            self.ground.lattice,
            self.ground.window.grown(1),
        )
        require_cover(raster, lattice, margin)
        way: Method = self.raster.resampling or method(raster, lattice, margin)
        with raster.pixels() as pixels:
            stored = scaled(raster, pixels, 1)

            def known(part: Window) -> NDArray[np.float64]:
                values = stored(part)
                if self.raster.range is None:
                    return values
                low, high = self.raster.range
                return np.where((values >= low) & (values <= high), values, np.nan)

            same = same_grid(raster.placed, lattice) is not None
            yield partial(laid, raster, known, lattice, how=way), "copied" if same else way

    def _require_values(self, held: Mapping[str, Any]) -> None:
        """Raises InputError for a layer without values in the area, or with equal ones."""
        if not held["n"]:
            raise InputError(
                f"{self._pattern}: expected values in the area, found none in its "
                f"{np.count_nonzero(self.ground.inside)} pixels; check the file's extent, nodata "
                "and range"
            )
        if held["min"] == held["max"]:
            raise InputError(
                f"{self._pattern}: expected values that differ, found {held['min']:g} in all "
                f"{held['n']} pixels of the area; it explains nothing there"
            )


def strips(window: Window) -> Iterator[Window]:
    """Strips of ``window``, cut where the blocks are that values are laid by."""
    for top in range(window.top // ROWS * ROWS, window.bottom, ROWS):
        yield Window(top, window.left, ROWS, window.width) & window
