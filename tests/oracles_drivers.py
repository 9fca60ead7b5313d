"""Slope, focal share and distances, slow and obvious."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

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
