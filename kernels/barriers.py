# SPDX-License-Identifier: Apache-2.0
"""Shortest way round barriers, from the centre of a pixel to the nearest source.

A way bends at corners of barriers alone. So its last straight line comes from a *root*, a source or
a corner, and all along that line the same root is best. Beams leave the sources, the nearest first;
a corner that one touches becomes a root, and sends beams into the shadow behind it. A beam ends
where other roots serve all it can reach. What is left is exact, but for the rounding of sums.

Source: after Mitchell, Mount and Papadimitriou 1987, The discrete geodesic problem (continuous
Dijkstra), on the rows of a raster as Harabor et al. 2016, Optimal any-angle pathfinding (Anya).
"""

from typing import Any

import numpy as np
from numba import cuda

from .beams import carrying, way_of
from .distance import MOST
from .launch import Kernel, cpu_loop, device, gpu_grid, namespace
from .sight import CORNER, PINCH, PIXEL, QUARTERS, placed

FAR = int(np.float32(np.inf).view(np.int32))
"""The bits of no way at all."""

FIELDS = 8
"""Integers of a waiting beam: y, x, quarter, line, and two directions."""

ROOM = 1 << 16
"""Beams for which there is room at first; more is made when they fill it."""

STRIDE = np.float32(2)
"""Pixels by which the front of known ways advances: beams beyond it wait, as a shorter way may
still come."""

SHELVES = 64
"""Strides ahead of the front in which beams wait sorted; those beyond are looked at again."""


@device
def lowered(ways: Any, kind: int, place: int, key: Any) -> bool:
    """Write the key of a shorter way, where no other thread can; whether it was."""
    shorter = key < ways[kind, place]
    if shorter:
        ways[kind, place] = key
    return bool(shorter)


@device
def shelved(
    queue: Any, key: Any, way: Any, y: int, x: int, quarter: int, line: int, left: Any, right: Any
) -> None:
    """Keep a beam on the shelf of its ``key``, the shortest way by it to what comes next."""
    beams, lengths, following, shelves, state = queue
    slot, front = state[0], state[1]
    state[0] = following[slot]
    state[2] += 1
    lengths[slot, 0], lengths[slot, 1] = key, way
    write(beams, slot, y, x, quarter, line, left, right)
    shelf = min(max(int(key / STRIDE), front), front + SHELVES - 1) % SHELVES
    following[slot] = shelves[shelf]
    shelves[shelf] = slot


@device
def write(
    beams: Any, slot: int, y: int, x: int, quarter: int, line: int, left: Any, right: Any
) -> None:
    """Write the integers of a waiting beam."""
    beams[slot, 0], beams[slot, 1], beams[slot, 2], beams[slot, 3] = y, x, quarter, line
    beams[slot, 4], beams[slot, 5], beams[slot, 6], beams[slot, 7] = (
        left[0],
        left[1],
        right[0],
        right[1],
    )


@device
def fields(beams: Any, slot: int) -> Any:
    """The integers of a waiting beam, 64 bits wide, as products of two of them are."""
    y, x, quarter = np.int64(beams[slot, 0]), np.int64(beams[slot, 1]), np.int64(beams[slot, 2])
    line, a, b = np.int64(beams[slot, 3]), np.int64(beams[slot, 4]), np.int64(beams[slot, 5])
    return y, x, quarter, line, a, b, np.int64(beams[slot, 6]), np.int64(beams[slot, 7])


@device
def outdated(y: int, x: int, way: Any, ways: Any, width: int) -> bool:
    """Whether a beam's root at (y, x) is a corner that has sent others by a shorter way since."""
    return bool(y % 2 == 0 and way_of(ways[CORNER, (y >> 1) * (width + 1) + (x >> 1)]) < way)


_carry_alone = carrying(lowered, shelved)


@device
def roomier(queue: Any, room: int) -> Any:
    """The same shelves with ``room`` for waiting beams."""
    beams, lengths, following, shelves, state = queue
    more = np.empty((room, FIELDS), np.int32), np.empty((room, 2), np.float32)
    links = np.empty(room, np.int32)
    for slot in range(room):  # the chain of free slots ends where the room did, and now goes on
        links[slot] = following[slot] if slot < following.size else slot + 1
        if slot < following.size:
            more[1][slot, 0], more[1][slot, 1] = lengths[slot, 0], lengths[slot, 1]
            for field in range(FIELDS):
                more[0][slot, field] = beams[slot, field]
    return more[0], more[1], links, shelves, state


@cpu_loop
def _carry_cpu(
    first: int,
    last: int,
    beams: Any,
    lengths: Any,
    limit: Any,
    kinds: Any,
    ways: Any,
    size: Any,
    later: Any,
    keys: Any,
    count: Any,
) -> None:
    if first > 0:
        return  # one core carries all beams to their ends, in the order of their lengths
    height, width = size
    most = 3 * (height + width) + 8  # beams that come of one, over a row
    state, shelves = np.empty(3, np.int32), np.empty(SHELVES, np.int32)
    state[0], state[1], state[2] = 1, 0, 0
    for shelf in range(SHELVES):
        shelves[shelf] = 0
    none = np.empty((0, FIELDS), np.int32), np.empty((0, 2), np.float32), np.empty(0, np.int32)
    queue = roomier((none[0], none[1], none[2], shelves, state), len(beams) + most + len(later))
    for n in range(len(beams)):
        y, x, quarter, line, a, b, c, d = fields(beams, n)
        key, way = lengths[n, 0], lengths[n, 1]
        shelved(queue, key, way, y, x, quarter, line, (a, b), (c, d))
    raster = kinds, ways, height, width
    while state[2] > 0:
        if len(queue[0]) - state[2] < most + 1:
            queue = roomier(queue, 2 * len(queue[0]))
        shelf = state[1] % SHELVES
        slot = shelves[shelf]
        if slot == 0:
            state[1] += 1
            continue
        shelves[shelf] = queue[2][slot]
        queue[2][slot], state[0] = state[0], slot
        state[2] -= 1
        key, way = queue[1][slot, 0], queue[1][slot, 1]
        y, x, quarter, line, a, b, c, d = fields(queue[0], slot)
        if outdated(y, x, way, ways, width):
            continue
        if int(key / STRIDE) > state[1]:
            shelved(queue, key, way, y, x, quarter, line, (a, b), (c, d))
        else:
            _carry_alone(y, x, way, quarter, line, ((a, b), (c, d)), raster, queue)


@device
def lowered_together(ways: Any, kind: int, place: int, key: Any) -> bool:
    """Write the key of a shorter way, among threads; whether it was."""
    if key < ways[kind, place]:
        return bool(key < cuda.atomic.min(ways, (kind, place), key))
    return False


@device
def listed(
    queue: Any, key: Any, way: Any, y: int, x: int, quarter: int, line: int, left: Any, right: Any
) -> None:
    """Keep a beam for the next round; where there is no room, count it alone."""
    beams, lengths, count = queue
    slot = cuda.atomic.add(count, 0, 1)
    if slot < len(beams):
        lengths[slot, 0], lengths[slot, 1] = key, way
        write(beams, slot, y, x, quarter, line, left, right)


_carry_together = carrying(lowered_together, listed)


@gpu_grid
def _carry_gpu(
    beams: Any,
    lengths: Any,
    limit: Any,
    kinds: Any,
    ways: Any,
    size: Any,
    later: Any,
    keys: Any,
    count: Any,
) -> None:
    raster, queue = (kinds, ways, size[0], size[1]), (later, keys, count)
    for n in range(cuda.grid(1), len(beams), cuda.gridsize(1)):
        key, way = lengths[n, 0], lengths[n, 1]
        y, x, quarter, line, a, b, c, d = fields(beams, n)
        if outdated(y, x, way, ways, size[1]):
            continue
        if key > limit:
            listed(queue, key, way, y, x, quarter, line, (a, b), (c, d))
        else:
            _carry_together(y, x, way, quarter, line, ((a, b), (c, d)), raster, queue)


_carry = Kernel(_carry_cpu, _carry_gpu, lambda beams, *_: len(beams))


def shortest_ways(sources: Any, blocked: Any) -> Any:
    """Length of the shortest way to a source round barriers, pixels, (h, w) float32.

    ``sources`` and ``blocked`` are (h, w) bool. A way leads from centre to centre through free
    pixels, may touch a barrier's corner, and does not leave the raster; a source is never blocked.
    Infinite in a barrier, and where none leads. Where the straight line is free it is the exact
    Euclidean distance, rounded to float32 once up to 4096 pixels; elsewhere each bend rounds once
    more. Raises ValueError for 2**15 rows or columns.
    """
    xp, (height, width) = namespace(sources, blocked), sources.shape
    if max(height, width) >= MOST:
        raise ValueError(f"expected fewer than {MOST} rows and columns, found {height}, {width}")
    kinds = kinds_of(blocked & ~sources).reshape(2, -1)
    starts, room = first_beams(sources), ROOM
    while True:
        ways = xp.zeros((2, height + 1, width + 1), np.int64)
        ways += FAR << 32
        y, x = sources.nonzero()
        ways[PIXEL, y, x] = y * (width + 1) + x
        if _spread(starts, room, kinds, ways.reshape(2, -1), (height, width)):
            return (ways[PIXEL, :-1, :-1] >> 32).astype(np.int32).view(np.float32)
        room *= 4


def _spread(starts: Any, room: int, kinds: Any, ways: Any, size: tuple[int, int]) -> bool:
    """Carry beams from all sources to their ends; whether there was ``room`` for those waiting."""
    xp, count = namespace(starts), len(starts)
    queues = [xp.zeros((max(room, count), FIELDS), np.int32) for _ in range(2)]
    lengths = [xp.zeros((max(room, count), 2), np.float32) for _ in range(2)]
    left, turn = xp.zeros(1, np.int32), 0
    queues[0][:count] = starts
    while 0 < count <= len(queues[0]):
        now, then = turn % 2, (turn + 1) % 2
        beams, keys = queues[now][:count], lengths[now][:count]
        limit = np.float32(float(keys[:, 0].min())) + STRIDE
        left[:] = 0
        _carry(beams, keys, limit, kinds, ways, size, queues[then], lengths[then], left)
        count, turn = int(left[0]), turn + 1
    return count == 0


def first_beams(sources: Any) -> Any:
    """Beams from each of ``sources``, (h, w) bool, to all quarters, (n, FIELDS) int32.

    None to a side where the next pixel is a source: all there is nearer to that one.
    """
    xp, (height, width) = namespace(sources), sources.shape
    alone = [sources.copy() for _ in range(QUARTERS)]
    alone[0][:-1] &= ~sources[1:]
    alone[1][1:] &= ~sources[:-1]
    alone[2][:, :-1] &= ~sources[:, 1:]
    alone[3][:, 1:] &= ~sources[:, :-1]
    places = [chosen.nonzero() for chosen in alone]
    out, first = xp.zeros((sum(y.size for y, _ in places), FIELDS), np.int32), 0
    for quarter, (y, x) in enumerate(places):
        part = out[first : first + y.size]
        part[:, 0], part[:, 1], part[:, 2] = 2 * y + 1, 2 * x + 1, quarter
        part[:, 3] = placed(quarter, 2 * y + 1, 2 * x + 1, height, width)[0] + 1
        part[:, 4], part[:, 5], part[:, 6], part[:, 7] = 1, -1, 1, 1
        first += y.size
    return out


def kinds_of(blocked: Any) -> Any:
    """Points that a way can touch, (2, h + 1, w + 1) uint8; 0 is none.

    1 is a free pixel. Corner (y, x) is the upper left one of pixel (y, x). Where one of its four
    pixels is blocked, 1 to 4 say which, in the order of reading; it is a ``PINCH`` where two are
    that meet there alone.
    """
    xp, (height, width) = namespace(blocked), blocked.shape
    out, count = (xp.zeros((2, height + 1, width + 1), np.uint8) for _ in range(2))
    quarters = (blocked[:-1, :-1], blocked[:-1, 1:], blocked[1:, :-1], blocked[1:, 1:])
    for number, quarter in enumerate(quarters, start=1):
        out[CORNER, 1:-1, 1:-1] += quarter * np.uint8(number)
        count[CORNER, 1:-1, 1:-1] += quarter
    pinched = (count == 2) & (out == PINCH)  # 1 + 4 and 2 + 3; sides add up to 3, 4, 6 and 7
    out *= (count == 1) | pinched
    out[PIXEL, :-1, :-1] = ~blocked
    return out
