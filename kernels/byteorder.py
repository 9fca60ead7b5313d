# SPDX-License-Identifier: Apache-2.0
"""Stored values whose bytes may stand the other way round, as HDF4 keeps them."""

from typing import Any

import numpy as np

from .launch import device

EIGHT, TWENTY_FOUR = np.uint32(8), np.uint32(24)
LOWER_HALF, SECOND_BYTE, THIRD_BYTE = np.uint32(0xFFFF), np.uint32(0xFF00), np.uint32(0xFF0000)


@device
def unswapped(value: Any) -> Any:
    """A value in this machine's own order."""
    return value


@device
def swapped(value: Any) -> Any:
    """The 16 bits of ``value`` with their two bytes exchanged.

    >>> hex(swapped(np.uint16(0x1234)))
    '0x3412'
    """
    word = np.uint32(value)
    return np.uint16(np.uint32(np.uint32(word << EIGHT) | np.uint32(word >> EIGHT)) & LOWER_HALF)


@device
def swapped_word(value: Any) -> Any:
    """The 32 bits of ``value`` with their four bytes in the other order.

    >>> hex(swapped_word(np.uint32(0x12345678)))
    '0x78563412'
    """
    word = np.uint32(value)
    ends = np.uint32(np.uint32(word << TWENTY_FOUR) | np.uint32(word >> TWENTY_FOUR))
    lower = np.uint32(np.uint32(word << EIGHT) & THIRD_BYTE)
    return np.uint32(ends | np.uint32(lower | np.uint32(np.uint32(word >> EIGHT) & SECOND_BYTE)))
