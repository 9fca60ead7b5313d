# SPDX-License-Identifier: Apache-2.0
"""Sums of a layer of one value, where its quality words and its range allow it."""

from typing import Any

import numpy as np
from numba import cuda, int32

from .byteorder import swapped
from .launch import CHUNK, Kernel, chunks, cpu_loop, device, gpu_grid, namespace
from .rules import (
    LANES,
    MOST_REASONS,
    SHIFT,
    WORD,
    added_up,
    digits,
    first_broken,
    keep,
    require_room,
)

NO_FILL = -(1 << 31)
"""Stands for the fill of a word that has none: no word of 16 bits holds it."""


@device
def held(row: Any, x: int, other: bool) -> Any:
    """What ``row``, (n,), holds at ``x``; ``other``: its two bytes, if two, are exchanged."""
    if other and row.itemsize == 2:
        return row.dtype.type(swapped(np.uint16(row[x])))
    return row[x]


@cpu_loop
def _layer_cpu(
    begin: int,
    end: int,
    stored: Any,
    gate: Any,
    first: Any,
    second: Any,
    other: bool,
    fills: Any,
    rules: Any,
    ranges: Any,
    sums: Any,
    counts: Any,
    lost: Any,
) -> None:
    own = lost[begin // CHUNK]  # a row for each chunk: no two threads write the same one
    size = end - begin
    words = np.empty((2, size), np.uint16)
    alive = np.empty(size, np.uint16)
    gate_fill, a_fill, b_fill = np.int32(fills[0]), np.int32(fills[1]), np.int32(fills[2])
    lowest, highest = np.int32(ranges[0]), np.int32(ranges[1])
    low, high = np.int32(ranges[2]), np.int32(ranges[3])
    for t in range(stored.shape[0]):
        values, keys = stored[t, begin:end], gate[t, begin:end]
        a, b = first[t, begin:end], second[t, begin:end]
        left = np.uint16(0)
        for x in range(size):
            key = np.int32(held(keys, x, other))
            p, q = held(a, x, other), held(b, x, other)
            empty = (key == gate_fill) | (p == a_fill) | (q == b_fill)
            words[0, x], words[1, x] = np.uint16(p), np.uint16(q)
            alive[x] = np.uint16(not empty)
            left = np.uint16(left + alive[x])
        own[0] += size - left
        for r in range(rules.shape[0]):
            before, left = left, keep(alive, words[rules[r, WORD]], rules[r, SHIFT], rules[r])
            own[r + 1] += before - left
        used = np.uint16(0)
        total, seen = sums[begin:end], counts[begin:end]
        for x in range(size):
            key, value = np.int32(held(keys, x, other)), np.int32(held(values, x, other))
            inside = (lowest <= key) & (key <= highest) & (low <= value) & (value <= high)
            one = np.uint16(alive[x] & np.uint16(inside))
            total[x] += value if one != 0 else np.int32(0)
            seen[x] += np.uint8(one)
            used = np.uint16(used + one)
        own[rules.shape[0] + 1] += np.int64(left) - np.int64(used)
        own[rules.shape[0] + 2] += used


@device
def observe(
    t: int,
    n: int,
    stored: Any,
    gate: Any,
    first: Any,
    second: Any,
    other: bool,
    fills: Any,
    rules: Any,
    ranges: Any,
    sums: Any,
    counts: Any,
) -> int:
    """Add date ``t`` of pixel ``n`` if it may be used, and say what forbade it.

    0 is fill, r + 1 rule r, then the range; one more says that the value was added.
    """
    value, key = int(held(stored[t], n, other)), int(held(gate[t], n, other))
    a, b = held(first[t], n, other), held(second[t], n, other)
    if key == fills[0] or int(a) == fills[1] or int(b) == fills[2]:
        return 0
    broken = first_broken(digits(a), digits(b), rules)
    if broken < rules.shape[0]:
        return broken + 1
    if not (ranges[0] <= key <= ranges[1] and ranges[2] <= value <= ranges[3]):
        return broken + 1
    sums[n] += value
    counts[n] += 1
    return broken + 2


@gpu_grid
def _layer_gpu(
    stored: Any,
    gate: Any,
    first: Any,
    second: Any,
    other: bool,
    fills: Any,
    rules: Any,
    ranges: Any,
    sums: Any,
    counts: Any,
    lost: Any,
) -> None:
    block = cuda.shared.array((MOST_REASONS, LANES), int32)
    lane = cuda.threadIdx.x % LANES
    for k in range(cuda.threadIdx.x, MOST_REASONS * LANES, cuda.blockDim.x):
        block[k // LANES, k % LANES] = 0
    cuda.syncthreads()
    for n in range(cuda.grid(1), stored.shape[1], cuda.gridsize(1)):
        for t in range(stored.shape[0]):
            reason = observe(
                t, n, stored, gate, first, second, other, fills, rules, ranges, sums, counts
            )
            cuda.atomic.add(block, (reason, lane), 1)
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, lost.shape[1], cuda.blockDim.x):
        cuda.atomic.add(lost, (0, k), added_up(block[k]))


_layer = Kernel(_layer_cpu, _layer_gpu, lambda stored, *_: stored.shape[1])


def accumulate_layer(
    layers: tuple[Any, Any],
    words: tuple[Any, Any],
    policy: tuple[tuple[int, int, int], Any, tuple[int, int, int, int]],
    sums: Any,
    counts: Any,
    other_order: bool = False,
) -> Any:
    """Add the accepted values to ``sums``, (N,) int32, and ``counts``, (N,) uint8.

    ``layers`` are what is added, (T, N), and the gate, (T, N), that must be usable too: the layer
    itself, or the one on which it depends. ``words`` are two quality words of up to 16 bits,
    (T, N), perhaps the same one twice. ``policy`` is the fill of the gate and of each word; rules,
    (R, 4) uint32; the lowest and highest usable value of the gate, then of the layer. With
    ``other_order`` the bytes of values of two stand the other way round.

    The answer, (R + 3,) int64, counts the pixel-dates lost to fill, to each rule and to the range,
    the first that applies, and last those that were added. It stays where the layers are. Raises
    ValueError for more than 61 rules.
    """
    fills, rules, ranges = policy
    require_room(rules.shape[0] + 3)
    stored, gate = layers
    home = namespace(stored)
    table = home.zeros((max(1, chunks(stored.shape[1])), rules.shape[0] + 3), np.int64)
    _layer(stored, gate, *words, other_order, fills, rules, ranges, sums, counts, table)
    return table.sum(axis=0)
