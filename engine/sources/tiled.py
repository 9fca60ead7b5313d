# SPDX-License-Identifier: Apache-2.0
"""Rasters of a run that are a file a tile, read as one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .geotiff import read_geotiff, window_in
from .grids import Lattice, Window
from .placed import Placed
from .rasterfiles import open_raster, opened_tiff
from .rasters import laid
from .resampling import Method

Layer = NDArray[np.float32]


@dataclass(frozen=True)
class Tiled:
    """Some files on one lattice, none of which overlap."""

    lattice: Lattice
    """The grid."""

    parts: tuple[tuple[Path, Window], ...]
    """Each file and the pixels it holds."""

    @classmethod
    def of(cls, paths: Sequence[Path]) -> Self:
        """The rasters in ``paths``. Raises RasterError for none, GridError where grids differ."""
        with opened_tiff(paths[0]) as dataset:
            lattice = Lattice.of(dataset.crs.to_wkt(), dataset.transform)
        return cls(lattice, tuple((path, window_in(path, lattice)) for path in paths))

    @property
    def window(self) -> Window:
        """The rectangle around all of them."""
        whole = self.parts[0][1]
        for _, window in self.parts:
            whole |= window
        return whole

    def read(self, window: Window, band: int = 1) -> Layer:
        """A band's pixels of ``window``, (h, w), NaN where no file has any."""
        result = np.full(window.shape, np.nan, np.float32)
        for path, held in self.parts:
            shared = held & window
            if shared.size:
                values = read_geotiff(path, self.lattice, shared, [band])[0]
                result[shared.slices(window)] = values
        return result

    def on_lattice(self, lattice: Lattice, window: Window, how: Method) -> Layer:
        """The first band at the pixels of a window of another lattice, as of one file."""
        whole = self.window
        crs = open_raster(self.parts[0][0]).placed.crs
        placed = Placed(crs, self.lattice.transform(whole), whole.shape)
        raster = replace(open_raster(self.parts[0][0]), placed=placed)

        def read(part: Window) -> NDArray[np.float64]:
            there = Window(part.top + whole.top, part.left + whole.left, *part.shape)
            values: NDArray[Any] = self.read(there)
            return values.astype(np.float64)

        return laid(raster, read, lattice, window, how)
