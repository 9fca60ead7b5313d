# SPDX-License-Identifier: Apache-2.0
"""Rasters for the eye made of the rows of tables: no finer than a figure can show them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from numpy.typing import NDArray

Raster = NDArray[np.float32]
"""Values on a grid, NaN where there is none."""


@dataclass(frozen=True)
class Mesh:
    """The grid that the rows of a table lie on, north up, and which of its pixels are taken."""

    left: float
    """x of the centres of the first column."""

    top: float
    """y of the centres of the first row."""

    step: float
    """From a centre to the next."""

    shape: tuple[int, int]
    """Rows and columns, from the first with a row of the table to the last."""

    times: int
    """Pixels of the grid along a side of one of a raster."""

    @classmethod
    def of(cls, parts: Iterable[pd.DataFrame], most: int) -> Self:
        """The grid of tables with x and y; of rasters with ``most`` pixels a side, or fewer.

        The step is the smallest from a coordinate to the next.
        """
        xs = ys = np.empty(0)
        for part in parts:
            xs, ys = np.union1d(xs, part["x"].to_numpy()), np.union1d(ys, part["y"].to_numpy())
        step = min((float(np.diff(at).min()) for at in (xs, ys) if len(at) > 1), default=1.0)
        height, width = (1 + round((at[-1] - at[0]) / step) for at in (ys, xs))
        times = math.ceil(max(height, width) / most)
        return cls(float(xs[0]), float(ys[-1]), step, (height, width), times)

    def drawn(self, axes: Axes, raster: NDArray[Any], **look: Any) -> AxesImage:
        """Draw pixels, numbers or colours, that are ``times`` those of the grid, in its extent."""
        (height, width), (rows, columns) = self.shape, raster.shape[:2]
        right, bottom = columns * self.times - 0.5, rows * self.times - 0.5
        image = axes.imshow(raster, extent=(-0.5, right, bottom, -0.5), **look)
        axes.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        return image

    def laid(
        self, parts: Iterable[pd.DataFrame], names: Sequence[str], out: dict[str, Raster]
    ) -> Iterator[pd.DataFrame]:
        """Hand on tables with x and y, once the middle pixel of each larger one is in ``out``."""
        middle = self.times // 2
        shape = [-(-(side - middle) // self.times) for side in self.shape]
        out |= {name: np.full(shape, np.nan, np.float32) for name in names}
        for part in parts:
            row, column = self._places(part)
            taken = (row % self.times == middle) & (column % self.times == middle)
            place = row[taken] // self.times, column[taken] // self.times
            for name in names:
                out[name][place] = part[name].to_numpy()[taken]
            yield part

    def averaged(self, parts: Iterable[pd.DataFrame], name: str) -> Raster:
        """The means of the column ``name``, of tables with x and y, in each larger pixel."""
        shape = tuple(-(-side // self.times) for side in self.shape)
        sums, counts = np.zeros(shape), np.zeros(shape, np.int32)
        for part in parts:
            values = part[name].to_numpy()
            known = np.isfinite(values)
            row, column = (at[known] // self.times for at in self._places(part))
            np.add.at(sums, (row, column), values[known])
            np.add.at(counts, (row, column), 1)
        sums[counts == 0] = np.nan
        return (sums / np.maximum(counts, 1)).astype(np.float32)

    def _places(self, part: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Row and column of each row of a table."""
        row = np.rint((self.top - part["y"].to_numpy()) / self.step)
        column = np.rint((part["x"].to_numpy() - self.left) / self.step)
        return row.astype(np.intp), column.astype(np.intp)
