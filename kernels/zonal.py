"""Sums of a layer over zones: by a label on each pixel, or by the share of each pixel.

Labels are summed in integers, so that tiles and threads may come in any order. Shares are summed in
double precision, in pieces whose ends do not depend on the number of threads.
"""

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

BLOCK = 64
"""Labels compared at a time."""

RUN = 8
"""Pixels of one zone in a row from which on vector code pays."""

SHARED = 128
"""Zones whose sums fit a block's shared memory, 6 kB; more zones go to global memory at once."""

TABLE = 1 << 23
"""Words of the table of partial sums, 64 MB: beyond it the pixels are taken in several passes."""


@device
def add_value(steps: Any, row: Any) -> None:
    """Add a value of ``steps``, float32, to the sums of its zone, ``row``, (6,) int64."""
    held = abs(steps) <= LIMIT  # not NaN
    step = int(steps) if held else 0
    square = step * step
    row[COUNT] += held
    row[SUM] += step
    row[UPPER] += square >> HALF
    row[LOWER] += square & ((1 << HALF) - 1)
    row[LEAST] = max(row[LEAST], OFFSET - step if held else 0)
    row[MOST] = max(row[MOST], OFFSET + step if held else 0)


@device
def run_end(labels: Any, first: int, last: int) -> int:
    """The first pixel from ``first`` on with another label, or ``last``.

    >>> run_end(np.array([7, 3, 3, 3, 8]), 1, 5)
    4
    """
    zone, end = labels[first], first + 1
    while end < min(first + RUN, last) and labels[end] == zone:
        end += 1
    if end == first + RUN:  # a long run: whole blocks, then what is left
        others = 0
        while others == 0 and end + BLOCK <= last:
            for k in range(end, end + BLOCK):
                others += labels[k] != zone
            end += BLOCK if others == 0 else 0
        while end < last and labels[end] == zone:
            end += 1
    return end


@device
def add_run(values: Any, first: int, last: int, scale: Any, row: Any) -> None:
    """Add the values ``first`` to ``last`` to the sums of their one zone, ``row``, (6,) int64.

    Neighbours mostly share a zone, and a run without branches becomes vector code: three times
    as fast as a look-up for each pixel.
    """
    count = total = upper = lower = 0
    least = most = -OFFSET
    for n in range(first, last):
        steps = values[n] * scale
        held = abs(steps) <= LIMIT  # not NaN
        step = int(steps) if held else 0
        count += held
        total += step
        square = step * step
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
def _by_label_cpu(first: int, last: int, values: Any, labels: Any, scale: Any, table: Any) -> None:
    own = table[first // CHUNK]  # rows for each chunk: no two threads write the same one
    n = first
    while n < last:
        zone, end = labels[n], n + 1
        if n + RUN <= last and labels[n + RUN - 1] == zone:
            end = run_end(labels, n, last)
        if 0 < zone < own.shape[0]:
            if end - n >= RUN:
                add_run(values, n, end, scale, own[zone])
            else:
                for k in range(n, end):
                    add_value(values[k] * scale, own[zone])
        n = end


@gpu_grid
def _by_label_gpu(values: Any, labels: Any, scale: Any, table: Any) -> None:
    # Few zones: sums of the block first, as 262,144 threads would queue for the same words.
    block = cuda.shared.array((SHARED, COLUMNS), int64)
    zones = table.shape[1]
    words = min(zones, SHARED) * COLUMNS
    for k in range(cuda.threadIdx.x, words, cuda.blockDim.x):
        block[k // COLUMNS, k % COLUMNS] = 0
    cuda.syncthreads()
    for n in range(cuda.grid(1), values.shape[0], cuda.gridsize(1)):
        zone = labels[n]
        steps = values[n] * scale
        if 0 < zone < zones and abs(steps) <= LIMIT:
            if zones <= SHARED:
                _add_atomically(int(steps), block, zone)
            else:
                _add_atomically(int(steps), table[0], zone)
    cuda.syncthreads()
    if zones <= SHARED:
        for k in range(cuda.threadIdx.x, words, cuda.blockDim.x):
            zone, column = k // COLUMNS, k % COLUMNS
            if column < LEAST:
                cuda.atomic.add(table, (0, zone, column), block[zone, column])
            else:
                cuda.atomic.max(table, (0, zone, column), block[zone, column])


@device
def _add_atomically(steps: int, rows: Any, zone: int) -> None:
    square = steps * steps
    cuda.atomic.add(rows, (zone, COUNT), 1)
    cuda.atomic.add(rows, (zone, SUM), steps)
    cuda.atomic.add(rows, (zone, UPPER), square >> HALF)
    cuda.atomic.add(rows, (zone, LOWER), square & ((1 << HALF) - 1))
    cuda.atomic.max(rows, (zone, LEAST), OFFSET - steps)
    cuda.atomic.max(rows, (zone, MOST), OFFSET + steps)


_by_label = Kernel(_by_label_cpu, _by_label_gpu, lambda values, *_: values.shape[0])


@dataclass(frozen=True)
class LabelSums:
    """Exact sums of one layer over the zones 1 to Z of a label raster; tiles add."""

    bound: float
    """Largest absolute value of the layer, a power of two, in its unit."""

    table: NDArray[np.int64]
    """Sums of each zone, (Z, 6), in the columns named above."""

    @classmethod
    def of(cls, values: Any, labels: Any, zones: int, bound: float = 1.0) -> Self:
        """Sums of ``values``, (N,) float32, where ``labels``, (N,) integers, is 1 to ``zones``.

        NaN and values beyond ``bound``, a power of two, are left out, as are other labels.
        """
        if np.frexp(bound)[0] != 0.5:
            raise ValueError(f"expected a power of two as the bound, found {bound}")
        xp, scale = namespace(values, labels), np.float32(STEPS / bound)
        pixels = CHUNK * max(1, TABLE // ((zones + 1) * COLUMNS))
        total = np.zeros((zones + 1, COLUMNS), np.int64)
        for first in range(0, values.shape[0], pixels):
            part = slice(first, first + pixels)
            rows = chunks(values[part].shape[0])
            table = xp.zeros((rows, zones + 1, COLUMNS), np.int64)
            _by_label(values[part], labels[part], scale, table)
            sums, ends = table[..., :LEAST].sum(axis=0), table[..., LEAST:].max(axis=0)
            total[:, :LEAST] += np.array(sums.tolist())
            total[:, LEAST:] = np.maximum(total[:, LEAST:], np.array(ends.tolist()))
        return cls(float(bound), _carried(total[1:]))

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


PIECE = 256
"""Entries of a piece, a divisor of CHUNK: short enough that a GPU has many, long enough that the
table of partial sums is small."""

WEIGHT, WEIGHTED, SQUARES, SMALLEST, LARGEST = range(5)
"""Columns of the sums by share."""


@device
def sum_piece(values: Any, pixels: Any, weights: Any, first: int, last: int, row: Any) -> None:
    """Write the sums of the entries ``first`` to ``last`` into ``row``, (5,) float64."""
    weight = weighted = squares = 0.0
    smallest, largest = np.float32(np.inf), np.float32(-np.inf)
    for k in range(first, last):
        value = values[pixels[k]]
        if value == value:  # not NaN
            share = weights[k] * value
            weight += weights[k]
            weighted += share
            squares += share * value
            smallest = min(smallest, value)
            largest = max(largest, value)
    row[WEIGHT] = weight
    row[WEIGHTED] = weighted
    row[SQUARES] = squares
    row[SMALLEST] = smallest
    row[LARGEST] = largest


@cpu_loop
def _by_share_cpu(
    first: int,
    last: int,
    values: Any,
    pixels: Any,
    weights: Any,
    starts: Any,
    heads: Any,
    table: Any,
) -> None:
    piece = heads[first // CHUNK]
    while piece < table.shape[0] and starts[piece] < last:
        sum_piece(values, pixels, weights, starts[piece], starts[piece + 1], table[piece])
        piece += 1


@gpu_grid
def _by_share_gpu(
    values: Any, pixels: Any, weights: Any, starts: Any, heads: Any, table: Any
) -> None:
    for piece in range(cuda.grid(1), table.shape[0], cuda.gridsize(1)):
        sum_piece(values, pixels, weights, starts[piece], starts[piece + 1], table[piece])


_by_share = Kernel(_by_share_cpu, _by_share_gpu, lambda values, pixels, *_: pixels.shape[0])


@dataclass(frozen=True)
class Shares:
    """The share of each pixel that lies in each zone: a sparse operator, used for any layer."""

    pixels: Any
    """Flat index of the pixel of each entry, (E,) int64, entries in the order of their zones."""

    weights: Any
    """Share of the pixel in the zone, 0 to 1, (E,) float64."""

    starts: Any
    """First entry of each piece, and the end, (P + 1,) int64; a piece is of one zone."""

    heads: Any
    """First piece of each CHUNK of entries, int64."""

    ends: NDArray[np.int64]
    """Where the pieces of each zone begin, and the end, (Z + 1,), always in NumPy."""

    @classmethod
    def of(cls, bounds: NDArray[np.int64], pixels: Any, weights: Any) -> Self:
        """The operator whose zone z has the entries ``bounds[z]`` up to ``bounds[z + 1]``."""
        total = int(bounds[-1])
        starts = np.unique(np.concatenate([bounds, np.arange(0, total, PIECE)]))
        heads = np.searchsorted(starts, np.arange(0, total, CHUNK))
        return cls(pixels, weights, starts, heads, np.searchsorted(starts, bounds))

    def moved(self, put: Callable[[Any], Any]) -> Self:
        """This operator with its arrays carried by ``put``, such as ``cupy.asarray``."""
        moving = ("pixels", "weights", "starts", "heads")
        return replace(self, **{name: put(getattr(self, name)) for name in moving})

    def statistics(self, values: Any) -> NDArray[np.float64]:
        """Sum of shares, mean, standard deviation, min and max of each zone, (Z, 5).

        ``values`` is (N,) float32; NaN is left out. A zone without value has NaN but for its
        sum of shares, 0.
        """
        zones, pieces = len(self.ends) - 1, self.starts.shape[0] - 1
        found = np.full((zones, 5), np.nan)
        found[:, 0] = 0
        if not pieces:
            return found
        table = namespace(values, self.pixels).zeros((pieces, 5), np.float64)
        _by_share(values, self.pixels, self.weights, self.starts, self.heads, table)
        rows = np.array(table.tolist())
        held = np.flatnonzero(np.diff(self.ends))
        begin = self.ends[held]
        weight, weighted, squares = np.add.reduceat(rows[:, :SMALLEST], begin).T
        smallest = np.minimum.reduceat(rows[:, SMALLEST], begin)
        largest = np.maximum.reduceat(rows[:, LARGEST], begin)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = weighted / weight
            deviation = np.sqrt(np.maximum(squares / weight - mean**2, 0))
        stacked = np.stack([weight, mean, deviation, smallest, largest], axis=1)
        stacked[weight == 0, 1:] = np.nan
        found[held] = stacked
        return found
