# SPDX-License-Identifier: Apache-2.0
"""Trend of each pixel over the epochs: Theil–Sen slope and Mann–Kendall test."""

import math
from typing import Any

import numpy as np
from numba import cuda, float32

from .launch import Kernel, cpu_loop, device, gpu_grid

EPOCHS = 64
"""Most epochs of a series: the arrays of a GPU thread have a constant size."""

PAIRS = EPOCHS * (EPOCHS - 1) // 2

SLOPE, Z, P = range(3)
"""Rows of the result: slope per year, normal score, two-sided probability."""

NAN = np.float32(np.nan)
ROOT_HALF = np.float32(math.sqrt(0.5))
EIGHTEENTH = np.float32(1 / 18)


@device
def observed(values: Any, times: Any, n: int, seen: Any, when: Any) -> int:
    """Copy the epochs of pixel ``n`` that are not NaN to ``seen`` and ``when``; their number."""
    count = 0
    for t in range(times.shape[0]):
        value = values[t, n]
        if value == value:
            seen[count] = value
            when[count] = times[t]
            count += 1
    return count


@device
def mann_kendall(seen: Any, count: int) -> Any:
    """S, the rises less the falls of all pairs, and 18 times its variance, of a series.

    Source: Kendall 1975, Rank Correlation Methods, with the correction for ties. A group of k
    equal values takes k (k - 1) (2 k + 5) from the variance: its k-th member adds 6 (k**2 - 1).
    """
    score = ties = 0
    for j in range(count):
        equal = 0
        for i in range(j):
            if seen[j] > seen[i]:
                score += 1
            elif seen[j] < seen[i]:
                score -= 1
            else:
                equal += 1
        ties += 6 * equal * (equal + 2)
    return score, count * (count - 1) * (2 * count + 5) - ties


@device
def significance(score: int, variance: int) -> Any:
    """Normal score with continuity correction, and two-sided probability, of S.

    ``variance`` is 18 times that of S. A series of equal values has score 0, probability 1.
    """
    if score == 0:
        return np.float32(0), np.float32(1)
    step = 1 if score > 0 else -1
    z = np.float32(score - step) / np.float32(math.sqrt(np.float32(variance) * EIGHTEENTH))
    return z, np.float32(math.erfc(abs(z) * ROOT_HALF))


@device
def median_of_keys(keys: Any, pairs: int, pair: Any) -> None:
    """Write the lower and the upper median of ``keys``, int32, into ``pair``, (2,) int32.

    Halves the range of keys by counting, which the compiler turns into vector code.
    """
    low = high = keys[0]
    for k in range(pairs):
        low, high = min(low, keys[k]), max(high, keys[k])
    rank = (pairs - 1) // 2
    at_most: Any = pairs
    while low < high:
        middle = np.int32((np.int64(low) + np.int64(high)) >> 1)
        below = np.int32(0)
        for k in range(pairs):
            below += np.int32(keys[k] <= middle)
        if below > rank:
            high, at_most = middle, below
        else:
            low = np.int32(middle + 1)
    pair[0] = pair[1] = low
    if pairs % 2 == 0 and at_most == rank + 1:
        upper = np.int32(2**31 - 1)
        for k in range(pairs):
            if keys[k] > low:
                upper = min(upper, keys[k])
        pair[1] = upper


@cpu_loop
def _trend_cpu(first: int, last: int, values: Any, times: Any, least: int, out: Any) -> None:
    seen, when = np.empty(EPOCHS, np.float32), np.empty(EPOCHS, np.float32)
    slopes, pair = np.empty(PAIRS, np.float32), np.empty(2, np.float32)
    keys, pair_keys = slopes.view(np.int32), pair.view(np.int32)
    for n in range(first, last):
        count = observed(values, times, n, seen, when)
        out[SLOPE, n] = out[Z, n] = out[P, n] = NAN
        if count < least:
            continue
        pairs = 0
        for j in range(count):
            for i in range(j):
                slopes[pairs + i] = (seen[j] - seen[i]) / (when[j] - when[i])
            pairs += j
        order_bits(keys, pairs)
        median_of_keys(keys, pairs, pair_keys)
        order_bits(pair_keys, 2)
        out[SLOPE, n] = pair[0] + (pair[1] - pair[0]) * np.float32(0.5)
        score, variance = mann_kendall(seen, count)
        out[Z, n], out[P, n] = significance(score, variance)


@device
def order_bits(keys: Any, pairs: int) -> None:
    """Turn the bits of floats into integers of the same order, or back."""
    for k in range(pairs):
        keys[k] ^= (keys[k] >> 31) & np.int32(0x7FFFFFFF)


@device
def slopes_about(seen: Any, when: Any, count: int, pivot: Any) -> Any:
    """How many slopes are at most ``pivot``, the largest of them, and the smallest above."""
    at_most = 0
    below, above = np.float32(-np.inf), np.float32(np.inf)
    for j in range(count):
        for i in range(j):
            slope = (seen[j] - seen[i]) / (when[j] - when[i])
            if slope <= pivot:
                at_most += 1
                below = max(below, slope)
            else:
                above = min(above, slope)
    return at_most, below, above


@device
def median_slope(seen: Any, when: Any, count: int) -> Any:
    """Median slope of all pairs of epochs, found without keeping the slopes."""
    pairs = count * (count - 1) // 2
    rank = (pairs - 1) // 2
    _, low, _ = slopes_about(seen, when, count, np.float32(np.inf))
    high = low
    _, _, low = slopes_about(seen, when, count, np.float32(-np.inf))
    at_most = pairs
    while low < high:
        # Both ends are slopes themselves, so at least one leaves the range at each step.
        pivot = low + (high - low) * np.float32(0.5)
        if pivot >= high:
            pivot = low
        found, below, above = slopes_about(seen, when, count, pivot)
        if found > rank:
            high, at_most = below, found
        else:
            low = above
    if pairs % 2 == 0 and at_most == rank + 1:
        _, _, high = slopes_about(seen, when, count, low)
    return low + (high - low) * np.float32(0.5)


@gpu_grid
def _trend_gpu(values: Any, times: Any, least: Any, out: Any) -> None:
    # Two short series in local memory. The slopes, 8 kB of 64 epochs, would take 2 GB for all the
    # threads an H100 holds; here they are divided anew for each count instead.
    seen = cuda.local.array(EPOCHS, float32)
    when = cuda.local.array(EPOCHS, float32)
    for n in range(cuda.grid(1), values.shape[1], cuda.gridsize(1)):
        count = observed(values, times, n, seen, when)
        if count < least:
            out[SLOPE, n] = out[Z, n] = out[P, n] = NAN
        else:
            out[SLOPE, n] = median_slope(seen, when, count)
            score, variance = mann_kendall(seen, count)
            out[Z, n], out[P, n] = significance(score, variance)


_trend = Kernel(_trend_cpu, _trend_gpu, lambda values, *_: values.shape[1])


def trend(values: Any, times: Any, least: int, out: Any) -> None:
    """Write slope per year, normal score and probability, (3, N) float32, into ``out``.

    ``values`` is (T, N) float32, NaN where missing; ``times``, (T,) float32, rises strictly. A
    pixel with fewer than ``least`` epochs is NaN. Raises ValueError for more than 64 epochs.
    Source: Sen 1968, doi:10.1080/01621459.1968.10480934; Mann 1945, doi:10.2307/1907187.
    """
    if times.shape[0] > EPOCHS:
        raise ValueError(f"expected at most {EPOCHS} epochs, found {times.shape[0]}")
    _trend(values, times, max(2, least), out)
