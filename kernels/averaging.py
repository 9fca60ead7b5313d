# SPDX-License-Identifier: Apache-2.0
"""Means in physical units of stored integers that were summed and counted."""

from typing import Any

import numpy as np
from numba import cuda

from .launch import Kernel, cpu_loop, device, gpu_grid

NAN = np.float32(np.nan)


@device
def mean(total: Any, count: Any, scale: Any, offset: Any) -> Any:
    """``total / count`` in the unit that ``scale`` and ``offset`` lead to, NaN without a count.

    In float64: a sum of stored values passes 2**24, where float32 would round it a second time.

    >>> float(mean(np.int32(29_001), np.uint16(2), 0.02, -273.15))
    16.860000610351562
    """
    return np.float32(np.float64(total) / max(count, 1) * scale + offset) if count > 0 else NAN


@cpu_loop
def _means_cpu(
    first: int, last: int, sums: Any, counts: Any, scale: float, offset: float, out: Any
) -> None:
    for n in range(first, last):
        out[n] = mean(sums[n], counts[n], scale, offset)


@gpu_grid
def _means_gpu(sums: Any, counts: Any, scale: float, offset: float, out: Any) -> None:
    for n in range(cuda.grid(1), sums.shape[0], cuda.gridsize(1)):
        out[n] = mean(sums[n], counts[n], scale, offset)


_means = Kernel(_means_cpu, _means_gpu, lambda sums, *_: sums.shape[0])


def means(sums: Any, counts: Any, scale: float, offset: float, out: Any) -> None:
    """Write the mean of each pixel, (N,) float32, into ``out``; NaN where nothing was counted.

    ``sums``, (N,) int32, are of stored units; a stored value times ``scale`` plus ``offset`` is in
    the unit of the mean. ``counts`` are (N,) uint8 or uint16.
    """
    _means(sums, counts, float(scale), float(offset), out)
