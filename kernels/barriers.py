"""Shortest way round barriers, from the centre of a pixel to the nearest source.

Where the straight line to the nearest source is free, it is the shortest way. Elsewhere the way
bends, and it bends at corners of barriers alone. So every pixel in shadow looks for its *root*: the
source or corner from which its last straight line comes. Pixels take over roots from their
neighbours, if they see them, for as long as that makes a way shorter. A round reads the state the
round before has left, so any number of threads, and the GPU, come to the same distances.

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

FAR = np.float32(np.inf)
HALF = np.float32(0.5)

SHORTER = np.float32(1 - 2**-20)
"""A way must be shorter by this factor to count: rounding alone must not go round in circles."""

FINE = 1024
"""Steps in a pixel. A line of sight starts one step away from a corner, so that it passes along
the barrier, not through it; the length is measured from the corner itself."""

KIND, ROW, COLUMN = 30, 15, (1 << 15) - 1
"""Shifts and mask of a packed node."""

PIXEL, CORNER = 0, 1

NEIGHBOURS = 13
"""Nodes that are told of news: ``neighbours(1)``."""

STRIDE = 8.0
"""Pixels by which the front of known ways advances: nodes beyond it hold their news back, as a
shorter way may still come."""

EVERYONE = -1
"""In place of a round's number: ask neighbours whether or not they have news."""


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


@device
def neighbours(reach: int) -> int:
    """Nodes within ``reach`` of one: a square of its own kind, itself included, and of the other.

    >>> neighbours(1), neighbours(2)
    (13, 41)
    """
    return (2 * reach + 1) * (2 * reach + 1) + 4 * reach * reach


@device
def neighbour(node: int, index: int, reach: int, kinds: Any) -> int:
    """The ``index``-th free pixel or corner within ``reach``, or -1 where there is none."""
    kind, y, x = node >> KIND, (node >> ROW) & COLUMN, node & COLUMN
    side, first = 2 * reach + 1, -reach
    if index >= side * side:
        index -= side * side
        kind = CORNER - kind
        side, first = 2 * reach, kind - reach
    y, x = y + index // side + first, x + index % side + first
    if 0 <= y < kinds.shape[1] and 0 <= x < kinds.shape[2] and kinds[kind, y, x] > 0:
        return pack(kind, y, x)
    return -1


@device
def grazed(
    node: int, source: int, best: Any, root: int, room: Any, kinds: Any, ways: Any
) -> tuple[Any, int]:
    """The way of ``node`` round the barriers in its line to ``source``, where that is shorter."""
    for side in range(2):  # the barrier that the node meets, and the one that the source does
        barrier = between(room, kinds, source if side else node, node if side else source)
        for index in range(4):
            y, x = ((barrier >> ROW) & COLUMN) + index // 2, (barrier & COLUMN) + index % 2
            corner = pack(CORNER, y, x)
            way = ways[CORNER, y, x] + length(corner, node)
            if way < best * SHORTER and corner != node:
                if between(room, kinds, corner, node) < 0:
                    best, root = way, corner
    return best, root


@device
def shortened(
    node: int, room: Any, kinds: Any, ways: Any, roots: Any, news: Any, turn: int
) -> tuple[Any, int]:
    """The way of ``node`` and its root, by the roots of neighbours with news of this ``turn``.

    The root is -1 where no way is shorter than before. A ``turn`` of ``EVERYONE`` asks the others
    too, and looks for corners that a line grazes: their beam may pass all pixels between.
    """
    best, root, seen, own = value(ways, node), -1, -1, value(roots, node)
    if own >= 0 and own >> KIND == CORNER:  # the way to its own root may have become shorter
        way = value(ways, own) + length(own, node)
        if way < best * SHORTER:
            best, root = way, own
    reach = 2 if turn == EVERYONE else 1
    for index in range(neighbours(reach)):
        near = neighbour(node, index, reach, kinds)
        if near < 0 or (value(news, near) != turn and turn != EVERYONE):
            continue
        for itself in range(1 + (near >> KIND)):
            source = near if itself else value(roots, near)
            if source < 0 or source == seen or source == node or source == own:
                continue
            way = through(source, node, ways)
            if not way < best * SHORTER:
                continue
            seen = source
            if between(room, kinds, source, node) < 0:
                best, root = way, source
            elif turn == EVERYONE:
                best, root = grazed(node, source, best, root, room, kinds, ways)
    return best, root


@cpu_loop
def _shorten_cpu(
    first: int,
    last: int,
    nodes: Any,
    room: Any,
    kinds: Any,
    ways: Any,
    roots: Any,
    news: Any,
    turn: int,
    better: Any,
    through: Any,
) -> None:
    for n in range(first, last):
        found = shortened(nodes[n], room, kinds, ways, roots, news, turn)
        better[n], through[n] = found


@gpu_grid
def _shorten_gpu(
    nodes: Any,
    room: Any,
    kinds: Any,
    ways: Any,
    roots: Any,
    news: Any,
    turn: int,
    better: Any,
    through: Any,
) -> None:
    for n in range(cuda.grid(1), nodes.size, cuda.gridsize(1)):
        found = shortened(nodes[n], room, kinds, ways, roots, news, turn)
        better[n], through[n] = found


_shorten = Kernel(_shorten_cpu, _shorten_gpu, lambda nodes, *_: nodes.size)


@device
def through(source: int, node: int, ways: Any) -> Any:
    """Length of the way of ``node`` by a straight line from a source or corner."""
    start = value(ways, source) if source >> KIND == CORNER else np.float32(0)
    return start + length(source, node)


@device
def spread(
    n: int,
    nodes: Any,
    kinds: Any,
    ways: Any,
    roots: Any,
    news: Any,
    called: Any,
    turn: int,
    near: Any,
) -> None:
    """Mark that node ``n`` has news of this ``turn``, and list the neighbours to which they matter.

    Two threads may call the same neighbour at once: it is then listed twice, and found twice alike.
    """
    node = nodes[n]
    root = value(roots, node)
    news[node >> KIND, (node >> ROW) & COLUMN, node & COLUMN] = turn
    for index in range(NEIGHBOURS):
        other, near[n, index] = neighbour(node, index, 1, kinds), -1
        if other < 0 or other == node or not 0 <= value(called, other) < turn:
            continue
        best = value(ways, other) * SHORTER
        own = node >> KIND == CORNER and through(node, other, ways) < best
        if own or (root >= 0 and through(root, other, ways) < best):
            near[n, index] = other
            called[other >> KIND, (other >> ROW) & COLUMN, other & COLUMN] = turn


@cpu_loop
def _spread_cpu(
    first: int,
    last: int,
    nodes: Any,
    kinds: Any,
    ways: Any,
    roots: Any,
    news: Any,
    called: Any,
    turn: int,
    near: Any,
) -> None:
    for n in range(first, last):
        spread(n, nodes, kinds, ways, roots, news, called, turn, near)


@gpu_grid
def _spread_gpu(
    nodes: Any, kinds: Any, ways: Any, roots: Any, news: Any, called: Any, turn: int, near: Any
) -> None:
    for n in range(cuda.grid(1), nodes.size, cuda.gridsize(1)):
        spread(n, nodes, kinds, ways, roots, news, called, turn, near)


_spread = Kernel(_spread_cpu, _spread_gpu, lambda nodes, *_: nodes.size)


def shortest_ways(sources: Any, blocked: Any) -> Any:
    """Length of the shortest way to a source round barriers, pixels, (h, w) float32.

    ``sources`` and ``blocked`` are (h, w) bool. A way leads from centre to centre through free
    pixels, may touch a barrier's corner, and does not leave the raster; a source is never blocked.
    Infinite in a barrier, and where none leads. Where the straight line is free it is the exact
    Euclidean distance, rounded to float32 once. Raises ValueError for 2**15 rows or columns.
    """
    xp = namespace(sources, blocked)
    nearest, _ = nearest_source(sources)
    blocked = blocked & ~sources
    kinds, room = _kinds(blocked), _room(blocked)
    ways = xp.zeros(kinds.shape, np.float32) + FAR
    roots, news, called = (xp.zeros(kinds.shape, np.int32) for _ in range(3))
    roots -= 1
    _light(nearest, room, kinds, ways, roots)
    called[(kinds == 0) | (roots >= 0)] = EVERYONE  # they wait for nobody's news
    kind, y, x = ((called == 0) & (kinds > 0)).nonzero()
    everyone = xp.zeros(kind.size, np.int32)
    everyone[:] = (kind << KIND) | (y << ROW) | x
    nodes, turn, asked, limit, held, since = everyone, 0, 0, 0.0, everyone[:0], 0
    while nodes.size or held.size:
        better, through = xp.zeros(nodes.size, np.float32), xp.zeros(nodes.size, np.int32)
        if nodes.size:
            _shorten(nodes, room, kinds, ways, roots, news, asked, better, through)
        gained = through >= 0
        nodes = nodes[gained]
        ways[_place(nodes)], roots[_place(nodes)] = better[gained], through[gained]
        pool = xp.zeros(held.size + nodes.size, np.int32)
        pool[: held.size], pool[held.size :] = held, nodes
        if not pool.size and asked == EVERYONE:
            break
        ready = ways[_place(pool)] <= limit
        if pool.size and not ready.any():
            limit = float(ways[_place(pool)].min()) + STRIDE
            ready = ways[_place(pool)] <= limit
        nodes, held, turn, asked = pool[ready], pool[~ready], turn + 1, turn + 1
        near = xp.zeros((nodes.size, NEIGHBOURS), np.int32)
        if nodes.size:
            _spread(nodes, kinds, ways, roots, news, called, turn, near)
        nodes = near[near >= 0]
        if not nodes.size and not held.size:  # ask everyone once more, thoroughly
            nodes, asked, since = everyone[called[_place(everyone)] >= since], EVERYONE, turn
    return ways[PIXEL, :-1, :-1].copy()


def _place(nodes: Any) -> tuple[Any, Any, Any]:
    """Where arrays of (2, h + 1, w + 1) hold the packed ``nodes``."""
    return nodes >> KIND, (nodes >> ROW) & COLUMN, nodes & COLUMN


def _kinds(blocked: Any) -> Any:
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


def _room(blocked: Any) -> Any:
    """How far lines of sight may jump from each pixel, (h, w) int16, as ``barrier_between`` asks.

    Within a pixel and within the barrier, half a diagonal each is lost of the distance between
    their centres; and a border crossed is a way of at most a diagonal.
    """
    _, distance = nearest_source(blocked)
    distance[distance < 0] = COLUMN**2  # no barrier at all
    borders = (distance.astype(np.float32) ** np.float32(0.5)) * np.float32((1 - 1e-6) / 2**0.5)
    return borders.clip(1, COLUMN).astype(np.int16) * ~blocked
