# SPDX-License-Identifier: Apache-2.0
"""Shares of pixels in polygons, by other people's geometry."""

from typing import Any

import numpy as np
import shapely
from exactextract import exact_extract
from exactextract.raster import NumPyRasterSource
from numpy.typing import NDArray

from rsei.engine.sources.grids import Lattice, Window


def pixel_boxes(lattice: Lattice, window: Window) -> NDArray[Any]:
    """Every pixel as a polygon, (h w,), in the lattice's CRS."""
    x, y = np.meshgrid(lattice.x(window), lattice.y(window))
    half_x, half_y = lattice.dx / 2, lattice.dy / 2
    boxes: NDArray[Any] = shapely.box(x - half_x, y - half_y, x + half_x, y + half_y).ravel()
    return boxes


def by_shapely(shape: shapely.Geometry, lattice: Lattice, window: Window) -> NDArray[np.float64]:
    """Share of each pixel in ``shape``, (h w,), one intersection a pixel."""
    boxes = pixel_boxes(lattice, window)
    near = shapely.intersects(shape, boxes)
    share = np.zeros(len(boxes))
    share[near] = shapely.area(shapely.intersection(shape, boxes[near])) / (lattice.dx * lattice.dy)
    return share


def features(shapes: NDArray[Any]) -> list[dict[str, Any]]:
    """GeoJSON features, as exactextract takes them."""
    return [
        {"type": "Feature", "id": k, "properties": {}, "geometry": shapely.geometry.mapping(shape)}
        for k, shape in enumerate(shapes)
    ]


def by_exactextract(
    shapes: NDArray[Any], lattice: Lattice, window: Window, layer: NDArray[Any], what: list[str]
) -> list[dict[str, Any]]:
    """What exactextract finds of ``layer`` over each shape."""
    left, bottom, right, top = lattice.bounds(window)
    source = NumPyRasterSource(layer, xmin=left, ymin=bottom, xmax=right, ymax=top, nodata=np.nan)
    return [found["properties"] for found in exact_extract(source, features(shapes), what)]
