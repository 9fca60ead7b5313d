# SPDX-License-Identifier: Apache-2.0
"""First principal component of four indicators, and its least and greatest value."""

from typing import Any

import numpy as np
from numba import cuda, int64

from .extremes import NOTHING, highest_key, lowest_key
from .indices import NAN
from .launch import CHUNK, Kernel, cpu_loop, device, gpu_grid, namespace
from .moments import INDICATORS, rows

SIDES = 2
"""Columns of the keys: the lowest and the highest."""


@device
def component(values: Any, n: int, weights: Any, offsets: Any) -> Any:
    """Sum of the weighted distances from the offsets, of pixel ``n`` of ``values``, (4, N)."""
    total = weights[0] * (values[0, n] - offsets[0])
    for i in range(1, INDICATORS):
        total += weights[i] * (values[i, n] - offsets[i])
    return total


@cpu_loop
def _project_cpu(
    first: int,
    last: int,
    values: Any,
    reasons: Any,
    weights: Any,
    offsets: Any,
    out: Any,
    keys: Any,
) -> None:
    lowest, highest = NOTHING, NOTHING
    for n in range(first, last):
        out[n] = NAN
        if reasons[n] == 0:
            out[n] = component(values, n, weights, offsets)
            lowest = min(lowest, lowest_key(out[n], n))
            highest = min(highest, highest_key(out[n], n))
    keys[first // CHUNK, 0], keys[first // CHUNK, 1] = lowest, highest


@gpu_grid
def _project_gpu(
    values: Any, reasons: Any, weights: Any, offsets: Any, out: Any, keys: Any
) -> None:
    block = cuda.shared.array(SIDES, int64)
    for k in range(cuda.threadIdx.x, SIDES, cuda.blockDim.x):
        block[k] = NOTHING
    cuda.syncthreads()
    lowest, highest = NOTHING, NOTHING
    for n in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        value = NAN
        if reasons[n] == 0:
            value = component(values, n, weights, offsets)
            lowest = min(lowest, lowest_key(value, n))
            highest = min(highest, highest_key(value, n))
        out[n] = value  # once, and not read again
    cuda.atomic.min(block, 0, lowest)
    cuda.atomic.min(block, 1, highest)
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, SIDES, cuda.blockDim.x):
        cuda.atomic.min(keys, (0, k), block[k])


_project = Kernel(_project_cpu, _project_gpu, lambda values, *_: values.shape[1])


def project(values: Any, reasons: Any, weights: Any, offsets: Any) -> tuple[Any, Any]:
    """The component of each pixel, (N,) float32, NaN where left out, and keys of its extremes.

    ``values`` is (4 or 5, N) float32, of which the first four rows are the indicators;
    ``reasons``, (N,) uint8, is 0 for the pixels to project; ``weights`` and ``offsets`` are four
    numbers each. The keys, (rows, 2) int64, are those of ``extremes``.
    """
    xp = namespace(values, reasons)
    out = xp.zeros(values.shape[1], np.float32)
    keys = xp.zeros((rows(values.shape[1]), SIDES), np.int64) + NOTHING
    single = [tuple(np.float32(number) for number in four) for four in (weights, offsets)]
    _project(values, reasons, *single, out, keys)
    return out, keys
