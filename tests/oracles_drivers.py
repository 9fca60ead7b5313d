# SPDX-License-Identifier: Apache-2.0
"""Slope, focal share and distances, slow and obvious."""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra

Floats = NDArray[Any]
Flags = NDArray[np.bool_]


def slope(heights: Floats, dx: float, dy: float) -> Floats:
    """Horn's slope in degrees, (h, w), by SciPy's correlation; NaN on the outermost pixels."""
    kernel = np.outer([1, 2, 1], [-1, 0, 1]) / 8
    across = ndimage.correlate(heights.astype(np.float64), kernel, mode="constant", cval=np.nan)
    down = ndimage.correlate(heights.astype(np.float64), kernel.T, mode="constant", cval=np.nan)
    return np.degrees(np.arctan(np.hypot(across / dx, down / dy)))


def focal_mean(shares: Floats, before: int, after: int) -> Floats:
    """``np.nanmean`` of each pixel's window, (h, w)."""
    out = np.full(shares.shape, np.nan)
    for y, x in np.ndindex(*shares.shape):
        rows = slice(max(0, y - before), y + after + 1)
        window = shares[rows, max(0, x - before) : x + after + 1].astype(np.float64)
        if not np.isnan(window).all():
            out[y, x] = np.nanmean(window)
    return out


def _slips(pinches: Floats, lines: Any) -> Flags:
    """Which segments pass a point where two barriers touch by a corner."""
    if not len(pinches):
        return np.zeros(len(lines), bool)
    return shapely.dwithin(lines, shapely.multipoints(pinches), 1e-9)


def shortest_ways(sources: Flags, blocked: Flags, asked: Flags | None = None) -> Floats:
    """Exact shortest ways, pixels, (h, w): Dijkstra on what all centres and corners see.

    Centres that are not ``asked`` for are left out, and infinite.
    """
    blocked = blocked & ~sources
    asked = ~blocked if asked is None else (asked | sources) & ~blocked
    fours = np.lib.stride_tricks.sliding_window_view(blocked, (2, 2))
    corners = np.argwhere(fours.sum((2, 3)) == 1) + 1.0
    touching = (fours.sum((2, 3)) == 2) & (fours[..., 0, 0] == fours[..., 1, 1])
    centres = np.argwhere(asked) + 0.5
    points = np.concatenate([centres, corners])
    first, second = np.triu_indices(len(points), 1)
    lines = shapely.linestrings(np.stack([points[first], points[second]], axis=1))
    barrier = shapely.union_all([shapely.box(y, x, y + 1, x + 1) for y, x in np.argwhere(blocked)])
    shapely.prepare(barrier)
    inside = shapely.relate_pattern(lines, barrier, "T********")
    free = ~inside & ~_slips(np.argwhere(touching) + 1.0, lines)
    lengths, places = np.asarray(shapely.length(lines))[free], (first[free], second[free])
    graph = coo_array((lengths, places), shape=(len(points), len(points)))
    flags = sources[tuple((centres - 0.5).astype(int).T)]
    found = dijkstra(graph.tocsr(), directed=False, indices=np.flatnonzero(flags))
    out = np.full(blocked.shape, np.inf)
    out[asked] = found.min(axis=0, initial=np.inf)[: len(centres)]
    return out
