# SPDX-License-Identifier: Apache-2.0
"""Walk the trees of a forest: predictions, and the error that shuffling one driver adds.

Everything is an integer: drivers as keys that sort like their float32, the target and the leaves in
steps of 2**-30 of the target's range. So sums do not depend on order, threads or machine.
"""

from typing import Any

import numpy as np
from numba import cuda, int64
from numpy.typing import NDArray

from .launch import Kernel, cpu_loop, device, gpu_grid, namespace

CUT = 32
"""A node is an int64: the cut is its upper half, the link its lower one, so that a step of a walk
reads memory once. Rows whose key is at most the cut go to the next node, others to the node
``link >> 8`` of the tree; the low byte of the link names the driver. A leaf has all bits of the
link set, and its value in place of the cut."""

LEAF = (1 << CUT) - 1
"""The link of a leaf, and the mask of links."""

FEATURE_BITS = 8
LOW_BYTE = (1 << FEATURE_BITS) - 1
SUMS = 64
"""Most drivers, and one: a set of drivers is the bits of an int64, without its sign."""

MOST_NODES = 1 << 23
"""Nodes of the largest tree: what a link has room for."""

STEPS = 1 << 30
"""Steps in the range of the target."""

COARSER = 10
"""Bits that an error loses before it is squared: 2**23 squares of at most 2**40 fit an int64."""

MASK = (1 << 31) - 1
ROUNDS = 4
FEWEST_BITS = 8
"""Fewer bits leave a Feistel network too few different rounds."""

MIX_1, MIX_2, GOLDEN = 0x21F0AAAD, 0x735A2D97, 0x1E3779B9
"""Multipliers below 2**31, so that no product leaves an int64. Source: the first two, lowbias32 by
C. Wellons and T. Hoffmann; the last, the golden ratio of 2**31, made odd."""


@device
def mixed(word: int) -> int:
    """A number below 2**31 that depends on every bit of ``word``, also below 2**31.

    >>> [mixed(0), mixed(1) == mixed(2)]
    [0, False]
    """
    word = ((word ^ (word >> 15)) * MIX_1) & MASK
    word = ((word ^ (word >> 14)) * MIX_2) & MASK
    return word ^ (word >> 15)


@device
def shuffle_key(seed: int, tree: int, driver: int) -> int:
    """Names the permutation that belongs to a driver of a tree."""
    return mixed((mixed((mixed(seed & MASK) + tree + 1) & MASK) + (driver + 1) * GOLDEN) & MASK)


@device
def shuffled(place: int, places: int, key: int) -> int:
    """Where a random permutation of ``places`` takes ``place``, without a list of it.

    A Feistel network permutes the words of as many bits as ``places`` needs; words outside are
    sent through again. So every thread of every machine finds its own place, and the same one.

    >>> sorted(shuffled(n, 5, 7) for n in range(5))
    [0, 1, 2, 3, 4]
    """
    bits = FEWEST_BITS
    while (1 << bits) < places:
        bits += 1
    while True:
        low = bits >> 1
        for turn in range(ROUNDS):
            high = bits - low
            right = place & ((1 << low) - 1)
            noise = mixed((right + key + turn * GOLDEN) & MASK) & ((1 << high) - 1)
            place = (right << high) | ((place >> low) ^ noise)
            low = high
        if place < places:
            return place


@device
def step(root: int, at: int, node: int, key: Any) -> int:
    """Where a row goes from the ``node`` that stands ``at`` a place, with its ``key``."""
    right = root + ((node & LEAF) >> FEATURE_BITS)
    return at + 1 if key <= node >> CUT else right


@device
def leaf(nodes: Any, root: int, keys: Any, row: int) -> int:
    """The value of the leaf of a tree that ``row`` reaches, steps."""
    at = root
    node = int(nodes[at])
    while node & LEAF != LEAF:
        at = step(root, at, node, keys[row, node & LOW_BYTE])
        node = int(nodes[at])
    return node >> CUT


@device
def leaf_with(nodes: Any, root: int, at: int, keys: Any, row: int, driver: int, other: Any) -> int:
    """The leaf's value for ``row``, from ``at`` on, when its ``driver`` has the key ``other``."""
    node = int(nodes[at])
    while node & LEAF != LEAF:
        asked = node & LOW_BYTE
        at = step(root, at, node, other if asked == driver else keys[row, asked])
        node = int(nodes[at])
    return node >> CUT


@device
def squared(value: int, target: Any) -> int:
    """Squared error of a leaf's value, in squares of 2**-20 of the target's range."""
    error = (int(target) - value) >> COARSER
    return error * error


@cpu_loop
def _shuffle_cpu(
    first: int,
    last: int,
    nodes: Any,
    roots: Any,
    rows: Any,
    starts: Any,
    keys: Any,
    targets: Any,
    shuffles: Any,
    out: Any,
) -> None:
    drivers = keys.shape[1]
    for tree in range(roots.size):
        begin, places, root = starts[tree], starts[tree + 1] - starts[tree], roots[tree]
        if not first <= begin < last:  # a tree belongs to the chunk where its rows begin
            continue
        for place in range(places):
            row, at, asked_ones = rows[begin + place], root, 0
            node = int(nodes[at])
            while node & LEAF != LEAF:
                asked = node & LOW_BYTE
                if not (asked_ones >> asked) & 1:  # up to here a shuffled driver changes nothing
                    asked_ones |= 1 << asked
                    there = begin + shuffled(place, places, shuffles[tree, asked])
                    end = leaf_with(nodes, root, at, keys, row, asked, keys[rows[there], asked])
                    out[tree, asked] += squared(end, targets[row])
                at = step(root, at, node, keys[row, asked])
                node = int(nodes[at])
            before = squared(node >> CUT, targets[row])
            out[tree, drivers] += before
            for driver in range(drivers):
                if (asked_ones >> driver) & 1:
                    out[tree, driver] -= before


@gpu_grid
def _shuffle_gpu(
    nodes: Any,
    roots: Any,
    rows: Any,
    starts: Any,
    keys: Any,
    targets: Any,
    shuffles: Any,
    out: Any,
) -> None:
    # A block takes a tree, which then stays in its cache, and adds up in shared memory.
    drivers = keys.shape[1]
    sums = cuda.shared.array(SUMS, int64)
    for tree in range(cuda.blockIdx.x, roots.size, cuda.gridDim.x):
        for k in range(cuda.threadIdx.x, drivers + 1, cuda.blockDim.x):
            sums[k] = 0
        cuda.syncthreads()
        begin, places, root = starts[tree], starts[tree + 1] - starts[tree], roots[tree]
        for place in range(cuda.threadIdx.x, places, cuda.blockDim.x):
            row, at, asked_ones = rows[begin + place], root, 0
            node = int(nodes[at])
            while node & LEAF != LEAF:
                asked = node & LOW_BYTE
                if not (asked_ones >> asked) & 1:
                    asked_ones |= 1 << asked
                    there = begin + shuffled(place, places, shuffles[tree, asked])
                    end = leaf_with(nodes, root, at, keys, row, asked, keys[rows[there], asked])
                    cuda.atomic.add(sums, asked, squared(end, targets[row]))
                at = step(root, at, node, keys[row, asked])
                node = int(nodes[at])
            before = squared(node >> CUT, targets[row])
            cuda.atomic.add(sums, drivers, before)
            for driver in range(drivers):
                if (asked_ones >> driver) & 1:
                    cuda.atomic.add(sums, driver, -before)
        cuda.syncthreads()
        for k in range(cuda.threadIdx.x, drivers + 1, cuda.blockDim.x):
            out[tree, k] = sums[k]
        cuda.syncthreads()


_shuffle = Kernel(_shuffle_cpu, _shuffle_gpu, lambda nodes, roots, rows, *_: rows.size)


@cpu_loop
def _vote_cpu(
    first: int, last: int, nodes: Any, roots: Any, keys: Any, voters: Any, sums: Any, counts: Any
) -> None:
    for tree in range(roots.size):  # trees outside: one stays in a core's cache for all its rows
        for row in range(first, last):
            if voters[tree, row]:
                sums[row] += leaf(nodes, roots[tree], keys, row)
                counts[row] += 1


@gpu_grid
def _vote_gpu(nodes: Any, roots: Any, keys: Any, voters: Any, sums: Any, counts: Any) -> None:
    for row in range(cuda.grid(1), keys.shape[0], cuda.gridsize(1)):
        total, count = 0, 0
        for tree in range(roots.size):
            if voters[tree, row]:
                total += leaf(nodes, roots[tree], keys, row)
                count += 1
        sums[row] += total
        counts[row] += count


_vote = Kernel(_vote_cpu, _vote_gpu, lambda nodes, roots, keys, *_: keys.shape[0])


def vote(nodes: Any, roots: Any, keys: Any, voters: Any, sums: Any, counts: Any) -> None:
    """Add each row's leaves, steps, to ``sums``, (n,) int64, and their number to ``counts``.

    ``nodes`` are trees of :func:`packed` one after another, (M,) int64; ``roots``, (T,) int64,
    says where each begins. ``keys`` are the drivers of each row, (n, K) int32 of
    :func:`sortable`. Tree t votes on row i where ``voters``, (T, n) bool, is true.
    """
    _vote(nodes, roots, keys, voters, sums, counts)


def shuffled_errors(
    nodes: Any, roots: Any, keys: Any, targets: Any, judged: Any, shuffles: Any
) -> Any:
    """What shuffling a driver adds to the squared error of each tree, (T, K + 1) int64.

    A tree is judged on the rows where ``judged``, (T, n) bool, is true: its own out-of-bag rows,
    or held-out ones. Column K holds the error before shuffling. In squares of 2**-20 of the
    target's range; ``targets``, (n,) int32, are in steps of 2**-30. ``shuffles``, (T, K) int64, of
    :func:`shuffle_key`, name the permutations of the judged rows: one for each tree and driver.
    Raises ValueError for 64 drivers or more.
    """
    if keys.shape[1] >= SUMS:
        raise ValueError(f"expected fewer than {SUMS} drivers, found {keys.shape[1]}")
    xp = namespace(nodes, keys)
    out = xp.zeros((roots.size, keys.shape[1] + 1), np.int64)
    starts = xp.zeros(roots.size + 1, np.int64)
    starts[1:] = judged.sum(axis=1).cumsum()
    rows = xp.zeros(int(starts[-1]), np.int32)
    rows[:] = judged.nonzero()[1]
    if rows.size:
        _shuffle(nodes, roots, rows, starts, keys, targets, shuffles, out)
    return out


def sortable(values: NDArray[np.float32]) -> NDArray[np.int32]:
    """Integers, int32, in the order of ``values``, float32 without NaN; -0 counts as 0.

    >>> sortable(np.float32([-1.5, -0.0, 0, 2])).argsort(kind="stable").tolist()
    [0, 1, 2, 3]
    """
    bits = (np.asarray(values, np.float32) + np.float32(0)).view(np.int32)
    return np.where(bits < 0, bits ^ np.int32(MASK), bits)


def packed(
    right: NDArray[Any], driver: NDArray[Any], cut: NDArray[np.float64], steps: NDArray[np.int32]
) -> NDArray[np.int64]:
    """The nodes of one tree, (m,) int64, each parent's left child following it.

    ``right`` is the node for a value above ``cut``, ``driver`` -1 at a leaf; ``steps`` the value
    of a leaf, of 2**-30 of the target's range. Raises ValueError for more than 2**23 nodes.
    """
    if right.size > MOST_NODES:
        raise ValueError(f"expected a tree of at most {MOST_NODES} nodes, found {right.size}")
    floor = cut.astype(np.float32)  # towards minus infinity: no float32 lies between the two
    floor = np.where(floor > cut, np.nextafter(floor, np.float32(-np.inf)), floor)
    inner = driver >= 0
    links = np.where(inner, (right.astype(np.int64) << FEATURE_BITS) | np.maximum(driver, 0), LEAF)
    return (np.where(inner, sortable(floor), steps).astype(np.int64) << CUT) | links
