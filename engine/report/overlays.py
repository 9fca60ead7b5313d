# SPDX-License-Identifier: Apache-2.0
"""Maps on screen: pixels in web Mercator as grey pictures, and outlines thin enough to send."""

import base64
import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import rasterio.warp
import shapely
from affine import Affine
from numpy.typing import NDArray
from PIL import Image
from shapely.geometry.base import BaseGeometry

from ..sources.grids import LONLAT, carrier
from .findings import Layer, Site
from .nearest import Grid, brought
from .style import reach

MERCATOR = "EPSG:3857"
"""The system in which the page draws."""

LEVELS = 100
"""Steps of RSEI from 0 to 1 in a picture: 1 is RSEI 0, 101 is RSEI 1, 0 is no value.

Hundredths are what a reader is told, and the noise below them would double the page.
"""

MOST = 900
"""Greatest number of pixels along a side of a picture."""

FINE = 0.0006
"""Tolerance of outlines, degrees: about 60 m, an eighth of a pixel."""


TREND_LEVELS = 200
"""Steps of a slope from the steepest fall, 1, to the steepest rise, 201; 0 is no value."""


def overlay(site: Site, fineness: float = 1.0) -> dict[str, Any]:
    """What the page's map needs of a site, as JSON values; its pixels are 1 / ``fineness`` wide."""
    most = 3 * MOST // 2
    maps = {epoch: _stepped(site.rsei(epoch, most)) for epoch in site.epochs}
    grid = _grid(trimmed(list(maps.values())), fineness)
    layers = {epoch: brought(layer, grid, 0) for epoch, layer in maps.items()}
    rows, columns = seen(list(layers.values()))
    slope = site.slope(most)
    trend = None if slope is None else _trend(brought(slope, grid, np.nan)[rows, columns])
    layers = {epoch: layer[rows, columns] for epoch, layer in layers.items()}
    west, north = _degrees(grid.transform, columns.start, rows.start)
    east, south = _degrees(grid.transform, columns.stop, rows.stop)
    return {
        "name": site.name,
        "slug": site.slug,
        "epochs": [str(epoch) for epoch in site.epochs],
        "bounds": [[south, west], [north, east]],
        "images": {str(epoch): picture(layer) for epoch, layer in layers.items()},
        "trend": trend,
        "outline": outline(site.outline),
        "mines": outline(shapely.MultiPolygon(_polygons(site.mines)) if site.mines else None),
    }


def _stepped(layer: Layer) -> Layer:
    """A map in steps of the picture, a quarter of its bytes."""
    return replace(layer, values=levels(layer.values))


def _trend(slope: NDArray[np.float32]) -> dict[str, Any]:
    """A picture of slopes, and the greatest that has a step of its own, RSEI a year."""
    widest, known = reach(slope, 0), np.isfinite(slope)
    share = np.clip(np.where(known, slope, 0) / widest, -1, 1)
    steps = np.where(known, 1 + np.rint((share + 1) * (TREND_LEVELS // 2)), 0)
    return {"image": picture(steps.astype(np.uint8)), "reach": widest}


def trimmed(layers: list[Layer]) -> Layer:
    """The first of some maps of one grid, in steps, cut to the pixels that are valid in any."""
    first = layers[0]
    known = np.logical_or.reduce([layer.values > 0 for layer in layers])
    if not known.any():
        return first
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    top, left = int(rows[0]), int(columns[0])
    part = first.values[top : rows[-1] + 1, left : columns[-1] + 1]
    step, down = first.transform.a, first.transform.e
    corner = first.transform.c + left * step, first.transform.f + top * down
    return Layer(part, first.crs, Affine(step, 0, corner[0], 0, down, corner[1]))


def seen(layers: list[NDArray[np.uint8]]) -> tuple[slice, slice]:
    """Rows and columns around every pixel with a value; a sheared grid leaves wide margins."""
    known = np.logical_or.reduce([layer > 0 for layer in layers])
    if not known.any():
        return slice(0, known.shape[0]), slice(0, known.shape[1])
    rows, columns = np.flatnonzero(known.any(axis=1)), np.flatnonzero(known.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _polygons(shapes: tuple[BaseGeometry, ...]) -> list[shapely.Polygon]:
    parts = shapely.get_parts(list(shapes))
    return [part for part in parts if part.geom_type == "Polygon"]


def _grid(layer: Layer, fineness: float = 1.0) -> Grid:
    """A grid in web Mercator, about as fine as ``layer`` or coarser."""
    rows, columns = layer.values.shape
    left, top = layer.transform.c, layer.transform.f
    right, bottom = left + columns * layer.transform.a, top + rows * layer.transform.e
    box = rasterio.warp.transform_bounds(layer.crs, MERCATOR, left, bottom, right, top)
    # A pixel covers some 1 / cos(latitude) metres of Mercator: take the finer of both its sides.
    step = (box[3] - box[1]) / rows / fineness
    step = max(step, (box[2] - box[0]) / MOST, (box[3] - box[1]) / MOST)
    shape = int(np.ceil((box[3] - box[1]) / step)), int(np.ceil((box[2] - box[0]) / step))
    return Grid(MERCATOR, Affine(step, 0, box[0], 0, -step, box[3]), shape)


def _degrees(transform: Affine, column: float, row: float) -> tuple[float, float]:
    x, y = transform.c + column * transform.a, transform.f + row * transform.e
    lon, lat = carrier(MERCATOR, LONLAT).transform(x, y)
    return round(float(lon), 6), round(float(lat), 6)


def levels(rsei: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RSEI as steps of a picture.

    >>> levels(np.array([[np.nan, 0, 0.5, 1]], np.float32))
    array([[  0,   1,  51, 101]], dtype=uint8)
    """
    known = np.isfinite(rsei)
    steps = 1 + np.rint(np.clip(np.where(known, rsei, 0), 0, 1) * LEVELS)
    return np.where(known, steps, 0).astype(np.uint8)


def picture(values: NDArray[np.uint8]) -> str:
    """A grey picture as a data URL: every browser unpacks it to the very same numbers.

    WebP without loss is shorter than PNG.
    """
    buffer = io.BytesIO()
    Image.fromarray(values, "L").convert("RGB").save(buffer, "WEBP", lossless=True)
    return data_url("image/webp", buffer.getvalue())


def data_url(kind: str, data: bytes) -> str:
    """Bytes as a URL that needs no network."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def outline(shape: BaseGeometry | None) -> Any:
    """A geometry in degrees as GeoJSON, simplified and rounded to 1e-5; None without one."""
    if shape is None or shape.is_empty:
        return None
    thin = shapely.simplify(shape, FINE, preserve_topology=True)
    return json.loads(shapely.to_geojson(shapely.set_precision(thin, 1e-5, mode="pointwise")))
