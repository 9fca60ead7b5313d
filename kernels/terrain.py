# SPDX-License-Identifier: Apache-2.0
"""Slope of a surface from the nine heights around a pixel."""

import math
from typing import Any

import numpy as np
from numba import cuda

from .launch import Kernel, cpu_loop, device, gpu_grid, namespace

NAN = np.float32(np.nan)
TWO = np.float32(2)
EIGHT = np.float32(8)

DEGREES = np.float32(180 / math.pi)
"""Degrees in a radian."""


@device
def height_at(heights: Any, y: int, x: int) -> Any:
    """Height of a pixel, NaN outside the raster."""
    if 0 <= y < heights.shape[0] and 0 <= x < heights.shape[1]:
        return heights[y, x]
    return NAN


@device
def rise(heights: Any, y: int, x: int, dy: int, dx: int) -> Any:
    """Height of the neighbour at (+dy, +dx) less that of the opposite one.

    Where one of them is missing, twice the rise from the centre stands for it: a plane keeps its
    slope at an edge. NaN where both are missing.
    """
    ahead, behind = height_at(heights, y + dy, x + dx), height_at(heights, y - dy, x - dx)
    if math.isnan(behind):
        return TWO * (ahead - heights[y, x])
    if math.isnan(ahead):
        return TWO * (heights[y, x] - behind)
    return ahead - behind


@device
def slope_of(heights: Any, y: int, x: int, per_x: Any, per_y: Any) -> Any:
    """Slope of pixel (y, x), degrees; ``per_x`` and ``per_y`` turn a rise over a pixel to a ratio.

    NaN where the pixel is, or where it has no neighbour along one of the axes. A diagonal without
    neighbours, as at a raster's corner, follows from the axes.

    >>> plane = np.float32([[0, 3, 6], [4, 7, 10], [8, 11, 14]])
    >>> one = np.float32(1)
    >>> [round(float(slope_of(plane, y, x, one, one)), 4) for y, x in ((1, 1), (0, 0), (2, 1))]
    [78.6901, 78.6901, 78.6901]
    """
    if math.isnan(heights[y, x]):
        return NAN
    east, south = rise(heights, y, x, 0, 1), rise(heights, y, x, 1, 0)
    southeast, northeast = rise(heights, y, x, 1, 1), rise(heights, y, x, -1, 1)
    if math.isnan(southeast):
        southeast = east + south
    if math.isnan(northeast):
        northeast = east - south
    across = (TWO * east + southeast + northeast) / EIGHT * per_x
    down = (TWO * south + southeast - northeast) / EIGHT * per_y
    return math.atan(math.sqrt(across * across + down * down)) * DEGREES


@cpu_loop
def _slope_cpu(first: int, last: int, heights: Any, per_x: Any, per_y: Any, out: Any) -> None:
    width = heights.shape[1]
    for n in range(first, last):
        y, x = n // width, n % width
        out[y, x] = slope_of(heights, y, x, per_x, per_y)


@gpu_grid
def _slope_gpu(heights: Any, per_x: Any, per_y: Any, out: Any) -> None:
    width = heights.shape[1]
    for n in range(cuda.grid(1), heights.size, cuda.gridsize(1)):
        y, x = n // width, n % width
        out[y, x] = slope_of(heights, y, x, per_x, per_y)


_slope = Kernel(_slope_cpu, _slope_gpu, lambda heights, *_: heights.size)


def slope(heights: Any, dx: float, dy: float, z_unit: float = 1.0) -> Any:
    """Slope, degrees, (h, w) float32, of ``heights``, (h, w) float32, NaN where unknown.

    ``dx`` and ``dy`` are the width and height of a pixel in metres, ``z_unit`` the metres in a
    unit of height. A pixel at an edge, or beside nodata, is extrapolated through its centre.

    Source: Horn 1981, Hill shading and the reflectance map, Proc. IEEE 69(1), 14-47.
    """
    out = namespace(heights).zeros(heights.shape, np.float32)
    _slope(heights, np.float32(z_unit / dx), np.float32(z_unit / dy), out)
    return out
