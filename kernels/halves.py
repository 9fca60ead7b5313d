# SPDX-License-Identifier: Apache-2.0
"""Quality words of seven bands judged rule by rule, a chunk of pixels at a time, in 16-bit lanes.

What a core's vector units like: 16 or 32 pixels in a step, the same steps whatever the data, and
the pixels that a rule loses counted on the way.
"""

from typing import Any

import numpy as np

from .launch import device
from .rules import SHIFT, WORD, keep, lane_holds
from .tables import BANDS, OWN

TWO, SIXTEEN, THIRTY = np.uint32(2), np.uint32(16), np.uint32(30)
LOWER_HALF, FIFTEEN = np.uint32(0xFFFF), np.uint16(15)
S1, S2, S3, S4, S5, S6 = (np.uint16(places) for places in range(1, 7))


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
def nibble_holds(alive: Any, half: Any, shift: int, accepted: Any) -> Any:
    """``alive``, 1 or 0, where the nibble at a constant ``shift`` is accepted, or else 0."""
    return np.uint16(alive & lane_holds(half, np.uint16(shift), FIFTEEN, accepted))


@device
def own_set(table: Any) -> Any:
    """The values that a nibble's table accepts for its own band.

    >>> hex(own_set(np.uint32(0xFFFF0003)))
    '0x3'
    """
    return np.uint16(table & LOWER_HALF)


@device
def keep_bands(alive: Any, lower: Any, upper: Any, tables: Any, bands: Any) -> Any:
    """Write which bands of each living pixel their own nibbles let pass; how many, of each band.

    Bit 0 of ``bands``, (n,), is red. All seven at once, for every policy: ``bands`` is written
    once, and a band without a rule accepts all.
    """
    n1, n2, n3 = own_set(tables[OWN]), own_set(tables[OWN + 1]), own_set(tables[OWN + 2])
    n4, n5, n6 = own_set(tables[OWN + 3]), own_set(tables[OWN + 4]), own_set(tables[OWN + 5])
    n7 = own_set(tables[OWN + 6])
    c1 = c2 = c3 = c4 = c5 = c6 = c7 = np.uint16(0)
    for x in range(alive.size):
        one, low, high = alive[x], lower[x], upper[x]
        g1, g2 = nibble_holds(one, low, 0, n1), nibble_holds(one, low, 4, n2)
        g3, g4 = nibble_holds(one, low, 8, n3), nibble_holds(one, low, 12, n4)
        g5, g6 = nibble_holds(one, high, 0, n5), nibble_holds(one, high, 4, n6)
        g7 = nibble_holds(one, high, 8, n7)
        c1, c2, c3 = np.uint16(c1 + g1), np.uint16(c2 + g2), np.uint16(c3 + g3)
        c4, c5, c6 = np.uint16(c4 + g4), np.uint16(c5 + g5), np.uint16(c6 + g6)
        c7 = np.uint16(c7 + g7)
        first = np.uint16(np.uint16(g1 | np.uint16(g2 << S1)) | np.uint16(g3 << S2))
        second = np.uint16(np.uint16(g4 << S3) | np.uint16(g5 << S4))
        third = np.uint16(np.uint16(g6 << S5) | np.uint16(g7 << S6))
        bands[x] = np.uint16(np.uint16(first | second) | third)
    return c1, c2, c3, c4, c5, c6, c7


@device
def judge(parts: Any, alive: Any, tables: Any, rules: Any, bands: Any, lost: Any) -> None:
    """Write the usable bands of n pixels of a date into ``bands``, and count what was lost.

    ``parts``, (3, n), are their words in halves, and ``alive``, (n,), is 1 unless they are fill.
    ``lost`` counts on: fill, every rule, and every band's own nibble among what is left; then,
    in its last seven, what each band's nibble let pass, from which the adding takes what it used.
    """
    left = np.uint16(0)
    for x in range(alive.size):
        left = np.uint16(left + alive[x])
    lost[0] += alive.size - left
    for r in range(rules.shape[0]):
        which, bit = half_of(rules[r, WORD], rules[r, SHIFT])
        still = keep(alive, parts[which], bit, rules[r])
        lost[r + 1] += left - still
        left = still
    passed = keep_bands(alive, parts[1], parts[2], tables, bands)
    own = rules.shape[0] + 1
    for b in range(BANDS):
        lost[own + b] += left - passed[b]
        lost[own + BANDS + b] += passed[b]
