# SPDX-License-Identifier: Apache-2.0
"""Sums of observations to indicators, one common mask, and the moments of what passes it.

One pass, as memory traffic is the cost: the sums and counts of a pixel come in, its composite and
indicators go out, and what a PCA needs stays in registers or a core's cache.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import cuda, float32, int32, int64

from .extremes import NOTHING, highest_key, lowest_key
from .indices import NAN, NDBSI, NDVI, WET, pixel_indices
from .launch import CHUNK, Kernel, cpu_loop, device, gpu_grid
from .moments import (
    DIGITS,
    INDICATORS,
    NUMBERS,
    PITCH,
    SQUARE,
    TERMS,
    TILE,
    add_numbers,
    add_tile,
    in_range,
    require_fit,
    term_of,
    write_numbers,
)

BANDS = 7

LST, MNDWI, LAYERS = 3, 4, 5
"""Rows of the indicators, after NDVI, wetness and NDBSI; and their number."""

(
    VALID,
    OUTSIDE,
    NO_REFLECTANCE,
    NO_NDVI,
    NO_LST,
    FLOOR,
    MNDWI_WATER,
    LAND_COVER_WATER,
    NO_WET,
    NO_NDBSI,
    OUT_OF_RANGE,
) = range(11)
"""Why a pixel is left out: the first that applies, so the least."""

REASONS = 11

WET_KEPT = TERMS + REASONS
"""Column of the sums that counts the valid pixels whose MNDWI is above zero."""

COUNTED = REASONS + 1
"""Columns of pixels that are counted: by reason, and ``WET_KEPT``."""

COLUMNS = TERMS + COUNTED
"""Columns of the sums: those of the moments, then pixels by reason, then ``WET_KEPT``."""

INSIDE, LAND_WATER = 1, 2
"""Bits of a pixel's place: its centre is in the area; its land cover is water."""

KEYS = 2 * INDICATORS
"""Columns of the keys: the lowest of each indicator, then the highest of each."""

ZERO, INFINITE = np.float32(0), np.float32(np.inf)


class Rules(NamedTuple):
    """What the screening of a pixel goes by; a tuple, so that it passes into any kernel."""

    divisor: np.float32
    """Stored steps in one unit of reflectance."""

    given: int
    """Bits of the indicators that are in ``out`` beforehand; LST always is."""

    needed: int
    """Bits of the bands without which a pixel is left out."""

    floor: np.float32
    """Least reflectance that may enter a ratio."""

    threshold: np.float32
    """MNDWI above which a pixel is water; infinite where MNDWI is not to be asked."""

    lows: tuple[np.float32, ...]
    """Least value of each indicator."""

    highs: tuple[np.float32, ...]
    """Greatest value of each indicator."""

    scales: tuple[np.float32, ...]
    """Steps of the moments in one unit of each indicator."""


@device
def band_mean(total: Any, count: Any, divisor: Any) -> Any:
    """Mean of ``count`` stored values, float32, in units of 1 / ``divisor``; NaN of none.

    >>> float(band_mean(np.int32(701), np.uint16(2), np.float32(10_000)))
    0.03505000099539757
    """
    # Both are whole and below 2**24, so one division rounds once, alike on every machine.
    return np.float32(total) / (np.float32(count) * divisor) if count > 0 else NAN


@device
def verdict(place: Any, bands: Any, out: Any, n: int, rules: Any) -> int:
    """The reason to leave out pixel ``n`` of ``bands``, (7, N), and ``out``, (5, N), or 0.

    The last condition first, each overruling those before it: selections take a third of the time
    of returns, as clouds and shores cannot be predicted.
    """
    ndvi, wet, ndbsi, lst = out[NDVI, n], out[WET, n], out[NDBSI, n], out[LST, n]
    water = out[MNDWI, n]
    reason = VALID
    for i in range(INDICATORS):
        if not in_range(out[i, n], rules.lows[i], rules.highs[i]):
            reason = OUT_OF_RANGE
    # x != x where x is NaN: an indicator that is not known, a band without an observation.
    if ndbsi != ndbsi:
        reason = NO_NDBSI
    if wet != wet:
        reason = NO_WET
    if place & LAND_WATER:
        reason = LAND_COVER_WATER
    if water > rules.threshold:
        reason = MNDWI_WATER
    # Where its bands are there, a ratio made of them is NaN by the floor alone.
    if ndvi != ndvi or (ndbsi != ndbsi and not (rules.given >> NDBSI) & 1):
        reason = FLOOR
    if water != water and rules.threshold < INFINITE:
        reason = FLOOR
    if lst != lst:
        reason = NO_LST
    if ndvi != ndvi and (rules.given >> NDVI) & 1:
        reason = NO_NDVI
    for band in range(BANDS):
        if (rules.needed >> band) & 1 and bands[band, n] != bands[band, n]:
            reason = NO_REFLECTANCE
    if not place & INSIDE:
        reason = OUTSIDE
    return reason


@device
def copy(source: Any, target: Any) -> None:
    """Copy the numbers that both rows have place for."""
    for t in range(min(source.size, target.size)):
        target[t] = source[t]


@device
def average_tile(sums: Any, counts: Any, first: int, divisor: Any, means: Any, bands: Any) -> None:
    """Write the composite of the pixels from ``first`` on into ``means``, (7, T), and ``bands``."""
    size = min(TILE, bands.shape[1] - first)
    for band in range(BANDS):
        total, count = sums[band, first : first + size], counts[band, first : first + size]
        mean = means[band]
        for t in range(size):
            mean[t] = band_mean(total[t], count[t], divisor)
        copy(mean, bands[band, first : first + size])


@device
def extend(values: Any, valid: Any, first: int, best: Any) -> None:
    """Lower the keys in ``best``, (8,), to those of the valid pixels of ``values``, (4, T)."""
    for i in range(INDICATORS):
        row, lowest, highest = values[i], best[i], best[INDICATORS + i]
        for t in range(valid.size):
            if valid[t]:
                lowest = min(lowest, lowest_key(row[t], first + t))
                highest = min(highest, highest_key(row[t], first + t))
        best[i], best[INDICATORS + i] = lowest, highest


@cpu_loop
def _screen_cpu(
    first: int,
    last: int,
    sums: Any,
    counts: Any,
    place: Any,
    rules: Any,
    bands: Any,
    out: Any,
    reasons: Any,
    table: Any,
    keys: Any,
) -> None:
    # A tile at a time in a core's own cache, step by step: each step is one that SIMD can take.
    digits, room = np.empty((DIGITS, TILE), np.int64), np.empty(TILE, np.bool_)
    means, found = np.empty((BANDS, TILE), np.float32), np.empty((MNDWI + 1, TILE), np.float32)
    own, best = table[first // CHUNK], keys[first // CHUNK]  # rows that no other thread writes
    for start in range(first, last, TILE):
        stop = min(start + TILE, last)
        valid, where, why = room[: stop - start], place[start:stop], reasons[start:stop]
        average_tile(sums, counts, start, rules.divisor, means, bands)
        for i in range(found.shape[0]):
            copy(out[i, start:stop], found[i])
        for t in range(valid.size):
            pixel_indices(means, t, rules.given, rules.floor, found)
        for i in range(found.shape[0]):
            copy(found[i], out[i, start:stop])
        for t in range(valid.size):
            why[t] = verdict(where[t], means, found, t, rules)
            valid[t] = why[t] == VALID
        for t in range(valid.size):
            own[TERMS + why[t]] += 1
            own[WET_KEPT] += valid[t] & (found[MNDWI, t] > ZERO)
        extend(found, valid, start, best)
        add_tile(found, 0, valid, rules.scales, digits, own)


@device
def extend_own(seen: Any, numbers: Any, me: int, size: int, first: int, best: Any) -> Any:
    """The key of the extreme of thread ``me``, lowered to those of the ``size`` pixels from
    ``first``.

    A block of ``size`` threads, eight or more, takes as many pixels of ``seen``, (4, size). A
    thread takes one of the eight extremes, of every so many.
    """
    workers = size // KEYS
    key, share = me % KEYS, me // KEYS
    if share < workers:
        for x in range(share, size, workers):
            if numbers[0, x] != 0:
                value = seen[key % INDICATORS, x]
                lowest, highest = lowest_key(value, first + x), highest_key(value, first + x)
                best = min(best, lowest if key < INDICATORS else highest)
    return best


@gpu_grid
def _screen_gpu(
    sums: Any,
    counts: Any,
    place: Any,
    rules: Any,
    bands: Any,
    out: Any,
    reasons: Any,
    table: Any,
    keys: Any,
) -> None:
    # Thread, then block, then grid, as for the moments alone. What a pixel has is in registers and
    # is written once: read again from where it was written, it would come from beyond the cache.
    means = cuda.local.array((BANDS, 1), float32)
    found = cuda.local.array((LAYERS, 1), float32)
    own = cuda.local.array(SQUARE, int64)
    numbers = cuda.shared.array((NUMBERS, PITCH), int32)
    seen = cuda.shared.array((INDICATORS, PITCH), float32)
    block = cuda.shared.array(TERMS, int64)
    tally = cuda.shared.array(COUNTED, int32)  # of 32 bits: those of 64 spin until they succeed
    least = cuda.shared.array(KEYS, int64)
    for k in range(SQUARE):
        own[k] = 0
    best, me = NOTHING, cuda.threadIdx.x
    for k in range(me, TERMS, cuda.blockDim.x):
        block[k] = 0
    for k in range(me, COUNTED, cuda.blockDim.x):
        tally[k] = 0
    for k in range(me, KEYS, cuda.blockDim.x):
        least[k] = NOTHING
    cuda.syncthreads()
    for start in range(cuda.blockIdx.x * cuda.blockDim.x, sums.shape[1], cuda.gridsize(1)):
        n = start + me
        for k in range(NUMBERS):
            numbers[k, me] = 0
        if n < sums.shape[1]:
            for band in range(BANDS):
                means[band, 0] = band_mean(sums[band, n], counts[band, n], rules.divisor)
                bands[band, n] = means[band, 0]
            for i in range(INDICATORS):
                found[i, 0] = out[i, n] if (rules.given >> i) & 1 else NAN
            pixel_indices(means, 0, rules.given, rules.floor, found)
            for i in range(LAYERS):
                if not (rules.given >> i) & 1:
                    out[i, n] = found[i, 0]
            reason = verdict(place[n], means, found, 0, rules)
            reasons[n] = reason
            cuda.atomic.add(tally, reason, 1)
            if reason == VALID:
                if found[MNDWI, 0] > ZERO:
                    cuda.atomic.add(tally, REASONS, 1)
                for i in range(INDICATORS):
                    seen[i, me] = found[i, 0]
                write_numbers(found, 0, rules.scales, numbers, me)
        cuda.syncthreads()  # all threads of a block come here as often: start is the block's
        add_numbers(numbers, me, cuda.blockDim.x, own)
        best = extend_own(seen, numbers, me, cuda.blockDim.x, start, best)
        cuda.syncthreads()
    for k in range(SQUARE):
        if term_of(me, k) >= 0:
            cuda.atomic.add(block, term_of(me, k), own[k])
    cuda.atomic.min(least, me % KEYS, best)
    cuda.syncthreads()
    row = cuda.blockIdx.x % table.shape[0]
    for k in range(me, TERMS, cuda.blockDim.x):
        cuda.atomic.add(table, (row, k), block[k])
    for k in range(me, COUNTED, cuda.blockDim.x):
        cuda.atomic.add(table, (row, TERMS + k), np.int64(tally[k]))
    for k in range(me, KEYS, cuda.blockDim.x):
        cuda.atomic.min(keys, (row, k), least[k])


_screen = Kernel(_screen_cpu, _screen_gpu, lambda sums, *_: sums.shape[1])


def screen(
    sums: Any, counts: Any, place: Any, rules: Rules, results: tuple[Any, Any, Any, Any, Any]
) -> None:
    """Composite, indicators, mask, moments and extremes of N pixels, in one pass.

    ``sums``, (7, N) int32, and ``counts``, (7, N) uint16, are stored units added over dates and
    years; ``place``, (N,) uint8, has the bits ``INSIDE`` and ``LAND_WATER``. ``results`` are
    filled: the composite, (7, N) float32; the indicators, (5, N) float32, ndvi wet ndbsi lst
    mndwi, with those given in their rows; the reason, (N,) uint8; sums, (rows, 57) int64, from
    zero; keys of the extremes, (rows, 8) int64, from ``extremes.NOTHING``. Raises ValueError for
    more than 2**28 pixels.
    """
    require_fit(sums.shape[1])
    _screen(sums, counts, place, rules, *results)
