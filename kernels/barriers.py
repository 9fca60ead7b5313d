"""Shortest way round barriers, from the centre of a pixel to the nearest source.

Where the straight line to the nearest source is free, it is the shortest way. Elsewhere the way
bends, and it bends at corners of barriers alone. So every pixel in shadow looks for its *root*: the
source or corner from which its last straight line comes. Pixels take over roots from their
neighbours, if they see them, for as long as that makes a way shorter. A round reads the state the
round before has left, so any number of threads, and the GPU, come to the same distances.

Nodes are the pixels and corners of :mod:`.sight`.
"""

from typing import Any

import numpy as np
from numba import cuda

from .distance import nearest_source
from .launch import Kernel, cpu_loop, device, gpu_grid, namespace
from .sight import (
    COLUMN,
    CORNER,
    KIND,
    PIXEL,
    ROW,
    between,
    kinds_of,
    length,
    light_up,
    pack,
    room_around,
    value,
)

FAR = np.float32(np.inf)

SHORTER = np.float32(1 - 2**-20)
"""A way must be shorter by this factor to count: rounding alone must not go round in circles."""

NEIGHBOURS = 13
"""Nodes that are told of news: ``neighbours(1)``."""

FAR_SIGHT = 6
"""Pixels from which a corner takes over a root in a thorough round; 2 for pixels, which are many.
Ways that cross on either side of a barrier meet in beams narrower than a pixel."""

STRIDE = 8.0
"""Pixels by which the front of known ways advances: nodes beyond it hold their news back, as a
shorter way may still come."""

EVERYONE = -1
"""In place of a round's number: ask neighbours whether or not they have news."""


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
    node: int, barrier: int, best: Any, root: int, room: Any, kinds: Any, ways: Any
) -> tuple[Any, int]:
    """The way of ``node`` round a ``barrier`` that a line of it has met, where that is shorter."""
    for index in range(4):
        y, x = ((barrier >> ROW) & COLUMN) + index // 2, (barrier & COLUMN) + index % 2
        corner = pack(CORNER, y, x)
        way = ways[CORNER, y, x] + length(corner, node)
        if way < best * SHORTER and corner != node:
            if between(room, kinds, corner, node) < 0:
                best, root = way, corner
    return best, root


@device
def pulled(
    node: int, source: int, best: Any, root: int, room: Any, kinds: Any, ways: Any
) -> tuple[Any, int]:
    """The way of ``node`` round the barriers in its line to ``source``, as a string is pulled."""
    barrier = between(room, kinds, source, node)
    if barrier < 0:
        return best, root
    best, root = grazed(node, barrier, best, root, room, kinds, ways)
    return grazed(node, between(room, kinds, node, source), best, root, room, kinds, ways)


@device
def shortened(
    node: int, room: Any, kinds: Any, ways: Any, roots: Any, news: Any, turn: int
) -> tuple[Any, int]:
    """The way of ``node`` and its root, by the roots of neighbours with news of this ``turn``.

    The root is -1 where no way is shorter than before. A ``turn`` of ``EVERYONE`` asks the others
    too, and looks for corners that a line grazes: their beam may pass all pixels between.
    """
    best, root, own = value(ways, node), -1, value(roots, node)
    seen, before = own, own  # sources that need not be tried again
    if own >= 0 and own >> KIND == CORNER:  # the way to its own root may have become shorter
        way = value(ways, own) + length(own, node)
        if way < best * SHORTER:
            best, root = way, own
    reach = 1
    if turn == EVERYONE:
        reach = FAR_SIGHT if node >> KIND == CORNER else 2
    for index in range(neighbours(reach)):
        near = neighbour(node, index, reach, kinds)
        if near < 0 or (value(news, near) != turn and turn != EVERYONE):
            continue
        for itself in range(1 + (near >> KIND)):
            source = near if itself else value(roots, near)
            if source < 0 or source == node or source == seen or source == before:
                continue
            way = through(source, node, ways)
            if not way < best * SHORTER:
                continue
            before, seen = seen, source
            if between(room, kinds, source, node) < 0:
                best, root = way, source
            elif turn == EVERYONE:
                best, root = pulled(node, source, best, root, room, kinds, ways)
    if turn == EVERYONE and own >= 0 and value(roots, own) >= 0:
        best, root = pulled(node, value(roots, own), best, root, room, kinds, ways)
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
    kinds, room = kinds_of(blocked), room_around(blocked)
    ways = xp.zeros(kinds.shape, np.float32) + FAR
    roots, news, called = (xp.zeros(kinds.shape, np.int32) for _ in range(3))
    roots -= 1
    light_up(nearest, room, kinds, ways, roots)
    called[(kinds == 0) | (roots >= 0)] = EVERYONE  # they wait for nobody's news
    everyone = _packed(xp, (called == 0) & (kinds > 0))
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
        if not nodes.size and not held.size:  # ask once more, thoroughly
            nodes, asked, since = everyone[called[_place(everyone)] >= since], EVERYONE, turn
    return ways[PIXEL, :-1, :-1].copy()


def _packed(xp: Any, chosen: Any) -> Any:
    """The nodes where ``chosen``, (2, h + 1, w + 1) bool, is true; in an array of ``xp``."""
    kind, y, x = chosen.nonzero()
    out = xp.zeros(kind.size, np.int32)
    out[:] = (kind << KIND) | (y << ROW) | x
    return out


def _place(nodes: Any) -> tuple[Any, Any, Any]:
    """Where arrays of (2, h + 1, w + 1) hold the packed ``nodes``."""
    return nodes >> KIND, (nodes >> ROW) & COLUMN, nodes & COLUMN
