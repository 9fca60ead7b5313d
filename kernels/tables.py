"""A policy for the quality bits of seven bands, as small tables: one bit for each value."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

Bits = tuple[int, int]
"""First and last bit of a field, inclusive, the least significant being 0."""

BANDS = 7
"""Bands of a MODIS surface reflectance product. Source: MOD09 user guide."""

STATE_GROUPS = ((0, 2), (3, 5), (6, 10), (11, 15))
"""First and last bit of the parts of the state word that one table of 32 bits covers.

No field of the word crosses their edges: four lookups test all eleven fields.
"""

QC_ENDS = ((0, 1), (30, 31))
"""Bits of the qc word that speak of the whole pixel; its lookup reads them as ``30 31 0 1``,
bits 30 and 31 lowest."""

QC_BANDS = tuple((2 + 4 * band, 5 + 4 * band) for band in range(BANDS))
"""First and last bit of each band's nibble of the qc word."""

EVERY = 16
"""A nibble's table holds the values accepted for its own band in its lower 16 bits, and in its
upper 16 the values that let the pixel live: unless all seven do, every band is dropped."""

LANE = 0xFFFF
"""Largest sum of four values in a lane of 16 bits."""


@dataclass(frozen=True)
class Tables:
    """A policy for seven bands, as the kernel reads it."""

    words: tuple[np.uint32, ...]
    """Accepted values, a bit each: the state's four groups, the ends of qc, the seven nibbles."""

    fills: tuple[np.uint32, np.uint32]
    """State and qc words that mean that nothing was observed."""

    valid: tuple[int, int]
    """Lowest and highest usable stored value."""

    @classmethod
    def of(
        cls,
        state: Mapping[Bits, Collection[int]],
        qc: Mapping[Bits, Collection[int]],
        every: Collection[int] | None,
        fills: tuple[int, int],
        valid: tuple[int, int],
    ) -> Self:
        """The tables of accepted values by field; a field that is absent accepts all.

        ``every`` is the set of nibbles that all seven bands must hold, or None. Raises ValueError
        where the valid range is too wide for four values to add up in 16 bits.
        """
        low, high = valid
        if not 0 <= 4 * (high - low) <= LANE:
            raise ValueError(
                f"expected a valid range of at most {LANE // 4} steps, found {low} to {high}: "
                "four dates are added in 16 bits"
            )
        nibbles = [_set(4, (0, 3), qc.get(bits)) for bits in QC_BANDS]
        living = _set(4, (0, 3), every) << EVERY
        words = [_group(group, state) for group in STATE_GROUPS]
        words += [_ends(qc), *(nibble | living for nibble in nibbles)]
        return cls(
            tuple(np.uint32(word) for word in words),
            (np.uint32(fills[0]), np.uint32(fills[1])),
            valid,
        )


def _group(group: Bits, fields: Mapping[Bits, Collection[int]]) -> int:
    """The values of a group of bits whose every field is accepted, a bit each."""
    first, last = group
    table = _set(last - first + 1, (0, 0), None)
    for (start, end), accepted in fields.items():
        if first <= start and end <= last:
            table &= _set(last - first + 1, (start - first, end - first), accepted)
    return table


def _ends(fields: Mapping[Bits, Collection[int]]) -> int:
    """The accepted values of qc's bits 30, 31, 0 and 1, read in this order, a bit each."""
    places = {(30, 30): (0, 0), (31, 31): (1, 1), (0, 1): (2, 3)}
    table = _set(4, (0, 0), None)
    for bits, place in places.items():
        table &= _set(4, place, fields.get(bits))
    return table


def _set(width: int, field: Bits, accepted: Collection[int] | None) -> int:
    """The values of ``width`` bits whose ``field`` holds an accepted value, a bit each.

    >>> bin(_set(2, (1, 1), {1}))
    '0b1100'
    """
    first, last = field
    mask = (1 << (last - first + 1)) - 1
    return sum(
        1 << value
        for value in range(1 << width)
        if accepted is None or (value >> first) & mask in accepted
    )
