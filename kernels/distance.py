# SPDX-License-Identifier: Apache-2.0
"""Exact distance to the nearest source, in squares of whole pixels.

The two machines go different ways to the same integers. A core finds the lower envelope of a row's
parabolas, one pass each way (Meijster); a GPU's thread looks outward from its own pixel along the
row, and stops where no column can be nearer. Both begin with the nearest source in each column.
"""

from typing import Any

import numpy as np
from numba import cuda

from .launch import Kernel, cpu_loop, device, gpu_grid, namespace

NONE = np.int32(-1)
"""In place of a pixel: there is no source."""

FAR = 1 << 30
"""A distance, pixels, beyond any raster's."""

MOST = (1 << 15) - 1
"""Rows or columns from which on squares could leave an int32."""

STRIP = 64
"""Columns a core takes at a time, so that a row of them is a few whole cache lines."""


@device
def in_column(sources: Any, first: int, last: int, rows: Any) -> None:
    """Write the row of the nearest source of the same column, of columns ``first`` to ``last``.

    The upper one of two as near; ``NONE`` where the column has no source.
    """
    height = sources.shape[0]
    for y in range(height):
        for x in range(first, last):
            above = rows[y - 1, x] if y > 0 else NONE
            rows[y, x] = np.int32(y) if sources[y, x] else above
    for y in range(height - 2, -1, -1):
        for x in range(first, last):
            below = rows[y + 1, x]
            above = rows[y, x]
            if below > y and (above < 0 or below - y < y - above):
                rows[y, x] = below


@cpu_loop
def _columns_cpu(first: int, last: int, sources: Any, rows: Any) -> None:
    height, width = sources.shape
    strip = STRIP * height
    for n in range(-(-first // strip), -(-last // strip)):  # the strips that begin in the range
        in_column(sources, n * STRIP, min((n + 1) * STRIP, width), rows)


@gpu_grid
def _columns_gpu(sources: Any, rows: Any) -> None:
    for x in range(cuda.grid(1), sources.shape[1], cuda.gridsize(1)):
        in_column(sources, x, x + 1, rows)


_columns = Kernel(_columns_cpu, _columns_gpu, lambda sources, rows: sources.size)


@device
def gap(y: int, row: int) -> int:
    """Pixels between ``y`` and a source's row in the same column; ``FAR`` for none."""
    return abs(y - row) if row >= 0 else FAR


@device
def envelope(y: int, rows: Any, columns: Any, begins: Any, nearest: Any, squares: Any) -> None:
    """Write the nearest source of each pixel of row ``y`` and its square, by Meijster's scan.

    ``columns`` and ``begins``, (w,) int32, are scratch: the columns whose parabolas make up the
    lower envelope, and where each begins to.
    """
    width = rows.shape[1]
    top = -1
    for u in range(width):
        if rows[y, u] < 0:
            continue
        rise = gap(y, rows[y, u]) * gap(y, rows[y, u])
        begin = 0
        while top >= 0:
            i = columns[top]
            # The first pixel that is nearer to column u than to column i.
            ahead = u * u - i * i + rise - gap(y, rows[y, i]) * gap(y, rows[y, i])
            begin = ahead // (2 * (u - i)) + 1
            if begin > begins[top]:
                break
            top -= 1
        if top < 0:
            begin = 0
        if begin < width:
            top += 1
            columns[top] = u
            begins[top] = begin
    for x in range(width - 1, -1, -1):
        if top < 0:
            nearest[y, x] = squares[y, x] = NONE
            continue
        row, column = rows[y, columns[top]], columns[top]
        nearest[y, x] = row * width + column
        squares[y, x] = (y - row) * (y - row) + (x - column) * (x - column)
        if x == begins[top]:
            top -= 1


@device
def outward(y: int, x: int, rows: Any) -> tuple[int, int]:
    """The nearest source of pixel (y, x), as y * width + x, and its square; along the row."""
    width = rows.shape[1]
    best, found = FAR * FAR, -1
    for aside in range(width):
        if aside * aside >= best:
            break
        for side in range(2):
            u = x - aside if side == 0 else x + aside
            if 0 <= u < width and rows[y, u] >= 0:
                square = aside * aside + gap(y, rows[y, u]) * gap(y, rows[y, u])
                if square < best:
                    best, found = square, rows[y, u] * width + u
    return found, best if found >= 0 else -1


@cpu_loop
def _nearest_cpu(first: int, last: int, rows: Any, nearest: Any, squares: Any) -> None:
    width = rows.shape[1]
    columns, begins = np.empty(width, np.int32), np.empty(width, np.int32)
    for y in range(-(-first // width), -(-last // width)):  # the rows that begin in the range
        envelope(y, rows, columns, begins, nearest, squares)


@gpu_grid
def _nearest_gpu(rows: Any, nearest: Any, squares: Any) -> None:
    width = rows.shape[1]
    for n in range(cuda.grid(1), rows.size, cuda.gridsize(1)):
        y, x = n // width, n % width
        nearest[y, x], squares[y, x] = outward(y, x, rows)


_nearest = Kernel(_nearest_cpu, _nearest_gpu, lambda rows, *_: rows.size)


def nearest_source(sources: Any) -> tuple[Any, Any]:
    """The source nearest to each pixel, and the square of its distance, pixels; -1 for none.

    ``sources`` is (h, w) bool; both results are (h, w) int32, the source as row * width + column.
    The distance is the exact Euclidean one between centres; of several sources as near, any one.
    Raises ValueError for 2**15 rows or columns: the largest square would not fit.

    Source: Meijster, Roerdink and Hesselink 2000, A general algorithm for computing distance
    transforms in linear time.
    """
    xp, (height, width) = namespace(sources), sources.shape
    if max(height, width) >= MOST:
        raise ValueError(f"expected fewer than {MOST} rows and columns, found {height}, {width}")
    rows, nearest, squares = (xp.zeros(sources.shape, np.int32) for _ in range(3))
    _columns(sources, rows)
    _nearest(rows, nearest, squares)
    return nearest, squares
