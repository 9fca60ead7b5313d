# SPDX-License-Identifier: Apache-2.0
"""Sums of a layer over zones that hold a share of each pixel, in double precision.

The ends of the pieces that are summed do not depend on the number of threads, nor do the sums.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from .launch import CHUNK, Kernel, cpu_loop, device, gpu_grid, namespace

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
