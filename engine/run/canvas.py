# SPDX-License-Identifier: Apache-2.0
"""A map on the drivers' grid, made of the rows of a table that pass by."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..sources.geotiff import Form, write_cog
from .layers import Ground

PIXEL = 90
"""Bytes of a pixel of a map of three bands while GDAL packs it in memory. Of 4 million pixels of
noise 81 were measured."""


@dataclass(frozen=True)
class Canvas:
    """Bands over the rectangle of an area."""

    ground: Ground
    """Where."""

    bands: dict[str, NDArray[np.float64]]
    """Each (h, w), NaN where no row has been."""

    @classmethod
    def of(cls, ground: Ground, names: Iterable[str]) -> Self:
        """Bands without any value."""
        return cls(ground, {name: np.full(ground.window.shape, np.nan) for name in names})

    def laid(self, parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Hand on tables with x, y and a column for each band, once their rows are laid down."""
        lattice, window = self.ground.lattice, self.ground.window
        for part in parts:
            across = np.rint((part["x"] - lattice.left) / lattice.dx - 0.5).astype(int)
            down = np.rint((lattice.top - part["y"]) / lattice.dy - 0.5).astype(int)
            for name, band in self.bands.items():
                band[down - window.top, across - window.left] = part[name]
            yield part

    def known(self, name: str) -> NDArray[np.float64]:
        """A band, on the rectangle around its values."""
        there = np.isfinite(self.bands[name])
        rows, columns = (np.flatnonzero(there.any(axis=axis)) for axis in (1, 0))
        return self.bands[name][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]

    def write(self, path: Path) -> None:
        """Write it as a COG, and let go of it."""
        names = tuple(self.bands)
        layers = np.empty((len(names), *self.ground.window.shape), np.float32)
        for layer, name in zip(layers, names, strict=True):
            layer[:] = self.bands.pop(name)
        form = Form(names, units=("1",) * len(names))
        write_cog(path, layers, self.ground.lattice, self.ground.window, form)
