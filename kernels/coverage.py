# SPDX-License-Identifier: Apache-2.0
"""Share of each pixel in a polygon, exactly: each edge adds the area to its right.

No CUDA twin: it runs once for a grid, on outlines that GEOS holds in the host's memory, and is done
before they would have been copied.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .launch import cpu_loop, device

MARGIN = 2
"""Columns beyond a polygon's last: what lies right of them is never read."""


@device
def add_edge(xa: float, ya: float, xb: float, yb: float, sign: float, rows: Any) -> None:
    """Add one edge to ``rows``, (h, w + 2) float64, whose running sums along a row are shares.

    In each row the edge adds its rise to all pixels on its right, and of the pixels that it
    crosses to the part on its right. Places are in pixels, within 0 and h, w.
    """
    if ya == yb:
        return
    if ya > yb:
        xa, ya, xb, yb, sign = xb, yb, xa, ya, -sign
    left, right = min(xa, xb), max(xa, xb)
    slant = (xb - xa) / (yb - ya)
    y, x = ya, xa
    for row in range(math.floor(ya), math.ceil(yb)):
        below = min(row + 1.0, yb)
        beyond = xb if below == yb else min(max(xa + (below - ya) * slant, left), right)
        add_step(min(x, beyond), max(x, beyond), (below - y) * sign, rows[row])
        y, x = below, beyond


@device
def add_step(first: float, last: float, rise: float, row: Any) -> None:
    """Add the part of an edge within one row, from x ``first`` to ``last``, to ``row``."""
    begin, end = math.floor(first), math.floor(last)
    if begin == end:
        inside = (first + last) / 2 - begin
        row[begin] += rise * (1 - inside)
        row[begin + 1] += rise * inside
        return
    for column in range(begin, end + 1):
        start, stop = max(first, float(column)), min(last, column + 1.0)
        part = rise * (stop - start) / (last - first)
        inside = (start + stop) / 2 - column
        row[column] += part * (1 - inside)
        row[column + 1] += part * inside


@device
def turn(x: Any, y: Any, first: int, last: int) -> float:
    """Twice the signed area of the ring of the vertices ``first`` up to ``last``."""
    total = 0.0
    for k in range(first, last - 1):
        total += (x[k] - x[first]) * (y[k + 1] - y[first])
        total -= (x[k + 1] - x[first]) * (y[k] - y[first])
    return total


@cpu_loop
def _cover(
    first: int,
    last: int,
    x: Any,
    y: Any,
    rings: Any,
    polygons: Any,
    boxes: Any,
    cells: Any,
    out: Any,
) -> None:
    for polygon in range(first, last):
        left, top, right, bottom = boxes[polygon]
        height, width = bottom - top, right - left + MARGIN
        rows = out[cells[polygon] : cells[polygon + 1]].reshape((height, width))
        for ring in range(polygons[polygon], polygons[polygon + 1]):
            begin, end = rings[ring], rings[ring + 1]
            sign = 1.0 if turn(x, y, begin, end) < 0 else -1.0
            if ring > polygons[polygon]:  # a hole, whichever way it turns
                sign = -sign
            for k in range(begin, end - 1):
                add_edge(x[k] - left, y[k] - top, x[k + 1] - left, y[k + 1] - top, sign, rows)
        for row in range(height):
            for column in range(1, width):
                rows[row, column] += rows[row, column - 1]


def cover(
    points: NDArray[np.float64],
    rings: NDArray[np.int64],
    polygons: NDArray[np.int64],
    boxes: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Share of each pixel in each polygon, and where the pixels of each polygon begin.

    ``points``, (N, 2), are the vertices x, y in pixels, rings closed; ring r has those from
    ``rings[r]`` up to ``rings[r + 1]``, polygon p the rings from ``polygons[p]``, its outline
    first. ``boxes``, (P, 4) left top right bottom, are whole pixels that hold the polygon. Its
    shares are (bottom - top, right - left + 2), the last two columns without meaning.
    """
    size = (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 2] - boxes[:, 0] + MARGIN)
    cells = np.concatenate([[0], np.cumsum(size)])
    out = np.zeros(int(cells[-1]))
    x, y = np.ascontiguousarray(points.T)
    _cover(0, len(boxes), x, y, rings, polygons, boxes, cells, out)
    return out, cells
