# SPDX-License-Identifier: Apache-2.0
"""Quality words tested rule by rule, and the pixel-dates that each rule loses.

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

LARGEST = np.uint32(31)
"""Largest value that a set of 32 bits tells apart; in a wider field, all above are taken for it."""

ONE = np.uint32(1)

MOST_REASONS = 64
"""Reasons that a block of the GPU counts in its shared memory."""


def rule(word: int, bits: Bits, accepted: Collection[int]) -> tuple[int, int, int, int]:
    """The row that accepts these values in a field of word 0 or 1.

    Raises ValueError for a value that a set of 32 bits cannot tell from others.

    >>> rule(1, (6, 7), {0, 1})
    (1, 6, 3, 3)
    """
    first, last = bits
    apart = 1 << (last - first + 1) if last - first < 5 else int(LARGEST)
    if not all(0 <= value < apart for value in accepted):
        raise ValueError(f"expected values of 0 to {apart - 1}, found {sorted(accepted)}")
    return word, first, (1 << (last - first + 1)) - 1, sum(1 << value for value in accepted)


@device
def holds(word: Any, shift: Any, mask: Any, accepted: Any) -> Any:
    """1 where ``word`` holds an accepted value in the field of a rule, or else 0; all are uint32.

    >>> cloud = np.array([0, 3, 0b1001], np.uint32)
    >>> [int(holds(np.uint32(value), *cloud)) for value in range(4)]
    [1, 0, 0, 1]
    """
    value = np.uint32(np.uint32(word >> shift) & mask)
    return np.uint32(np.uint32(accepted >> np.uint32(min(value, LARGEST))) & ONE)


@device
def digits(word: Any) -> Any:
    """The bits of a signed or unsigned word of up to 32 bits, as uint32."""
    return np.uint32(np.int64(word) & 0xFFFFFFFF)


@device
def keep(alive: Any, word: Any, rule: Any) -> int:
    """Drop from ``alive``, (n,), the pixels whose ``word``, (n,), breaks ``rule``; the rest."""
    shift, mask, accepted = rule[SHIFT], rule[MASK], rule[ACCEPTED]  # once, not for every pixel
    left = np.uint32(0)
    for x in range(alive.size):
        alive[x] = np.uint32(alive[x] & holds(word[x], shift, mask, accepted))
        left = np.uint32(left + alive[x])
    return int(left)


@device
def count(alive: Any, word: Any, rule: Any) -> int:
    """How many of the pixels ``alive``, (n,), hold ``rule`` in their ``word``, (n,)."""
    shift, mask, accepted = rule[SHIFT], rule[MASK], rule[ACCEPTED]
    left = np.uint32(0)
    for x in range(alive.size):
        left = np.uint32(left + np.uint32(alive[x] & holds(word[x], shift, mask, accepted)))
    return int(left)


@device
def first_broken(a: Any, b: Any, rules: Any, last: int) -> int:
    """The index of the first of the rules before ``last`` that words ``a`` and ``b`` break."""
    for r in range(last):
        word = b if rules[r, WORD] == 1 else a
        if holds(word, rules[r, SHIFT], rules[r, MASK], rules[r, ACCEPTED]) == 0:
            return r
    return last


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
                word = b if rules[r, WORD] == 1 else a
                if holds(word, rules[r, SHIFT], rules[r, MASK], rules[r, ACCEPTED]) == 0:
                    cuda.atomic.add(block, r + 1, 1)
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, lost.shape[1], cuda.blockDim.x):
        cuda.atomic.add(lost, (0, k), block[k])


_census = Kernel(_census_cpu, _census_gpu, lambda first, *_: first.shape[1])


def census(
    words: tuple[Any, Any],
    fills: tuple[int, int],
    rules: Any,
    whole: int,
    other_order: bool = False,
) -> Any:
    """Count the pixel-dates of two words, (T, N) uint16 and uint32, that are lost, and to what.

    First to fill, then to each of the ``whole`` first rules, (R, 4) uint32, that a pixel-date
    breaks before any other; the rules after them are each counted among all that is left. With
    ``other_order`` the bytes of both words stand the other way round. The answer, (R + 1,) int64,
    stays where the words are: to fetch it from a GPU is to wait for the GPU.
    """
    first, second = words
    empties = np.uint32(fills[0]), np.uint32(fills[1])
    table = namespace(first).zeros((max(1, chunks(first.shape[1])), rules.shape[0] + 1), np.int64)
    _census(first, second, other_order, empties, rules, whole, table)
    return table.sum(axis=0)
