# SPDX-License-Identifier: Apache-2.0
"""Pictures for the eye lie where they say: tried with maps whose values are their own places."""

import base64
import json
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import rasterio.warp
import shapely
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from rsei.engine.report.findings import Layer
from rsei.engine.report.maps import Sheet, draw_map, marks, round_step
from rsei.engine.report.nearest import brought
from rsei.engine.report.overlays import LEVELS, MERCATOR, _grid, levels, outline, picture
from rsei.engine.report.style import RSEI_MAP
from rsei.engine.sources.grids import LONLAT, SINUSOIDAL_500M, Window, carrier, tile_window

TILE = tile_window("h27v05")
WINDOW = Window(TILE.top + 300, TILE.left + 400, 120, 150)


def places(which: int) -> Layer:
    """A map of longitude or latitude where the sinusoidal grid is sheared by 45 degrees."""
    x, y = np.meshgrid(SINUSOIDAL_500M.x(WINDOW), SINUSOIDAL_500M.y(WINDOW))
    degrees = carrier(SINUSOIDAL_500M.crs, LONLAT).transform(x, y)
    layer = degrees[which].astype(np.float32)
    return Layer(layer, SINUSOIDAL_500M.crs, SINUSOIDAL_500M.transform(WINDOW))


def centres(transform: Any, shape: tuple[int, int], crs: str) -> list[NDArray[np.float64]]:
    x = transform.c + (np.arange(shape[1]) + 0.5) * transform.a
    y = transform.f + (np.arange(shape[0]) + 0.5) * transform.e
    found = carrier(crs, LONLAT).transform(*np.meshgrid(x, y))
    return [np.asarray(one) for one in found]


@pytest.mark.parametrize("which", [0, 1], ids=["longitude", "latitude"])
def test_a_picture_shows_each_pixel_in_its_place(which: int) -> None:
    layer = places(which)
    sheet = Sheet.of(layer)
    seen, true = sheet.picture(layer), centres(sheet.transform, sheet.shape, sheet.crs)[which]
    off = np.abs(seen - true)[np.isfinite(seen)]
    # Half a pixel of 463 m, along rows that are sheared by up to 1 : 1, is 0.006 degrees.
    assert off.size > 0.3 * seen.size and off.max() < 0.0065


@pytest.mark.parametrize("which", [0, 1], ids=["longitude", "latitude"])
def test_a_picture_on_screen_does_too(which: int) -> None:
    layer = places(which)
    grid = _grid(layer)
    seen = brought(layer, grid, np.nan)
    true = centres(grid.transform, grid.shape, MERCATOR)[which]
    off = np.abs(seen - true)[np.isfinite(seen)]
    assert off.size > 0.2 * seen.size and off.max() < 0.0065


def test_every_pixel_is_on_the_sheet() -> None:
    """The sheet holds all pixels, though it is half as fine again as the grid."""
    layer = places(0)
    numbered = Layer(
        np.arange(layer.values.size, dtype=np.float32).reshape(layer.values.shape),
        layer.crs,
        layer.transform,
    )
    seen = Sheet.of(numbered).picture(numbered)
    assert len(np.unique(seen[np.isfinite(seen)])) > 0.995 * layer.values.size


def test_pixels_are_those_that_gdal_finds_nearest() -> None:
    """Numbers of pixels, carried once for every epoch, pick what their values would."""
    layer, rng = places(0), np.random.default_rng(2)
    holes = np.where(rng.random(layer.values.shape) < 0.3, np.nan, layer.values)
    layer, grid = Layer(holes.astype(np.float32), layer.crs, layer.transform), _grid(layer)
    there = np.full(grid.shape, np.nan, np.float32)
    place = {"src_transform": layer.transform, "src_crs": layer.crs, "src_nodata": np.nan}
    into = {"dst_transform": grid.transform, "dst_crs": grid.crs, "dst_nodata": np.nan}
    rasterio.warp.reproject(layer.values, there, **place, **into)
    np.testing.assert_array_equal(brought(layer, grid, np.nan), there)
    assert np.isfinite(there).sum() > 0.1 * there.size


@pytest.mark.parametrize("norm", [None, BoundaryNorm([0, 0.5, 1], 256)], ids=["ramp", "classes"])
def test_a_place_without_a_value_has_no_colour(norm: Any) -> None:
    layer = places(0)
    layer.values[:40] = np.nan
    layer.values[40:] = 0.25
    sheet = Sheet.of(layer)
    axes, look = Figure().subplots(), {"norm": norm} if norm else {"vmin": 0, "vmax": 1}
    drawn = draw_map(axes, sheet, sheet.picture(layer), None, cmap=RSEI_MAP, **look)
    opaque = np.asarray(axes.images[0].get_array())[..., 3] > 0
    np.testing.assert_array_equal(opaque, np.isfinite(sheet.picture(layer)))
    colour = np.asarray(axes.images[0].get_array())[opaque]
    assert (colour == drawn.to_rgba(np.array([0.25], np.float32), bytes=True)).all()


def test_an_empty_map_has_a_sheet() -> None:
    layer = places(0)
    blank = Layer(np.full_like(layer.values, np.nan), layer.crs, layer.transform)
    assert not np.isfinite(Sheet.of(blank).picture(blank)).any()


@given(st.floats(-179, 170), st.floats(0.05, 9))
def test_marks_are_few_and_within(low: float, extent: float) -> None:
    angles = np.linspace(low, low + extent, 50)
    at, labels = marks(angles, "EW", 4)
    assert 1 <= len(at) <= 4 and len(labels) == len(set(labels)) == len(at)
    assert (at >= angles[0] - 1e-9).all() and (at <= angles[-1] + 1e-9).all()


@given(st.floats(1e-6, 1e9))
def test_round_steps_are_at_most_what_was_wanted(wanted: float) -> None:
    step = round_step(wanted)
    assert step <= wanted * (1 + 1e-8) and step > wanted / 2.51


@given(st.lists(st.floats(0, 1, width=32) | st.just(np.nan), min_size=1, max_size=50))
def test_a_picture_keeps_the_index_to_half_a_hundredth(values: list[float]) -> None:
    rsei = np.array([values], np.float32)
    data = base64.b64decode(picture(levels(rsei)).split(",")[1])
    with Image.open(BytesIO(data)) as image:
        steps = np.asarray(image)[..., 0]
    np.testing.assert_array_equal(steps == 0, np.isnan(rsei))
    told = (steps[steps > 0].astype(float) - 1) / LEVELS
    np.testing.assert_allclose(told, rsei[np.isfinite(rsei)], atol=0.5 / LEVELS + 1e-7)


def test_an_outline_keeps_its_place() -> None:
    circle = shapely.Point(120, 40).buffer(0.3, quad_segs=400)
    thin = shapely.from_geojson(json.dumps(outline(circle)))
    assert shapely.hausdorff_distance(circle, thin) < 0.0008
    assert shapely.get_num_coordinates(thin) < shapely.get_num_coordinates(circle) / 5
