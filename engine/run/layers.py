# SPDX-License-Identifier: Apache-2.0
"""The layers of what may explain the index, each brought to the drivers' grid of one area."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.drivers import BOTH, grid, slope, year_of_months
from ..sources.areas import carried_bounds, inside
from ..sources.errors import InputError
from ..sources.geotiff import Form, write_geotiff
from ..sources.grids import Lattice, Window
from ..sources.patterns import expand
from ..sources.placed import same_grid
from ..sources.rasterfiles import open_raster, split
from ..sources.rasters import laid, method, require_cover, scaled
from ..sources.resampling import Method
from .devices import Way
from .driver_settings import DriverRaster
from .places import about
from .store import Draft, Key, Store
from .study import DriversSettings
from .survey import Place, Survey
from .tasks import fingerprints

ALGORITHM = 1
"""Version of these layers: raised when they change."""

METRES = {"m": 1.0, "dm": 0.1, "cm": 0.01, "mm": 0.001, "km": 1000.0, "ft": 0.3048}
"""Units of a DEM, m. Source of the foot: the international one of 1959."""

Values = NDArray[np.float32]
Strip = tuple[Window, Values]
Strips = Iterable[Strip]

ROWS = 256
"""Rows of the grid that are laid at a time: those of a block of resampling."""

STRIP = 48
"""Bytes of a pixel of a strip beside its layers: its source as stored and scaled, if copied."""

PATCHES = 3 << 27
"""Bytes of the part of a source that a block needs, as stored and as float64."""

PROGRAM = 5 << 27
"""Bytes of the program with its libraries and kernels: 480 to 520 MiB were measured."""


@dataclass(frozen=True)
class Ground:
    """The drivers' grid over one area."""

    place: Place
    """The area."""

    settings: DriversSettings
    """The grid's CRS and resolution, the year, and the rasters."""

    @cached_property
    def _grid(self) -> tuple[Lattice, Window, Window]:
        size, crs = self.settings.resolution, self.settings.crs
        bounds = carried_bounds(self.place.area, Lattice(crs, 0.0, 0.0, size, size))
        return grid(bounds, crs, size)

    @property
    def lattice(self) -> Lattice:
        """The grid."""
        return self._grid[0]

    @property
    def window(self) -> Window:
        """The rectangle around the area."""
        return self._grid[1]

    @property
    def padded(self) -> Window:
        """That rectangle with the margin in which mines count."""
        return self._grid[2]

    @property
    def count(self) -> int:
        """Pixels of the area, about."""
        return min(self.window.size, about(self.place.area, self.lattice))

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """The pixels of the area, (h, w)."""
        return inside(self.place.area, self.lattice, self.window)

    def key(self) -> dict[str, Any]:
        """What tells one ground from another."""
        pixels = {"crs": self.settings.crs, "resolution": self.settings.resolution}
        return pixels | {"area": self.place.digest}


@dataclass(frozen=True)
class LayerTask(ABC):
    """What all tasks that make layers share."""

    ground: Ground
    """Where."""

    device: str
    """Where to calculate: ``cpu`` or ``cuda``."""

    budget: int = field(default=1 << 62, kw_only=True)
    """Bytes that may be calculated with at a time, of a GPU's memory or the host's."""

    stage = "analyse"
    inputs = ()

    @property
    @abstractmethod
    def layer(self) -> str:
        """What is made, as it stands in paths."""

    @property
    @abstractmethod
    def drivers(self) -> tuple[str, ...]:
        """The drivers that it makes, one a band."""

    @property
    def name(self) -> str:
        """Area and layer."""
        return f"layers/{self.ground.place.area.slug}/{self.layer}"

    @property
    def files(self) -> tuple[str, ...]:
        """One raster."""
        return (f"store/{self.name}.tif",)

    @property
    def read(self) -> int:
        """Bytes: about a value a pixel of the grid."""
        return self.ground.padded.size * 4

    @property
    def write(self) -> int:
        """Bytes of the raster."""
        return self.ground.window.size * 4 * len(self.drivers)

    @property
    @abstractmethod
    def memory(self) -> int:
        """Most bytes of memory it takes."""

    @abstractmethod
    def key(self, store: Store) -> Key:
        """What the layers are made of."""

    @abstractmethod
    def make(self, store: Store, draft: Draft) -> None:
        """Write them, and say in the payload what they hold and where they come from."""

    @contextmanager
    def named(self, setting: str) -> Iterator[None]:
        """Let an error of the user's files say which area and setting it is about."""
        try:
            yield
        except InputError as error:
            raise InputError(f"{self.ground.place.area.name}: {setting}: {error}") from error

    @property
    def put(self) -> Way:
        """Carries arrays to where they are calculated with."""
        return Way(self.device, self.budget)

    def _prints(self, paths: Sequence[Path], store: Store) -> dict[str, str]:
        """Checksums of the files that it reads; what is wrong with them instead, if anything is."""
        try:
            prints = fingerprints(paths, paths[0].parent, store, {})
        except InputError as error:  # ``make`` tells it to the user
            return {"fault": str(error)}
        return {name: one.sha256 for name, one in prints.items()}

    def _keep(self, draft: Draft, strips: Strips) -> None:
        """Write strips of the layer, a band a driver, and say what they hold in the area."""
        held = [Held() for _ in self.drivers]

        def counted() -> Iterator[tuple[Window, Values]]:
            for strip, bands in strips:
                inside = self.ground.inside[strip.slices(self.ground.window)]
                for one, band in zip(held, bands, strict=True):
                    one.add(band[inside])
                yield strip, bands

        place = self.ground.lattice, self.ground.window
        write_geotiff(draft.paths[self.files[0]], counted(), *place, Form(self.drivers))
        for driver, one in zip(self.drivers, held, strict=True):
            draft.payload[driver] = vars(one)


@dataclass
class Held:
    """What a layer holds in an area."""

    n: int = 0
    """Pixels with a value."""

    min: float | None = None
    """Least of them."""

    max: float | None = None
    """Greatest."""

    def add(self, found: Values) -> None:
        """Count more pixels, NaN where missing."""
        values = found[np.isfinite(found)]
        if values.size:
            low, high = float(values.min()), float(values.max())
            self.n += int(values.size)
            self.min = low if self.min is None else min(low, self.min)
            self.max = high if self.max is None else max(high, self.max)


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
        """Bytes of the area's pixels, of a strip of each file, and of what a block of it needs."""
        months = 12 if self.raster.months else 1
        return self.ground.window.size + self._strip * (STRIP + 8 * months) + PATCHES + PROGRAM

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


def grounds(survey: Survey) -> tuple[Ground, ...]:
    """The drivers' grid over each area; none where the study has no drivers."""
    drivers = survey.study.drivers
    return tuple(Ground(place, drivers) for place in survey.places) if drivers else ()
