# SPDX-License-Identifier: Apache-2.0
"""Mean of a share over a window around each pixel, in integers, so exact in any order."""

import math
from typing import Any

import numpy as np
from numba import cuda

from .launch import Kernel, cpu_loop, device, gpu_grid, namespace

NAN = np.float32(np.nan)
HALF = np.float32(0.5)

STEPS = np.float32(1 << 24)
"""Steps in a share of 1: the precision of float32. A power of two, so the product is exact."""

MOST_ROWS = 100
"""Rows of the largest window: the sum of a column of it stays below 2**31 steps."""

BAND = 64
"""Rows a core takes at a time; the first rows of a band's windows are summed anew."""


@device
def steps(share: Any) -> Any:
    """``share``, 0 to 1, in whole steps of 2**-24; 0 for NaN.

    >>> int(steps(np.float32(0.5))), int(steps(np.float32("nan")))
    (8388608, 0)
    """
    return np.int32(0) if math.isnan(share) else np.int32(share * STEPS + HALF)


@device
def mean_of(total: Any, count: Any) -> Any:
    """The share that ``total`` steps of ``count`` pixels make, NaN where there are none.

    Rounded to float32 in the same places on every machine.
    """
    return np.float32(total) / np.float32(count) / STEPS if count > 0 else NAN


@device
def add_row(shares: Any, y: int, sign: int, sums: Any, counts: Any) -> None:
    """Add row ``y`` of ``shares``, with ``sign`` 1 or -1, to each column's sum and count."""
    if 0 <= y < shares.shape[0]:
        for x in range(shares.shape[1]):
            share = shares[y, x]
            sums[x] += np.int32(sign) * steps(share)
            counts[x] += np.int32(0) if math.isnan(share) else np.int32(sign)


@device
def band_means(top: int, shares: Any, before: int, after: int, out: Any) -> None:
    """Write the means of ``BAND`` rows from ``top``, by sums that run down and then along."""
    height, width = shares.shape
    sums, counts = np.zeros(width, np.int32), np.zeros(width, np.int32)
    for y in range(top - before, top + after):
        add_row(shares, y, 1, sums, counts)
    for y in range(top, min(top + BAND, height)):
        add_row(shares, y + after, 1, sums, counts)
        total, count = np.int64(0), np.int64(0)
        for x in range(min(after, width)):
            total += sums[x]
            count += counts[x]
        for x in range(width):
            if x + after < width:
                total += sums[x + after]
                count += counts[x + after]
            if x - before > 0:
                total -= sums[x - before - 1]
                count -= counts[x - before - 1]
            out[y, x] = mean_of(total, count)
        add_row(shares, y - before, -1, sums, counts)


@cpu_loop
def _focal_cpu(first: int, last: int, shares: Any, before: int, after: int, out: Any) -> None:
    band = BAND * shares.shape[1]
    for n in range(-(-first // band), -(-last // band)):  # the bands that begin in the range
        band_means(n * BAND, shares, before, after, out)


@gpu_grid
def _focal_gpu(shares: Any, before: int, after: int, out: Any) -> None:
    # Neighbouring threads read almost the same window, from the cache: no running sums needed.
    height, width = shares.shape
    for n in range(cuda.grid(1), shares.size, cuda.gridsize(1)):
        y, x = n // width, n % width
        total, count = np.int64(0), np.int64(0)
        for v in range(max(0, y - before), min(height, y + after + 1)):
            for u in range(max(0, x - before), min(width, x + after + 1)):
                if not math.isnan(shares[v, u]):
                    total += steps(shares[v, u])
                    count += 1
        out[y, x] = mean_of(total, count)


_focal = Kernel(_focal_cpu, _focal_gpu, lambda shares, *_: shares.size)


def focal_mean(shares: Any, before: int, after: int) -> Any:
    """Mean share of the pixels around each, (h, w) float32, of ``shares``, (h, w) float32, 0 to 1.

    The window reaches ``before`` pixels up and left and ``after`` down and right: 4 and 5 for a
    10 x 10 window. NaN does not count; neither does what lies outside. Raises ValueError for a
    window of more than 100 rows.

    Source of the even window's place: ArcGIS Focal Statistics, rectangular neighbourhood.
    """
    if before < 0 or after < 0 or before + after >= MOST_ROWS:
        raise ValueError(f"expected a window of 1 to {MOST_ROWS} rows, found {before}+1+{after}")
    out = namespace(shares).zeros(shares.shape, np.float32)
    _focal(shares, before, after, out)
    return out
