# SPDX-License-Identifier: Apache-2.0
"""Quality words tested rule by rule.

CPU and GPU differ in their walk: a core takes a chunk of pixels through one rule after another,
which its vector units do 8 to 32 at a time (30 times as fast as pixel by pixel, whose branches
follow the data); a GPU thread takes a pixel through all rules.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from .launch import device

Bits = tuple[int, int]
"""First and last bit of a field, inclusive, the least significant being 0."""

WORD, SHIFT, MASK, ACCEPTED = range(4)
"""Columns of a rule: which of the two words, the field's lowest bit, the bits of its values, and
the values it may hold as a set of bits: value v is accepted where bit v is set."""

LARGEST = 15
"""Largest value that a set of 16 bits tells apart; in a wider field, all above are taken for it."""

SET = LARGEST + 1
"""Bits of a set."""

ONE, TOP, TOP_LANE = np.uint32(1), np.uint32(LARGEST), np.uint16(LARGEST)

MOST_REASONS = 64
"""Reasons that a block of the GPU counts in its shared memory."""

LANES = 32
"""Counters of a reason there, one for each thread of a warp and so each in a bank of its own: a
cloud is wide, and threads that added to the same counter would queue."""


def rule(word: int, bits: Bits, accepted: Collection[int]) -> tuple[int, int, int, int]:
    """The row that accepts these values in a field of word 0 or 1.

    Raises ValueError for a value that a set of 16 bits cannot tell from others.

    >>> rule(1, (6, 7), {0, 1})
    (1, 6, 3, 3)
    """
    first, last = bits
    apart = 1 << (last - first + 1) if last - first < 4 else LARGEST
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
    return np.uint32(np.uint32(accepted >> np.uint32(min(value, TOP))) & ONE)


@device
def digits(word: Any) -> Any:
    """The bits of a signed or unsigned word of up to 32 bits, as uint32."""
    return np.uint32(np.int64(word) & 0xFFFFFFFF)


@device
def lane_holds(lane: Any, shift: Any, mask: Any, accepted: Any) -> Any:
    """``holds`` in 16 bits, of which a vector unit takes twice as many; only the lowest bit counts.

    >>> [int(lane_holds(*np.array([n, 2, 3, 0b1000], np.uint16))) & 1 for n in (0b1100, 0b1000)]
    [1, 0]
    """
    # Shifts that are seen to be below 16 stay in lanes of 16 bits: more than twice as fast.
    value = np.uint16(np.uint16(lane >> np.uint16(shift & TOP_LANE)) & mask)
    return np.uint16(accepted >> np.uint16(min(value, TOP_LANE)))


@device
def keep(alive: Any, lanes: Any, bit: int, rule: Any) -> Any:
    """Drop from ``alive``, (n,), the pixels whose field at ``bit`` breaks ``rule``; the rest.

    ``lanes``, (n,) uint16, hold the field; n is a chunk, of which 16 bits count the pixels.
    """
    shift, mask, accepted = np.uint16(bit), np.uint16(rule[MASK]), np.uint16(rule[ACCEPTED])
    left = np.uint16(0)
    for x in range(alive.size):
        alive[x] = np.uint16(alive[x] & lane_holds(lanes[x], shift, mask, accepted))
        left = np.uint16(left + alive[x])
    return left


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
def first_broken(a: Any, b: Any, rules: Any) -> int:
    """The index of the first of the rules, (R, 4), that words ``a`` and ``b`` break; R of none."""
    for r in range(rules.shape[0]):
        word = b if rules[r, WORD] == 1 else a
        if holds(word, rules[r, SHIFT], rules[r, MASK], rules[r, ACCEPTED]) == 0:
            return r
    return int(rules.shape[0])


def require_room(reasons: int) -> None:
    """Raises ValueError for more reasons than a block of the GPU has counters for.

    >>> require_room(64)
    """
    if reasons > MOST_REASONS:
        raise ValueError(f"expected at most {MOST_REASONS} reasons, found {reasons}")
