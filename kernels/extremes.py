# SPDX-License-Identifier: Apache-2.0
"""Lowest and highest value, and the first pixel that has it, as one integer to compare."""

from typing import Any

import numpy as np

from .launch import device

SIDES = ("min", "max")

NOTHING = np.int64(2**63 - 1)
"""The key of no pixel: later than any other."""

ZERO = np.float32(0)


@device
def ordered(value: Any) -> Any:
    """The bits of a float32 as an int64 that grows with it; both zeros are one.

    >>> [int(ordered(np.float32(v))) for v in (-1e-45, -0.0, 0.0, 1e-45)]
    [-2, 0, 0, 1]
    """
    bits = np.int64(np.float32(value + ZERO).view(np.int32))
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@device
def lowest_key(value: Any, n: int) -> Any:
    """A number, int64, least for the lowest value and, among equals, the first pixel ``n``."""
    return (ordered(value) << 32) | n


@device
def highest_key(value: Any, n: int) -> Any:
    """A number, int64, least for the highest value and, among equals, the first pixel ``n``."""
    return (~ordered(value) << 32) | n


def pixels(keys: Any) -> list[int | None]:
    """The pixel of each key, None where there was none.

    >>> pixels(np.array([lowest_key(np.float32(-3), 7), NOTHING]))
    [7, None]
    """
    return [None if key == NOTHING else key & 0xFFFFFFFF for key in keys.tolist()]
