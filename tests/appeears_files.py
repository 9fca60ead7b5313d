# SPDX-License-Identifier: Apache-2.0
"""Layers as AppEEARS cuts them: one GeoTIFF each, on a grid of the request's own."""

from pathlib import Path
from typing import Any

import rasterio
from affine import Affine
from numpy.typing import NDArray

from rsei.engine.sources.products import products

STEP = 0.0041666666667
"""Degrees that stand for 500 m."""


def write_tiff(
    path: Path, array: NDArray[Any], transform: Affine, crs: str, **profile: Any
) -> Path:
    """One band as a GeoTIFF; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = array.shape
    form = {"driver": "GTiff", "height": height, "width": width, "count": 1, "dtype": array.dtype}
    with rasterio.open(path, "w", transform=transform, crs=crs, **form | profile) as file:
        file.write(array, 1)
    return path


def appeears(
    folder: Path,
    product: str,
    layer: str,
    array: NDArray[Any],
    shift: tuple[float, float] = (0, 0),
    **profile: Any,
) -> Path:
    """A layer as AppEEARS cuts it, shifted by (columns, rows) of 500 m."""
    known = products()[product]
    side = STEP * known.pixel / 500
    left, top = 110 + shift[0] * STEP, 36 - shift[1] * STEP
    stored = known.layer(layer).stored.replace(" ", "_")
    stored = "_" + stored if stored[0].isdigit() else stored
    path = folder / f"{product}.061_{stored}_doy2022161000000_aid0001.tif"
    return write_tiff(path, array, Affine(side, 0, left, 0, -side, top), "EPSG:4326", **profile)
