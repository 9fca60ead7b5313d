# SPDX-License-Identifier: Apache-2.0
"""Slow and obvious answers for rasters on other grids."""

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from pyproj import Transformer

from rsei.engine.sources.grids import Lattice, Window

LONLAT = "EPSG:4326"
METRES = Lattice("EPSG:32633", 500_000, 5_000_000, 500, 500)
ANSHAN = Window(11_800, 65_400, 40, 50)


def write_tiff(
    path: Path, values: NDArray[Any], crs: str | None, transform: Affine, **options: Any
) -> Path:
    """A plain GeoTIFF of one band, with GDAL alone."""
    tags = {key: options.pop(key) for key in ("scales", "offsets") if key in options}
    height, width = values.shape
    profile = {"driver": "GTiff", "height": height, "width": width, "count": 1, "crs": crs}
    profile |= {"dtype": values.dtype, "transform": transform, **options}
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(values, 1)
        for key, value in tags.items():
            setattr(dataset, key, (value,))
    return path


def bilinear_by_hand(
    values: NDArray[np.float64], transform: Affine, crs: str, lattice: Lattice, window: Window
) -> NDArray[np.float64]:
    """Four neighbours, one pixel at a time: docs/explanation/method.md."""
    carry = Transformer.from_crs(lattice.crs, crs, always_xy=True)
    result = np.full(window.shape, np.nan)
    for i, y in enumerate(lattice.y(window)):
        for j, x in enumerate(lattice.x(window)):
            there = carry.transform(x, y)
            column = (there[0] - transform.c) / transform.a
            row = (there[1] - transform.f) / transform.e
            if not (0 <= column < values.shape[1] and 0 <= row < values.shape[0]):
                continue
            total = weight = 0.0
            for r in (int(np.floor(row - 0.5)), int(np.floor(row - 0.5)) + 1):
                for c in (int(np.floor(column - 0.5)), int(np.floor(column - 0.5)) + 1):
                    inside = 0 <= r < values.shape[0] and 0 <= c < values.shape[1]
                    if inside and np.isfinite(values[r, c]):
                        share = (1 - abs(row - 0.5 - r)) * (1 - abs(column - 0.5 - c))
                        total, weight = total + share * values[r, c], weight + share
            if weight >= 0.5:
                result[i, j] = total / weight
    return result


@cache
def carrier(source: str, target: str) -> Transformer:
    """As pyproj makes it."""
    return Transformer.from_crs(source, target, always_xy=True)


def footprint(crs: str, lattice: Lattice, row: int, column: int) -> list[tuple[float, float]]:
    """The outline of a lattice's pixel in another CRS, every side in 50 pieces."""
    carry = carrier(lattice.crs, crs)
    t = np.linspace(0, 1, 50, endpoint=False)
    across = np.concatenate([t, np.ones(50), 1 - t, np.zeros(50)])
    down = np.concatenate([np.zeros(50), t, np.ones(50), 1 - t])
    x = lattice.left + (column + across) * lattice.dx
    y = lattice.top - (row + down) * lattice.dy
    return list(zip(*carry.transform(x, y), strict=True))
