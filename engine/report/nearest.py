# SPDX-License-Identifier: Apache-2.0
"""Rasters on the grid of a picture, the nearest pixel at each place."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import rasterio.warp
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling

from ..sources.rasterfiles import OPENING
from .findings import Layer


@dataclass(frozen=True)
class Grid:
    """Where the pixels of a raster or of a picture lie."""

    crs: str
    """Coordinate system."""

    transform: Affine
    """Of columns and rows to that system."""

    shape: tuple[int, int]
    """Rows and columns."""


def brought(layer: Layer, grid: Grid, missing: Any) -> NDArray[Any]:
    """The values of ``layer`` on ``grid``, of their own type; ``missing`` where it has no pixel."""
    rows, columns = layer.values.shape
    places = _nearest(Grid(layer.crs, layer.transform, (rows, columns)), grid)
    return np.append(layer.values, np.asarray(missing, layer.values.dtype))[places]


@lru_cache(maxsize=2)  # the same for every epoch of an area
def _nearest(source: Grid, target: Grid) -> NDArray[np.int32]:
    """Number of the nearest pixel, row by row from 0, at each place of a grid; -1 is none."""
    numbers = np.arange(source.shape[0] * source.shape[1], dtype=np.int32).reshape(source.shape)
    found = np.full(target.shape, -1, np.int32)
    with OPENING:  # rasterio, too, hushes a warning of which all threads would hear
        rasterio.warp.reproject(
            numbers,
            found,
            src_transform=source.transform,
            src_crs=source.crs,
            src_nodata=-1,
            dst_transform=target.transform,
            dst_crs=target.crs,
            dst_nodata=-1,
            resampling=Resampling.nearest,
        )
    return found
