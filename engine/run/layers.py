# SPDX-License-Identifier: Apache-2.0
"""The layers of what may explain the index, each brought to the drivers' grid of one area."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..analysis.drivers import grid
from ..sources.areas import carried_bounds, inside
from ..sources.errors import InputError
from ..sources.geotiff import Form, write_geotiff
from ..sources.grids import Lattice, Window
from .devices import Way
from .places import about
from .store import Draft, Key, Store
from .study import DriversSettings
from .survey import Place, Survey
from .tasks import fingerprints

ALGORITHM = 1
"""Version of these layers: raised when they change."""

Values = NDArray[np.float32]
Strip = tuple[Window, Values]
Strips = Iterable[Strip]

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


def grounds(survey: Survey) -> tuple[Ground, ...]:
    """The drivers' grid over each area; none where the study has no drivers."""
    drivers = survey.study.drivers
    return tuple(Ground(place, drivers) for place in survey.places) if drivers else ()
