# SPDX-License-Identifier: Apache-2.0
"""A policy for the quality bits of seven bands, as small tables: one bit for each value."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from .rules import SET, Bits, rule

Fields = Mapping[Bits, Collection[int]]
"""Accepted values by field; a field that is absent may hold any."""

BANDS = 7
"""Bands of a MODIS surface reflectance product. Source: MOD09 user guide."""

STATE_GROUPS = ((0, 2), (3, 5), (6, 10), (11, 15))
"""First and last bit of the parts of the state word that one table of 32 bits covers.

No field of the word crosses their edges: four lookups test all eleven fields.
"""

QC_ENDS = {(30, 30): (0, 0), (31, 31): (1, 1), (0, 1): (2, 3)}
"""Fields of the qc word that speak of the whole pixel, and their place in one lookup, which reads
the bits 30, 31, 0 and 1 as a number of four bits."""

QC_BANDS = tuple((2 + 4 * band, 5 + 4 * band) for band in range(BANDS))
"""First and last bit of each band's nibble of the qc word."""

OWN = 5
"""Place of the first nibble's table, after those of the state's four groups and of the ends."""

EVERY = 16
"""A nibble's table holds the values accepted for its own band in its lower 16 bits, and in its
upper 16 the values that let the pixel live: unless all seven do, every band is dropped."""

LANE = 0xFFFF
"""Largest sum of four values in a lane of 16 bits."""


@dataclass(frozen=True)
class Tables:
    """A policy for seven bands, as the kernel reads it: as tables, and again rule by rule."""

    words: tuple[np.uint32, ...]
    """Accepted values, a bit each: the state's four groups, the ends of qc, the seven nibbles."""

    fills: tuple[np.uint32, np.uint32]
    """State and qc words that mean that nothing was observed."""

    valid: tuple[int, int]
    """Lowest and highest usable stored value."""

    rules: NDArray[np.uint32]
    """What drops all bands of a pixel, (R, 4): fields of state and then of qc in the order of
    their bits, then seven nibbles if all must be accepted. It says why the tables drop it."""

    @property
    def reasons(self) -> int:
        """Fill, the rules, each band's own nibble, each band's range."""
        return 1 + len(self.rules) + 2 * BANDS

    @classmethod
    def of(
        cls,
        state: Fields,
        qc: Fields,
        every: Collection[int] | None,
        fills: tuple[int, int],
        valid: tuple[int, int],
    ) -> Self:
        """The tables of accepted values in the fields of state and qc.

        ``every`` is the set of nibbles that all seven bands must hold, or None. Raises ValueError
        for bits that are no field or too many for one, and where the valid range is too wide for
        four values to add up in 16 bits.
        """
        low, high = valid
        if not 0 <= 4 * (high - low) <= LANE:
            raise ValueError(
                f"expected a valid range of at most {LANE // 4} steps, found {low} to {high}: "
                "four dates are added in 16 bits"
            )
        groups = [_inside(group, state) for group in STATE_GROUPS]
        if sum(map(len, groups)) < len(state) or not set(qc) <= {*QC_ENDS, *QC_BANDS}:
            raise ValueError(f"expected fields of state and qc, found {[*state]} and {[*qc]}")
        if any(2 << (last - first) > SET for first, last in state):
            raise ValueError(f"expected fields of up to {SET} values, found {[*state]}")
        ends = {place: qc[bits] for bits, place in QC_ENDS.items() if bits in qc}
        nibbles = [{(0, 3): qc[bits]} if bits in qc else {} for bits in QC_BANDS]
        living = _passing(4, {} if every is None else {(0, 3): every})
        words = [_passing(5, group) for group in groups] + [_passing(4, ends)]
        words += [_passing(4, nibble) | living << EVERY for nibble in nibbles]
        rules = [rule(0, bits, state[bits]) for bits in sorted(state)]
        rules += [rule(1, bits, qc[bits]) for bits in sorted(set(qc) & set(QC_ENDS))]
        rules += [rule(1, nibble, every) for nibble in QC_BANDS] if every is not None else []
        return cls(
            tuple(np.uint32(word) for word in words),
            (np.uint32(fills[0]), np.uint32(fills[1])),
            valid,
            np.array(rules, np.uint32).reshape(-1, 4),
        )


def _inside(group: Bits, fields: Fields) -> Fields:
    """The fields in a group of bits, their bits counted from the group's first.

    >>> _inside((6, 10), {(2, 2): {0}, (8, 9): {0, 1}})
    {(2, 3): {0, 1}}
    """
    first, last = group
    return {
        (start - first, end - first): accepted
        for (start, end), accepted in fields.items()
        if first <= start and end <= last
    }


def _passing(width: int, fields: Fields) -> int:
    """The numbers of ``width`` bits that hold accepted values in all fields, a bit each.

    >>> bin(_passing(2, {(1, 1): {1}}))
    '0b1100'
    """
    return sum(
        1 << number
        for number in range(1 << width)
        if all(
            (number >> first) & ((1 << (last - first + 1)) - 1) in accepted
            for (first, last), accepted in fields.items()
        )
    )
