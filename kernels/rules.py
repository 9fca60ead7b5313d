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

LARGEST = np.uint32(31)
"""Largest value that a set of 32 bits tells apart; in a wider field, all above are taken for it."""

ONE = np.uint32(1)

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
