# SPDX-License-Identifier: Apache-2.0
"""Histograms that merge: from two of them any order statistic of float32 values is exact."""

from typing import Any

import numpy as np
from numba import cuda

from .extremes import ordered
from .launch import CHUNK, Kernel, chunks, cpu_loop, device, gpu_grid, namespace

BINS = 1 << 16
"""Values of half a float32's bits: a first pass counts the upper half, a second the lower."""

GROUP = 256
"""Pixels of one work item: a core then fills one table, 256 kB, from 2 million pixels."""

STEP = np.float32(BINS // 2)
"""Equal bins from 0 to 1, for values within -1 and 1."""

NONE = -1
"""The bin of a value that is not counted."""


@device
def upper_bin(value: Any) -> Any:
    """The bin, of 65,536, of the upper half of a value's bits; it grows with the value.

    >>> [int(upper_bin(np.float32(v))) for v in (-1, 0, 1)]
    [16511, 32768, 49024]
    """
    return (ordered(value) >> 16) + BINS // 2


@device
def lower_bin(value: Any, upper: Any) -> Any:
    """The bin of the lower half of a value's bits, or ``NONE`` where its upper bin is another."""
    return ordered(value) & (BINS - 1) if upper_bin(value) == upper else NONE


@device
def even_bin(value: Any) -> Any:
    """The bin, of 65,536 equal ones from -1 to 1, of a value; the last holds 1, too.

    >>> [int(even_bin(np.float32(v))) for v in (-1, -1e-9, 0, 1)]
    [0, 32767, 32768, 65535]
    """
    steps = value * STEP  # a power of two: exact
    whole = int(steps)
    if np.float32(whole) > steps:
        whole -= 1
    return min(max(whole + BINS // 2, 0), BINS - 1)


@device
def counts(value: Any, reason: Any) -> Any:
    """Whether a value is a number, of a pixel that no reason leaves out."""
    return reason == 0 and value == value


@cpu_loop
def _uppers_cpu(first: int, last: int, values: Any, reasons: Any, table: Any) -> None:
    own = table[first // CHUNK]  # a row for each chunk: no two threads write the same one
    for n in range(first * GROUP, min(last * GROUP, values.size)):
        if counts(values[n], reasons[n]):
            own[upper_bin(values[n])] += 1


@gpu_grid
def _uppers_gpu(values: Any, reasons: Any, table: Any) -> None:
    for n in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        if counts(values[n], reasons[n]):
            cuda.atomic.add(table, (0, upper_bin(values[n])), 1)


@cpu_loop
def _lowers_cpu(first: int, last: int, values: Any, reasons: Any, upper: int, table: Any) -> None:
    own = table[first // CHUNK]
    for n in range(first * GROUP, min(last * GROUP, values.size)):
        if counts(values[n], reasons[n]):
            place = lower_bin(values[n], upper)
            if place != NONE:
                own[place] += 1


@gpu_grid
def _lowers_gpu(values: Any, reasons: Any, upper: int, table: Any) -> None:
    for n in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        if counts(values[n], reasons[n]):
            place = lower_bin(values[n], upper)
            if place != NONE:
                cuda.atomic.add(table, (0, place), 1)


@cpu_loop
def _evens_cpu(first: int, last: int, values: Any, reasons: Any, table: Any) -> None:
    own = table[first // CHUNK]
    for n in range(first * GROUP, min(last * GROUP, values.size)):
        if counts(values[n], reasons[n]):
            own[even_bin(values[n])] += 1


@gpu_grid
def _evens_gpu(values: Any, reasons: Any, table: Any) -> None:
    for n in range(cuda.grid(1), values.size, cuda.gridsize(1)):
        if counts(values[n], reasons[n]):
            cuda.atomic.add(table, (0, even_bin(values[n])), 1)


def _groups(values: Any, *_: Any) -> int:
    return chunks(values.size, GROUP)


_uppers = Kernel(_uppers_cpu, _uppers_gpu, _groups)
_lowers = Kernel(_lowers_cpu, _lowers_gpu, _groups)
_evens = Kernel(_evens_cpu, _evens_gpu, _groups)


def _filled(kernel: Kernel, values: Any, *rest: Any) -> Any:
    rows = max(1, chunks(_groups(values)))
    table = namespace(values).zeros((rows, BINS), np.int32)
    kernel(values, *rest, table)
    return table.sum(axis=0, dtype=np.int64)


def upper_counts(values: Any, reasons: Any) -> Any:
    """Pixels in each upper bin, (65536,) int64, of ``values``, (N,) float32.

    Pixels count where ``reasons``, (N,) uint8, is 0 and the value is no NaN; N is under 2**31.
    """
    return _filled(_uppers, values, reasons)


def lower_counts(values: Any, reasons: Any, upper: int) -> Any:
    """Pixels in each lower bin, (65536,) int64, of those whose upper bin is ``upper``."""
    return _filled(_lowers, values, reasons, upper)


def even_counts(values: Any, reasons: Any) -> Any:
    """Pixels in each of 65,536 equal bins from -1 to 1, (65536,) int64."""
    return _filled(_evens, values, reasons)


def value_of(upper: int, lower: int) -> float:
    """The float32 value in a pair of bins.

    >>> value_of(int(upper_bin(np.float32(2.5))), 0)
    2.5
    """
    place = ((upper - BINS // 2) << 16) | lower
    return float(np.int32(place ^ ((place >> 31) & 0x7FFFFFFF)).view(np.float32))
