# SPDX-License-Identifier: Apache-2.0
"""Quality words tested rule by rule, and the pixel-dates that each rule loses.

CPU and GPU differ in their walk: a core takes a chunk of pixels through one rule after another,
which its vector units do 8 to 32 at a time (30 times as fast as pixel by pixel, whose branches
follow the data); a GPU thread takes a pixel through all rules.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
from numba import cuda, int32
from numpy.typing import NDArray

from .launch import CHUNK, Kernel, chunks, cpu_loop, device, gpu_grid, namespace
from .quality import swapped, swapped_word
from .tables import Bits

WORD, SHIFT, MASK, ACCEPTED = range(4)
"""Columns of a rule: which of the two words, the field's lowest bit, the bits of its values, and
the values it may hold as a set of bits: value v is accepted where bit v is set."""

LARGEST = np.uint32(31)
"""Largest value that a set of 32 bits tells apart; in a wider field, all above are taken for it."""

ONE, TWO, SIXTEEN, THIRTY = (np.uint32(n) for n in (1, 2, 16, 30))
LOWER_HALF, FIFTEEN = np.uint32(0xFFFF), np.uint16(15)

MOST_REASONS = 64
"""Reasons that a block of the GPU counts in its shared memory."""

LANES = 32
"""Counters of a reason there, one for each thread of a warp and so each in a bank of its own: a
cloud is wide, and threads that added to the same counter would queue."""


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
def halves(state: Any, qc: Any) -> Any:
    """A word of 16 bits and one of 32 as three of 16, in which a vector unit takes twice as many.

    The longer one is turned by two bits, which the nibbles of a qc word are off, so that none of
    its fields is cut: ``half_of`` says where each is.

    >>> [hex(half) for half in halves(np.uint16(0x1234), np.uint32(0x2AAAAAA7))]
    ['0x1234', '0xaaa9', '0xcaaa']
    """
    turned = np.uint32(np.uint32(qc >> TWO) | np.uint32(qc << THIRTY))
    return np.uint16(state), np.uint16(turned & LOWER_HALF), np.uint16(turned >> SIXTEEN)


@device
def half_of(word: int, bit: int) -> Any:
    """The half that holds bit ``bit`` of word 0 or 1, and the bit that it is there.

    >>> half_of(0, 13), half_of(1, 2), half_of(1, 18), half_of(1, 0)
    ((0, 13), (1, 0), (2, 0), (2, 14))
    """
    if word == 0:
        return 0, bit
    turned = (bit + 30) % 32
    return 1 + turned // 16, turned % 16


@device
def half_holds(half: Any, shift: Any, mask: Any, accepted: Any) -> Any:
    """``holds`` of a field of up to four bits in 16 bits; in the lowest bit, others mean nothing.

    >>> int(half_holds(*np.array([0b1100, 2, 3, 0b1000], np.uint16))) & 1
    1
    """
    # Shifts that are seen to be below 16 stay in lanes of 16 bits: more than twice as fast.
    value = np.uint16(np.uint16(half >> np.uint16(shift & FIFTEEN)) & mask)
    return np.uint16(accepted >> np.uint16(value & FIFTEEN))


@device
def added_up(counters: Any) -> int:
    """The sum of a reason's counters, (LANES,).

    >>> added_up(np.arange(32, dtype=np.int32))
    496
    """
    total = 0
    for lane in range(LANES):
        total += int(counters[lane])
    return total


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
    parts = np.empty((3, size), np.uint16)
    alive = np.empty(size, np.uint16)
    p0, p1, p2 = parts[0], parts[1], parts[2]
    for t in range(first.shape[0]):
        a, b = first[t, begin:end], second[t, begin:end]
        if other:
            for x in range(size):
                s, q = swapped(a[x]), swapped_word(b[x])
                p0[x], p1[x], p2[x] = halves(s, q)
                alive[x] = np.uint16(s != fills[0] and q != fills[1])
        else:
            for x in range(size):
                p0[x], p1[x], p2[x] = halves(a[x], b[x])
                alive[x] = np.uint16(a[x] != fills[0] and b[x] != fills[1])
        left = np.uint16(0)  # a chunk has fewer pixels than 16 bits count
        for x in range(size):
            left = np.uint16(left + alive[x])
        own[0] += size - left
        for r in range(rules.shape[0]):
            which, bit = half_of(rules[r, WORD], rules[r, SHIFT])
            part, shift = parts[which], np.uint16(bit)
            mask, accepted = np.uint16(rules[r, MASK]), np.uint16(rules[r, ACCEPTED])
            still = np.uint16(0)
            if r < whole:
                for x in range(size):
                    alive[x] = np.uint16(alive[x] & half_holds(part[x], shift, mask, accepted))
                    still = np.uint16(still + alive[x])
                own[r + 1] += left - still
                left = still
            else:
                for x in range(size):
                    good = np.uint16(alive[x] & half_holds(part[x], shift, mask, accepted))
                    still = np.uint16(still + good)
                own[r + 1] += left - still


@gpu_grid
def _census_gpu(
    first: Any, second: Any, other: bool, fills: Any, rules: Any, whole: int, lost: Any
) -> None:
    block = cuda.shared.array((MOST_REASONS, LANES), int32)
    lane = cuda.threadIdx.x % LANES
    for k in range(cuda.threadIdx.x, MOST_REASONS * LANES, cuda.blockDim.x):
        block[k // LANES, k % LANES] = 0
    cuda.syncthreads()
    for n in range(cuda.grid(1), first.shape[1], cuda.gridsize(1)):
        for t in range(first.shape[0]):
            a, b = np.uint32(first[t, n]), np.uint32(second[t, n])
            if other:
                a, b = np.uint32(swapped(a)), swapped_word(b)
            if a == fills[0] or b == fills[1]:
                cuda.atomic.add(block, (0, lane), 1)
                continue
            broken = first_broken(a, b, rules, whole)
            if broken < whole:
                cuda.atomic.add(block, (broken + 1, lane), 1)
                continue
            for r in range(whole, rules.shape[0]):
                word = b if rules[r, WORD] == 1 else a
                if holds(word, rules[r, SHIFT], rules[r, MASK], rules[r, ACCEPTED]) == 0:
                    cuda.atomic.add(block, (r + 1, lane), 1)
    cuda.syncthreads()
    for k in range(cuda.threadIdx.x, lost.shape[1], cuda.blockDim.x):
        cuda.atomic.add(lost, (0, k), added_up(block[k]))


_census = Kernel(_census_cpu, _census_gpu, lambda first, *_: first.shape[1])


def require_room(reasons: int) -> None:
    """Raises ValueError for more reasons than a block of the GPU has counters for.

    >>> require_room(64)
    """
    if reasons > MOST_REASONS:
        raise ValueError(f"expected at most {MOST_REASONS} reasons, found {reasons}")


def census(
    words: tuple[Any, Any],
    fills: tuple[int, int],
    rules: NDArray[np.uint32],
    whole: int,
    other_order: bool = False,
) -> Any:
    """Count the pixel-dates of two words, (T, N) uint16 and uint32, that are lost, and to what.

    First to fill, then to each of the ``whole`` first rules, (R, 4), that a pixel-date breaks
    before any other; the rules after them are each counted among all that is left. With
    ``other_order`` the bytes of both words stand the other way round. The answer, (R + 1,) int64,
    stays where the words are: to fetch it from a GPU is to wait for the GPU. Raises ValueError
    for a field of more than four bits, or one that ``halves`` cut, and for more than 63 rules.
    """
    require_room(rules.shape[0] + 1)
    first, second = words
    for word, shift, mask, _ in rules.tolist():
        if mask > FIFTEEN or half_of(word, shift)[1] + mask.bit_length() > 16:
            raise ValueError(
                f"expected a field of up to four bits within one half, found bits {shift} to "
                f"{shift + mask.bit_length() - 1} of word {word}"
            )
    home = namespace(first)
    empties = np.uint32(fills[0]), np.uint32(fills[1])
    table = home.zeros((max(1, chunks(first.shape[1])), rules.shape[0] + 1), np.int64)
    _census(first, second, other_order, empties, home.asarray(rules), whole, table)
    return table.sum(axis=0)
