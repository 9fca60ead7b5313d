"""Lines of sight between pixels and corners of barriers, exact in integers.

A node is a pixel or a corner, packed as kind << 30 | row << 15 | column. What is known of nodes
lies in arrays of (2, h + 1, w + 1): kind, row, column. Corner (y, x) is the upper left one of pixel
(y, x).
"""

import math
from typing import Any

import numpy as np
from numba import cuda

from .distance import nearest_source
from .launch import Kernel, cpu_loop, device, gpu_grid, namespace

HALF = np.float32(0.5)

FINE = 1024
"""Steps in a pixel. A line of sight starts one step away from a corner, so that it passes along
the barrier, not through it; the length is measured from the corner itself."""

KIND, ROW, COLUMN = 30, 15, (1 << 15) - 1
"""Shifts and mask of a packed node."""

PIXEL, CORNER = 0, 1


@device
def pack(kind: int, y: int, x: int) -> int:
    """A node as one integer.

    >>> node = pack(CORNER, 5, 7)
    >>> node >> KIND, (node >> ROW) & COLUMN, node & COLUMN
    (1, 5, 7)
    """
    return (kind << KIND) | (y << ROW) | x


@device
def value(array: Any, node: int) -> Any:
    """What ``array``, (2, h + 1, w + 1), holds of a node."""
    return array[node >> KIND, (node >> ROW) & COLUMN, node & COLUMN]


@device
def length(a: int, b: int) -> Any:
    """Straight distance between two nodes, pixels, float32; its square is an exact integer."""
    halves = (b >> KIND) - (a >> KIND)  # a pixel's centre is half a pixel beyond its corner
    down = 2 * (((a >> ROW) & COLUMN) - ((b >> ROW) & COLUMN)) + halves
    right = 2 * ((a & COLUMN) - (b & COLUMN)) + halves
    return HALF * math.sqrt(np.float32(down * down + right * right))


@device
def crossed(borders: int, ahead: int, ahead_aside: int, along: int, across: int) -> int:
    """Borders that a line crosses to the side by the time it has crossed ``borders`` ahead."""
    reached = (ahead + (borders - 1) * FINE) * across // along
    return max(0, (reached - ahead_aside) // FINE + 1)


@device
def barrier_between(room: Any, y: int, x: int, to_y: int, to_x: int) -> int:
    """The first barrier, as a packed pixel, on a line between two points; -1 where it is free.

    Points are in steps of a pixel / 1024. ``room``, (h, w) int16, is 0 in a barrier, else one more
    than the borders that may be crossed from that pixel in any direction without meeting one. The
    line may touch a barrier's corner, but not slip between two that touch there.

    >>> room = np.array([[1, 0, 1], [1, 1, 1]], np.int16)
    >>> barrier_between(room, 512, 512, 512, 2560), barrier_between(room, 512, 512, 1536, 1536)
    (1, -1)
    """
    row, col, last_row, last_col = y // FINE, x // FINE, to_y // FINE, to_x // FINE
    down, right = 1 if to_y > y else -1, 1 if to_x > x else -1
    high, wide = abs(to_y - y), abs(to_x - x)
    # Steps along each axis to the next border of a pixel; compared by cross-multiplying.
    ahead_y = (row + 1) * FINE - y if down > 0 else y - row * FINE
    ahead_x = (col + 1) * FINE - x if right > 0 else x - col * FINE
    while row != last_row or col != last_col:
        rows, cols = 0, 0
        sooner = ahead_x * high - ahead_y * wide
        free = int(room[row, col]) - 1
        if free > 2 and wide >= high:
            cols = min(free, abs(last_col - col))
        elif free > 2:
            rows = min(free, abs(last_row - row))
        if cols > 2:
            rows = crossed(cols, ahead_x, ahead_y, wide, high)
        elif rows > 2:
            cols = crossed(rows, ahead_y, ahead_x, high, wide)
        else:
            rows, cols = int(sooner >= 0), int(sooner <= 0)
            if sooner == 0 and room[row + down, col] == 0 and room[row, col + right] == 0:
                return pack(PIXEL, row + down, col)
        row, col = row + down * rows, col + right * cols
        ahead_y, ahead_x = ahead_y + FINE * rows, ahead_x + FINE * cols
        if room[row, col] == 0:
            return pack(PIXEL, row, col)
    return -1


@device
def point(kinds: Any, node: int, place: int, sign: int) -> int:
    """Where lines of sight from a node begin along an axis, steps of a pixel / 1024.

    Half a pixel from the edge ``place`` in a pixel; a step to the free side at a corner.
    """
    if node >> KIND == PIXEL:
        return place * FINE + FINE // 2
    return place * FINE + (1 if (int(value(kinds, node)) - 1) & sign == 0 else -1)


@device
def between(room: Any, kinds: Any, a: int, b: int) -> int:
    """The first barrier on the line from node ``a`` to node ``b``; -1 where it is free."""
    return barrier_between(
        room,
        point(kinds, a, (a >> ROW) & COLUMN, 2),
        point(kinds, a, a & COLUMN, 1),
        point(kinds, b, (b >> ROW) & COLUMN, 2),
        point(kinds, b, b & COLUMN, 1),
    )


@device
def light(n: int, nearest: Any, room: Any, kinds: Any, ways: Any, roots: Any) -> None:
    """Give pixel ``n`` the straight way to its nearest source, where that is free."""
    width = nearest.shape[1]
    y, x = n // width, n % width
    source = nearest[y, x]
    if source >= 0 and room[y, x] > 0:
        node, root = pack(PIXEL, y, x), pack(PIXEL, source // width, source % width)
        if between(room, kinds, root, node) < 0:
            ways[PIXEL, y, x] = length(root, node)
            roots[PIXEL, y, x] = root


@cpu_loop
def _light_cpu(
    first: int, last: int, nearest: Any, room: Any, kinds: Any, ways: Any, roots: Any
) -> None:
    for n in range(first, last):
        light(n, nearest, room, kinds, ways, roots)


@gpu_grid
def _light_gpu(nearest: Any, room: Any, kinds: Any, ways: Any, roots: Any) -> None:
    for n in range(cuda.grid(1), nearest.size, cuda.gridsize(1)):
        light(n, nearest, room, kinds, ways, roots)


_light = Kernel(_light_cpu, _light_gpu, lambda nearest, *_: nearest.size)


def light_up(nearest: Any, room: Any, kinds: Any, ways: Any, roots: Any) -> None:
    """Write the way and the root of each pixel that sees its ``nearest`` source, (h, w) int32.

    ``ways`` is float32, pixels, and ``roots`` int32, both (2, h + 1, w + 1).
    """
    _light(nearest, room, kinds, ways, roots)


def kinds_of(blocked: Any) -> Any:
    """Nodes that a way can touch, (2, h + 1, w + 1) uint8; 0 is none.

    1 is a free pixel. At a corner exactly one of four pixels is blocked; 1 to 4 say which, in the
    order of reading.
    """
    xp, (height, width) = namespace(blocked), blocked.shape
    out, count = (xp.zeros((2, height + 1, width + 1), np.uint8) for _ in range(2))
    quarters = (blocked[:-1, :-1], blocked[:-1, 1:], blocked[1:, :-1], blocked[1:, 1:])
    for number, quarter in enumerate(quarters, start=1):
        out[CORNER, 1:-1, 1:-1] += quarter * np.uint8(number)
        count[CORNER, 1:-1, 1:-1] += quarter
    out *= count == 1
    out[PIXEL, :-1, :-1] = ~blocked
    return out


def room_around(blocked: Any) -> Any:
    """How far lines of sight may jump from each pixel, (h, w) int16, as ``barrier_between`` asks.

    Within a pixel and within the barrier, half a diagonal each is lost of the distance between
    their centres; and a border crossed is a way of at most a diagonal.
    """
    _, distance = nearest_source(blocked)
    distance[distance < 0] = COLUMN**2  # no barrier at all
    borders = (distance.astype(np.float32) ** np.float32(0.5)) * np.float32((1 - 1e-6) / 2**0.5)
    return borders.clip(1, COLUMN).astype(np.int16) * ~blocked
