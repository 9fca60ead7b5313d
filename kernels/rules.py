"""Layers of one value tested rule by rule, and the pixel-dates that each rule loses.

CPU and GPU share the test of one rule and differ in their walk: a core takes a chunk of pixels
through one rule after another, which its vector units do 8 or 16 at a time (30 times as fast as
pixel by pixel, whose branches follow the data); a GPU thread takes a pixel through all rules.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from numba import cuda, int64

from .launch import CHUNK, Kernel, chunks, cpu_loop, device, gpu_grid, namespace
from .quality import swapped, swapped_word
from .tables import Bits

WORD, SHIFT, MASK, ACCEPTED = range(4)
"""Columns of a rule: which of the two words, the field's lowest bit, the bits of its values, and
the values it may hold as a set of bits: value v is accepted where bit v is set."""

VALUES = 32
"""Values that a set can tell apart; a field that holds a larger one is not accepted."""

LARGEST = np.uint32(VALUES - 1)

NO_FILL = -(1 << 31)
"""Stands for the fill of a word that has none: no word of 16 bits holds it."""

MOST_REASONS = 64
"""Reasons that a block of the GPU counts in its shared memory."""


def rule(word: int, bits: Bits, accepted: Collection[int]) -> tuple[int, int, int, int]:
    """The row that accepts these values in a field of word 0 or 1.

    >>> rule(1, (6, 7), {0, 1})
    (1, 6, 3, 3)
    """
    first, last = bits
    return word, first, (1 << (last - first + 1)) - 1, sum(1 << value for value in accepted)


@device
def holds(word: Any, rule: Any) -> Any:
    """1 where ``word``, uint32, holds an accepted value in the field of ``rule``, (4,), or else 0.

    >>> cloud = np.array([0, 0, 3, 0b1001], np.uint32)
    >>> [int(holds(np.uint32(value), cloud)) for value in range(4)]
    [1, 0, 0, 1]
    """
    value = np.uint32(np.uint32(word >> rule[SHIFT]) & rule[MASK])
    told_apart = np.uint32(value <= LARGEST)
    return np.uint32(np.uint32(rule[ACCEPTED] >> np.uint32(value & LARGEST)) & told_apart)


@device
def digits(word: Any) -> Any:
    """The bits of a signed or unsigned word of up to 32 bits, as uint32."""
    return np.uint32(np.int64(word) & 0xFFFFFFFF)


@device
def keep(alive: Any, word: Any, rule: Any) -> int:
    """Drop from ``alive``, (n,), the pixels whose ``word``, (n,), breaks ``rule``; the rest."""
    left = np.uint32(0)
    for x in range(alive.size):
        alive[x] = np.uint32(alive[x] & holds(word[x], rule))
        left = np.uint32(left + alive[x])
    return int(left)


@device
def count(alive: Any, word: Any, rule: Any) -> int:
    """How many of the pixels ``alive``, (n,), hold ``rule`` in their ``word``, (n,)."""
    left = np.uint32(0)
    for x in range(alive.size):
        left = np.uint32(left + np.uint32(alive[x] & holds(word[x], rule)))
    return int(left)


@device
def first_broken(a: Any, b: Any, rules: Any, last: int) -> int:
    """The index of the first of the rules before ``last`` that words ``a`` and ``b`` break."""
    for r in range(last):
        if holds(b if rules[r, WORD] == 1 else a, rules[r]) == 0:
            return r
    return last


@cpu_loop
def _layer_cpu(
    begin: int,
    end: int,
    stored: Any,
    gate: Any,
    first: Any,
    second: Any,
    fills: Any,
    rules: Any,
    ranges: Any,
    sums: Any,
    counts: Any,
    lost: Any,
) -> None:
    own = lost[begin // CHUNK]  # a row for each chunk: no two threads write the same one
    size = end - begin
    words = np.empty((2, size), np.uint32)
    alive = np.empty(size, np.uint32)
    gate_fill, a_fill, b_fill = np.int32(fills[0]), np.int32(fills[1]), np.int32(fills[2])
    lowest, highest = np.int32(ranges[0]), np.int32(ranges[1])
    low, high = np.int32(ranges[2]), np.int32(ranges[3])
    for t in range(stored.shape[0]):
        values, keys = stored[t, begin:end], gate[t, begin:end]
        a, b = first[t, begin:end], second[t, begin:end]
        left = np.uint32(0)
        for x in range(size):
            empty = (keys[x] == gate_fill) | (a[x] == a_fill) | (b[x] == b_fill)
            words[0, x], words[1, x] = digits(a[x]), digits(b[x])
            alive[x] = np.uint32(not empty)
            left = np.uint32(left + alive[x])
        own[0] += size - left
        for r in range(rules.shape[0]):
            before, left = left, keep(alive, words[rules[r, WORD]], rules[r])
            own[r + 1] += before - left
        used = np.uint32(0)
        total, seen = sums[begin:end], counts[begin:end]
        for x in range(size):
            key, value = np.int32(keys[x]), np.int32(values[x])
            inside = (lowest <= key) & (key <= highest) & (low <= value) & (value <= high)
            one = np.uint32(alive[x] & np.uint32(inside))
            total[x] += value if one != 0 else np.int32(0)
            seen[x] += np.uint8(one)
            used = np.uint32(used + one)
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
    fills: Any,
    rules: Any,
    ranges: Any,
    sums: Any,
    counts: Any,
) -> int:
    """Add date ``t`` of pixel ``n`` if it may be used, and say what forbade it.

    0 is fill, r + 1 rule r, then the range; one more says that the value was added.
    """
    value, key = int(stored[t, n]), int(gate[t, n])
    if key == fills[0] or int(first[t, n]) == fills[1] or int(second[t, n]) == fills[2]:
        return 0
    broken = first_broken(digits(first[t, n]), digits(second[t, n]), rules, rules.shape[0])
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
    fills: Any,
    rules: Any,
    ranges: Any,
    sums: Any,
    counts: Any,
    lost: Any,
) -> None:
    block = cuda.shared.array(MOST_REASONS, int64)
    for k in range(cuda.threadIdx.x, MOST_REASONS, cuda.blockDim.x):
        block[k] = 0
    cuda.syncthreads()
    for n in range(cuda.grid(1), stored.shape[1], cuda.gridsize(1)):
        for t in range(stored.shape[0]):
            reason = observe(t, n, stored, gate, first, second, fills, rules, ranges, sums, counts)
            cuda.atomic.add(block, reason, 1)
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, lost.shape[1], cuda.blockDim.x):
        cuda.atomic.add(lost, (0, k), block[k])


_layer = Kernel(_layer_cpu, _layer_gpu, lambda stored, *_: stored.shape[1])


def accumulate_layer(
    stored: Any,
    gate: Any,
    words: tuple[Any, Any],
    policy: tuple[tuple[int, int, int], Any, tuple[int, int, int, int]],
    sums: Any,
    counts: Any,
) -> list[int]:
    """Add the accepted values to ``sums``, (N,) int32, and ``counts``, (N,) uint8.

    ``stored``, (T, N), counts where ``gate``, (T, N), is usable too: the layer itself, or the
    layer on which it depends. ``words`` are two quality words of up to 16 bits, (T, N), perhaps
    the same one twice. ``policy`` is the fill of the gate and of each word; rules, (R, 4) uint32;
    the lowest and highest usable value of the gate, then of the layer.

    The answer counts the pixel-dates lost to fill, to each rule and to the range, the first that
    applies, and last those that were added.
    """
    fills, rules, ranges = policy
    home = namespace(stored)
    table = home.zeros((max(1, chunks(stored.shape[1])), rules.shape[0] + 3), np.int64)
    _layer(stored, gate, *words, fills, rules, ranges, sums, counts, table)
    found: list[int] = table.sum(axis=0).tolist()
    return found


@cpu_loop
def _census_cpu(
    begin: int,
    end: int,
    first: Any,
    second: Any,
    other: bool,
    fills: Any,
    rules: Any,
    whole: int,
    lost: Any,
) -> None:
    own = lost[begin // CHUNK]
    size = end - begin
    words = np.empty((2, size), np.uint32)
    alive = np.empty(size, np.uint32)
    for t in range(first.shape[0]):
        a, b = first[t, begin:end], second[t, begin:end]
        if other:
            for x in range(size):
                words[0, x], words[1, x] = swapped(a[x]), swapped_word(b[x])
        else:
            for x in range(size):
                words[0, x], words[1, x] = a[x], b[x]
        left = np.uint32(0)
        for x in range(size):
            alive[x] = np.uint32(words[0, x] != fills[0] and words[1, x] != fills[1])
            left = np.uint32(left + alive[x])
        own[0] += size - left
        for r in range(rules.shape[0]):
            word = words[rules[r, WORD]]
            if r < whole:
                before, left = left, keep(alive, word, rules[r])
                own[r + 1] += before - left
            else:
                own[r + 1] += left - count(alive, word, rules[r])


@gpu_grid
def _census_gpu(
    first: Any, second: Any, other: bool, fills: Any, rules: Any, whole: int, lost: Any
) -> None:
    block = cuda.shared.array(MOST_REASONS, int64)
    for k in range(cuda.threadIdx.x, MOST_REASONS, cuda.blockDim.x):
        block[k] = 0
    cuda.syncthreads()
    for n in range(cuda.grid(1), first.shape[1], cuda.gridsize(1)):
        for t in range(first.shape[0]):
            a, b = np.uint32(first[t, n]), np.uint32(second[t, n])
            if other:
                a, b = np.uint32(swapped(a)), swapped_word(b)
            if a == fills[0] or b == fills[1]:
                cuda.atomic.add(block, 0, 1)
                continue
            broken = first_broken(a, b, rules, whole)
            if broken < whole:
                cuda.atomic.add(block, broken + 1, 1)
                continue
            for r in range(whole, rules.shape[0]):
                if holds(b if rules[r, WORD] == 1 else a, rules[r]) == 0:
                    cuda.atomic.add(block, r + 1, 1)
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, lost.shape[1], cuda.blockDim.x):
        cuda.atomic.add(lost, (0, k), block[k])


_census = Kernel(_census_cpu, _census_gpu, lambda first, *_: first.shape[1])


def census(first: Any, second: Any, fills: tuple[int, int], rules: Any, whole: int) -> list[int]:
    """Count the pixel-dates of two words, (T, N) uint16 and uint32, that are lost, and to what.

    First to fill, then to each of the ``whole`` first rules, (R, 4) uint32, that a pixel-date
    breaks before any other; the rules after them are each counted among all that is left. Both
    words in this machine's byte order or both in the other.
    """
    other = not first.dtype.isnative
    if other:
        first, second = (word.view(f"u{word.dtype.itemsize}") for word in (first, second))
    table = namespace(first).zeros((max(1, chunks(first.shape[1])), rules.shape[0] + 1), np.int64)
    _census(first, second, other, (np.uint32(fills[0]), np.uint32(fills[1])), rules, whole, table)
    found: list[int] = table.sum(axis=0).tolist()
    return found
