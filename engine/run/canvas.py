# SPDX-License-Identifier: Apache-2.0
"""Maps on the drivers' grid, made of a table of its pixels that is never held whole."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..analysis.autocorrelation import Moran, moran_of
from ..report.pixels import PixelTable
from ..sources.geotiff import BLOCK, Form
from ..sources.large_cog import write_large_cog
from .layers import Ground

COLUMN = 60 * BLOCK
"""Bytes of a row of the columns that are held of a map of three bands: as float64, and as they are
copied and written."""

PACKING = 3 << 26
"""Bytes that GDAL takes while it packs a map: its cache, and rows of tiles for the overviews."""


def columns(
    ground: Ground, table: PixelTable, names: Sequence[str]
) -> Iterator[NDArray[np.float64]]:
    """Bands, (n, h, ``BLOCK``), of a ground from the left to the right; the last may be narrower.

    NaN where the table, whose x rise, has no row.
    """
    lattice, window = ground.lattice, ground.window
    first = 0

    def empty() -> NDArray[np.float64]:
        return np.full((len(names), window.height, min(BLOCK, window.width - first)), np.nan)

    block = empty()
    for part in table.parts(["x", "y", *names]):
        across = np.rint((part["x"] - lattice.left) / lattice.dx - 0.5).to_numpy(int) - window.left
        down = np.rint((lattice.top - part["y"]) / lattice.dy - 0.5).to_numpy(int) - window.top
        values = part[[*names]].to_numpy().T
        done = 0
        while done < across.size:
            rows = slice(done, int(np.searchsorted(across, first + BLOCK)))
            block[:, down[rows], across[rows] - first] = values[:, rows]
            done = rows.stop
            if done < across.size:
                yield block
                first += BLOCK
                block = empty()
    while first < window.width:
        yield block
        first += BLOCK
        block = empty() if first < window.width else block


def write_map(path: Path, ground: Ground, table: PixelTable, names: Sequence[str]) -> None:
    """Write columns of a table, without a unit, as the bands of a COG."""
    form = Form((*names,), units=("1",) * len(names))
    write_large_cog(path, columns(ground, table, names), ground.lattice, ground.window, form)


def alike(ground: Ground, table: PixelTable, name: str) -> Moran:
    """How alike the values of a column are on the ground; see ``moran``."""
    total, count = 0.0, 0
    for part in table.parts([name]):
        known = part[name].to_numpy()[np.isfinite(part[name])]
        total, count = total + float(known.sum()), count + known.size
    strips = (bands[0].T for bands in columns(ground, table, [name]))
    return moran_of(strips, total / count if count else 0.0)
