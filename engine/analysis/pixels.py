# SPDX-License-Identifier: Apache-2.0
"""The pixels of an area on the drivers' grid: a column for the index and for each driver."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..sources.grids import Lattice, Window

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Column = NDArray[Any]
"""One number a pixel, NaN where missing; a run holds them as float32, as they come."""


@dataclass(frozen=True)
class Pixels:
    """Columns of an area's pixels, which stand in the order of the rows of a raster."""

    area: str
    """Name of the area."""

    lattice: Lattice
    """The grid."""

    window: Window
    """The rectangle around the pixels."""

    places: NDArray[np.int32]
    """Each pixel's place in the window, flat, rising."""

    columns: Mapping[str, Column]
    """Values by name: rsei, and the drivers that there are."""

    @classmethod
    def of(
        cls,
        area: str,
        lattice: Lattice,
        window: Window,
        inside: Flags,
        layers: Iterable[tuple[str, Column]],
    ) -> Self:
        """The pixels ``inside``, (h, w), of named layers, (h, w), which are taken one by one."""
        places = np.flatnonzero(inside).astype(np.int32)
        columns = {name: layer[inside] for name, layer in layers}
        return cls(area, lattice, window, places, columns)

    @classmethod
    def of_table(cls, table: pd.DataFrame, area: str = "") -> Self:
        """The rows of a table with columns x and y, centres of pixels, in any order.

        The pixels' size is the smallest step between two columns or rows; north is up.
        """
        x, y = (table[name].to_numpy(np.float64) for name in ("x", "y"))
        size = min(_step(x), _step(y))
        lattice = Lattice("", float(x.min()) - size / 2, float(y.max()) + size / 2, size, size)
        column = np.rint((x - x.min()) / size).astype(int)
        row = np.rint((y.max() - y) / size).astype(int)
        window = Window(0, 0, int(row.max()) + 1, int(column.max()) + 1)
        places = row * window.width + column
        order = np.argsort(places)
        names = [name for name in table if name not in ("area", "x", "y", "split")]
        columns = {str(name): table[name].to_numpy()[order] for name in names}
        return cls(area, lattice, window, places[order].astype(np.int32), columns)

    def __len__(self) -> int:
        """Number of pixels."""
        return self.places.size

    def __getitem__(self, name: str) -> Column:
        """A column; one that there is not is missing everywhere."""
        found = self.columns.get(name)
        return np.broadcast_to(np.float32(np.nan), len(self)) if found is None else found

    def frame(self, rows: NDArray[Any] | slice = slice(None)) -> pd.DataFrame:
        """Some rows as a table: area, x, y, and the columns, float64."""
        row, column = np.divmod(self.places[rows], self.window.width)
        place = {"x": self.lattice.x(self.window)[column], "y": self.lattice.y(self.window)[row]}
        values = {name: found[rows].astype(np.float64) for name, found in self.columns.items()}
        return pd.DataFrame({"area": self.area} | place | values)

    def by_place(self) -> NDArray[np.int32]:
        """The rows in the order of x, then of y."""
        height, width = self.window.shape
        rows = np.full((height, width), -1, np.int32)
        rows.reshape(-1)[self.places] = np.arange(len(self), dtype=np.int32)
        flat = rows[::-1].T.reshape(-1)
        return flat[flat >= 0]

    def grid(self, values: Column, among: Flags | None = None) -> Floats:
        """``values`` of the pixels, or of those ``among`` them, on the rectangle around these.

        (h, w), NaN where there is no pixel.
        """
        places = self.places if among is None else self.places[among]
        width = self.window.width
        columns = np.flatnonzero(np.bincount(places % width, minlength=width))
        left, right = int(columns[0]), int(columns[-1]) + 1
        top, bottom = int(places[0]) // width, int(places[-1]) // width + 1
        grid = np.full((bottom - top) * width, np.nan)
        grid[places - top * width] = values if among is None else values[among]
        return grid.reshape(-1, width)[:, left:right]


def parts(rows: NDArray[Any], size: int) -> Iterator[NDArray[Any]]:
    """``rows`` in parts of ``size``, the last as many as are left."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def _step(centres: Floats) -> float:
    """The smallest difference between two coordinates, infinite if they are all the same."""
    steps = np.diff(np.unique(np.round(centres, 3)))
    return float(steps.min()) if steps.size else float("inf")
