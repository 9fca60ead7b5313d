# SPDX-License-Identifier: Apache-2.0
"""Sums of a layer over the zones of a label raster, in integers: tiles may come in any order."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numba import cuda, int64
from numpy.typing import NDArray

from .launch import CHUNK, Kernel, chunks, cpu_loop, device, gpu_grid, namespace

COUNT, SUM, UPPER, LOWER, LEAST, MOST = range(6)
"""Columns of the sums by label: pixels, steps, two halves of the squared steps; then OFFSET less
the smallest step and OFFSET more than the largest, so that 0 is none and the larger one wins."""

COLUMNS = 6

STEPS = 1 << 30
"""Steps from zero to the bound, a power of two: float32 values above 1/128 of it are whole."""

LIMIT = np.float32(STEPS)
"""The bound, in steps."""

HALF = 31
"""Bits in the lower half of a square. The halves are summed apart: 2**32 pixels fit an int64."""

OFFSET = 1 << 31
"""More than any step."""

LONGEST = 64
"""Pixels of a run: enough for vector code, few enough that a GPU has many runs."""

SHARED = 128
"""Zones whose sums fit a block's shared memory, 6 kB; more zones go to global memory at once."""

TABLE = 1 << 23
"""Words of the table of partial sums, 64 MB: beyond it the runs are taken in several passes."""


@device
def add_run(values: Any, first: int, last: int, scale: Any, row: Any) -> None:
    """Add the values ``first`` to ``last`` to the sums of their one zone, ``row``, (6,) int64."""
    count = total = upper = lower = 0
    least = most = -OFFSET
    for n in range(first, last):
        steps = values[n] * scale
        held = abs(steps) <= LIMIT  # not NaN
        step = int(steps) if held else 0
        square = step * step
        count += held
        total += step
        upper += square >> HALF
        lower += square & ((1 << HALF) - 1)
        least = max(least, -step if held else -OFFSET)
        most = max(most, step if held else -OFFSET)
    row[COUNT] += count
    row[SUM] += total
    row[UPPER] += upper
    row[LOWER] += lower
    row[LEAST] = max(row[LEAST], OFFSET + least)
    row[MOST] = max(row[MOST], OFFSET + most)


@cpu_loop
def _by_run_cpu(
    first: int, last: int, starts: Any, stops: Any, zones: Any, values: Any, scale: Any, table: Any
) -> None:
    own = table[first // CHUNK]  # rows for each chunk: no two threads write the same one
    for run in range(first, last):
        add_run(values, starts[run], stops[run], scale, own[zones[run]])


@gpu_grid
def _by_run_gpu(starts: Any, stops: Any, zones: Any, values: Any, scale: Any, table: Any) -> None:
    # Few zones: sums of the block first, as 262,144 threads would queue for the same words.
    block = cuda.shared.array((SHARED, COLUMNS), int64)
    own = cuda.local.array(COLUMNS, int64)
    number = table.shape[1]
    words = min(number, SHARED) * COLUMNS
    for k in range(cuda.threadIdx.x, words, cuda.blockDim.x):
        block[k // COLUMNS, k % COLUMNS] = 0
    cuda.syncthreads()
    for run in range(cuda.grid(1), starts.shape[0], cuda.gridsize(1)):
        for k in range(COLUMNS):
            own[k] = 0
        add_run(values, starts[run], stops[run], scale, own)
        if number <= SHARED:
            _merge(own, block, zones[run])
        else:
            _merge(own, table[0], zones[run])
    cuda.syncthreads()
    if number <= SHARED:
        for zone in range(cuda.threadIdx.x, number, cuda.blockDim.x):
            _merge(block[zone], table[0], zone)


@device
def _merge(row: Any, rows: Any, zone: int) -> None:
    """Add ``row`` to that of ``zone``, while others may do so too; on a GPU alone."""
    for k in range(LEAST):
        cuda.atomic.add(rows, (zone, k), row[k])
    for k in range(LEAST, COLUMNS):
        cuda.atomic.max(rows, (zone, k), row[k])


_by_run = Kernel(_by_run_cpu, _by_run_gpu, lambda starts, *_: starts.shape[0])


@dataclass(frozen=True)
class Runs:
    """A label raster as runs of pixels of one zone: made once, used for any layer.

    A layer is then read without its labels, and only where there is a zone.
    """

    starts: Any
    """First pixel of each run, along the rows, (R,) int64."""

    stops: Any
    """Pixel after its last, (R,) int64."""

    zones: Any
    """Its label less 1, (R,) int64."""

    number: int
    """Labels there may be: 1 to this."""

    size: int
    """Pixels of the raster."""

    @classmethod
    def of(cls, labels: NDArray[Any], number: int) -> Self:
        """The runs of ``labels``, (N,) integers; other labels than 1 to ``number`` are no zone."""
        change = np.flatnonzero(labels[1:] != labels[:-1]) + 1
        starts = np.concatenate([[0], change]) if len(labels) else np.zeros(0, np.int64)
        stops = np.concatenate([change, [len(labels)]])[: len(starts)]
        zones = labels[starts].astype(np.int64)
        held = (zones > 0) & (zones <= number)
        starts, stops, zones = starts[held], stops[held], zones[held] - 1
        pieces = -(-(stops - starts) // LONGEST)
        nth = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)
        begin = starts.repeat(pieces) + nth * LONGEST
        end = np.minimum(begin + LONGEST, stops.repeat(pieces))
        return cls(begin, end, zones.repeat(pieces), number, len(labels))

    def moved(self, put: Callable[[Any], Any]) -> Self:
        """These runs with their arrays carried by ``put``, such as ``cupy.asarray``."""
        moving = ("starts", "stops", "zones")
        return replace(self, **{name: put(getattr(self, name)) for name in moving})


@dataclass(frozen=True)
class LabelSums:
    """Exact sums of one layer over the zones 1 to Z of a label raster; tiles add."""

    bound: float
    """Largest absolute value of the layer, a power of two, in its unit."""

    table: NDArray[np.int64]
    """Sums of each zone, (Z, 6), in the columns named above."""

    @classmethod
    def of(cls, values: Any, runs: Runs, bound: float = 1.0) -> Self:
        """Sums of ``values``, (N,) float32, over the zones of ``runs``.

        NaN and values beyond ``bound``, a power of two, are left out. Raises ValueError for
        another number of pixels.
        """
        if np.frexp(bound)[0] != 0.5:
            raise ValueError(f"expected a power of two as the bound, found {bound}")
        if values.shape != (runs.size,):
            raise ValueError(f"expected {runs.size} pixels in a row, found {values.shape}")
        xp, scale = namespace(values, runs.starts), np.float32(STEPS / bound)
        together = CHUNK * max(1, TABLE // max(1, runs.number * COLUMNS))
        total = np.zeros((runs.number, COLUMNS), np.int64)
        for first in range(0, runs.starts.shape[0], together):
            part = slice(first, first + together)
            starts = runs.starts[part]
            table = xp.zeros((chunks(starts.shape[0]), runs.number, COLUMNS), np.int64)
            _by_run(starts, runs.stops[part], runs.zones[part], values, scale, table)
            sums, ends = table[..., :LEAST].sum(axis=0), table[..., LEAST:].max(axis=0)
            total[:, :LEAST] += np.array(sums.tolist())
            total[:, LEAST:] = np.maximum(total[:, LEAST:], np.array(ends.tolist()))
        return cls(float(bound), _carried(total))

    def __add__(self, other: Self) -> Self:
        """The sums over both parts together."""
        if (self.bound, len(self.table)) != (other.bound, len(other.table)):
            raise ValueError(
                f"expected {len(self.table)} zones within {self.bound}, "
                f"found {len(other.table)} within {other.bound}"
            )
        table = self.table + other.table
        table[:, LEAST:] = np.maximum(self.table, other.table)[:, LEAST:]
        return replace(self, table=_carried(table))

    def statistics(self) -> NDArray[np.float64]:
        """Count, mean, standard deviation (ddof 0), min and max of each zone, (Z, 5).

        NaN but for the count where a zone has no value. Min and max are whole steps, so
        within 1e-9 of the bound.
        """
        step = self.bound / STEPS
        found = np.full((len(self.table), 5), np.nan)
        for zone, (count, total, upper, lower, least, most) in enumerate(self.table.tolist()):
            found[zone, 0] = count
            if count:
                # The difference of two large numbers is exact in integers; one division rounds.
                squares = count * ((upper << HALF) + lower) - total**2
                found[zone, 1] = total / count * step
                found[zone, 2] = squares**0.5 / count * step
                found[zone, 3:] = (OFFSET - least) * step, (most - OFFSET) * step
        return found


def _carried(table: NDArray[np.int64]) -> NDArray[np.int64]:
    """``table`` with the overflow of the lower halves carried, so that equal sums look equal."""
    table[:, UPPER] += table[:, LOWER] >> HALF
    table[:, LOWER] &= (1 << HALF) - 1
    return table
