# SPDX-License-Identifier: Apache-2.0
"""Straight lines from one point over the pixels of a raster, exact in integers.

Places are in half pixels from the raster's upper left corner: borders of pixels are even, centres
odd. Lines from a root are sorted into four quarters - down, up, right and left, 45 degrees to
either side - and each is looked at as if it led down: ``frame`` and ``turned`` turn it. A direction
is then (ahead, aside), whole numbers with ahead > 0, and of two directions one is further left.
"""

from typing import Any

import numpy as np

from .launch import device

PIXEL, CORNER = 0, 1
"""Kinds of points that a way can touch: centres of pixels, and corners of barriers."""

PINCH = 5
"""At a corner: two barriers touch there, and no line may slip between them."""

QUARTERS = 4


@device
def turned(quarter: int, y: int, x: int) -> tuple[int, int]:
    """A direction, (down, right), as seen by a quarter: (ahead, aside).

    >>> [turned(quarter, 2, 1) for quarter in range(QUARTERS)]
    [(2, 1), (-2, 1), (1, 2), (-1, 2)]
    """
    if quarter < 2:
        return (y if quarter == 0 else -y), x
    return (x if quarter == 2 else -x), y


@device
def placed(quarter: int, y: int, x: int, height: int, width: int) -> tuple[int, int]:
    """A place, as seen by a quarter on a raster of ``height`` x ``width`` pixels.

    >>> [placed(quarter, 2, 1, 3, 3) for quarter in range(QUARTERS)]
    [(2, 1), (4, 1), (1, 2), (5, 2)]
    """
    if quarter < 2:
        return (y if quarter == 0 else 2 * height - y), x
    return (x if quarter == 2 else 2 * width - x), y


@device
def frame(quarter: int, height: int, width: int) -> tuple[int, int, int, int, int]:
    """The raster, as seen by a quarter: rows, columns, first pixel, step ahead, step aside.

    Steps are between pixels in arrays of (height + 1) * (width + 1), which hold corners, too; the
    corner that comes first is a step ahead of the first pixel where that is backwards.
    """
    line = width + 1
    if quarter == 0:
        return height, width, 0, line, 1
    if quarter == 1:
        return height, width, (height - 1) * line, -line, 1
    if quarter == 2:
        return width, height, 0, 1, line
    return width, height, width - 1, -1, line


@device
def rightness(first: Any, second: Any) -> int:
    """Positive where the second direction is to the right of the first; 0 for the same.

    >>> rightness((2, -1), (1, 0)), rightness((1, 1), (2, 1)), rightness((1, 1), (2, 2))
    (1, -1, 0)
    """
    return int(first[0] * second[1] - first[1] * second[0])


@device
def floored(a: int, b: int) -> int:
    """``a // b`` where that is within 2**17: a tenth of what dividing 64 bits takes.

    A float's quotient is off by one at most, before and after the cut.

    >>> [floored(a, 3) for a in (-7, -6, -1, 0, 5, 6)]
    [-3, -2, -1, 0, 1, 2]
    """
    near = np.float32(a) / np.float32(b)
    whole = np.int64(near) - (1 if near < 0 else 0)
    rest = a - whole * b
    return int(whole - (1 if rest < 0 else 0) + (1 if rest >= b else 0))


@device
def first_after(root: int, direction: Any, ahead: int, odd: int) -> int:
    """The first border (``odd`` = 0) or centre (1) that is not left of a line, as its pixel.

    The line leaves ``root``, a place along the row, and has come ``ahead`` half pixels.

    >>> first_after(1, (2, 1), 2, 0), first_after(1, (2, 1), 2, 1), first_after(1, (2, 1), 4, 1)
    (1, 1, 1)
    """
    forward, aside = direction
    return -floored(odd * forward - root * forward - aside * ahead, 2 * forward)


@device
def last_before(root: int, direction: Any, ahead: int, odd: int) -> int:
    """The last border or centre that is not right of a line; as ``first_after``.

    >>> last_before(1, (2, 1), 2, 0), last_before(1, (2, 1), 2, 1), last_before(1, (2, 1), 4, 1)
    (1, 0, 1)
    """
    forward, aside = direction
    return floored(root * forward + aside * ahead - odd * forward, 2 * forward)


@device
def within(direction: Any) -> bool:
    """Whether a direction, (ahead, aside), is in its quarter."""
    return bool(-direction[0] <= direction[1] <= direction[0] and direction[0] > 0)


@device
def common(first: Any, second: Any) -> tuple[bool, Any, Any]:
    """What a fan of at most 90 degrees between two directions has in common with a quarter.

    Whether there is anything, its left limit and its right one.

    >>> common((0, 1), (1, 0)), common((-1, 2), (-1, 0))[0]
    ((True, (1, 0), (1, 1)), False)
    """
    if rightness(first, second) < 0:
        first, second = second, first
    left, right = first, second
    if not within(left):
        left = (1, -1)
        if rightness(first, left) < 0 or rightness(left, second) < 0:
            return False, left, right
    if not within(right):
        right = (1, 1)
    return rightness(left, right) > 0, left, right


@device
def behind(y: int, x: int, corner: int) -> tuple[bool, int, int]:
    """Whether a way that comes in direction (y, x) can bend round a corner, and how far: (y, x).

    It can where it touches the barrier and does not enter it; then it can go into the shadow, up to
    the barrier's other side. ``corner``, 1 to 4, says which of the four pixels there is blocked.

    >>> behind(2, 1, 3), behind(2, 1, 4)[0], behind(1, 0, 1), behind(1, 0, 3)[0]
    ((True, 1, 0), False, (True, 0, -1), False)
    """
    side_y, side_x = 1 if corner > 2 else -1, 1 if corner % 2 == 0 else -1
    down, right = y * side_y, x * side_x  # positive towards the barrier
    if (down > 0 and right >= 0) or (right > 0 and down >= 0) or (down < 0 and right < 0):
        return False, 0, 0
    return (True, side_y, 0) if down > right else (True, 0, side_x)
