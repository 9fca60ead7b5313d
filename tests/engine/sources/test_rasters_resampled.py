# SPDX-License-Identifier: Apache-2.0
"""A user's raster on the study's grid: nearest, bilinear, and by area."""

from pathlib import Path

import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from oracles_rasters import ANSHAN, LONLAT, METRES, bilinear_by_hand, footprint, write_tiff
from pyproj import Transformer
from scipy.ndimage import map_coordinates

from rsei.engine.sources.grids import SINUSOIDAL_500M, Lattice, Window
from rsei.engine.sources.rasterfiles import open_raster
from rsei.engine.sources.rasters import (
    class_share,
    method,
    on_lattice,
)


def lonlat_extent(lattice: Lattice, window: Window) -> tuple[float, float, float, float]:
    carry = Transformer.from_crs(lattice.crs, LONLAT, always_xy=True)
    return carry.transform_bounds(*lattice.bounds(window), densify_pts=21)


def coordinates_raster(path: Path, step: float, window: Window = ANSHAN) -> dict[str, Path]:
    """Two rasters in degrees, of ``step``, whose values are their own longitude and latitude."""
    west, south, east, north = lonlat_extent(SINUSOIDAL_500M, window)
    transform = Affine(step, 0, west - 3 * step, 0, -step, north + 3 * step)
    height, width = int((north - south) / step) + 8, int((east - west) / step) + 8
    x = transform.c + (np.arange(width) + 0.5) * step
    y = transform.f - (np.arange(height) + 0.5) * step
    grids = dict(zip("xy", np.meshgrid(x, y), strict=True))
    return {
        name: write_tiff(path / f"{name}.tif", grids[name].astype(np.float64), LONLAT, transform)
        for name in grids
    }


@pytest.mark.parametrize("how", ["nearest", "bilinear", "average"])
@pytest.mark.parametrize("step", [0.02, 0.0045, 0.001])
def test_values_that_are_coordinates_stay_where_they_are(
    tmp_path: Path, how: str, step: float
) -> None:
    """The MODIS sphere and the ellipsoid: latitudes are equal numbers, nothing shifts."""
    paths = coordinates_raster(tmp_path, step)
    latitude = np.degrees(SINUSOIDAL_500M.y(ANSHAN) / 6371007.181)[:, np.newaxis]
    longitude = np.degrees(SINUSOIDAL_500M.x(ANSHAN) / 6371007.181)
    longitude = longitude / np.cos(np.radians(latitude))
    x = on_lattice(paths["x"], SINUSOIDAL_500M, ANSHAN, how)  # type: ignore[arg-type]
    y = on_lattice(paths["y"], SINUSOIDAL_500M, ANSHAN, how)  # type: ignore[arg-type]
    # float32 keeps 8e-6 degree of a longitude of 122.
    allowed = {"nearest": step / 2, "bilinear": 0, "average": step / 2}[how] + 1e-5
    if how == "average" and step == 0.001:
        allowed = step / 8
    assert np.abs(x - longitude).max() < allowed
    assert np.abs(y - latitude).max() < allowed


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32 - 1),
    step=st.floats(200, 2000),
    shift=st.floats(0, 1500),
    holes=st.floats(0, 0.6),
)
def test_bilinear_equals_the_rule_written_out(
    tmp_path: Path, seed: int, step: float, shift: float, holes: float
) -> None:
    # A grid that is the lattice to a thousandth of a pixel is taken for it, and nothing is mixed.
    assume(abs(step - METRES.dx) > 1 or 1 < shift % METRES.dx < METRES.dx - 1)
    random = np.random.default_rng(seed)
    values = random.normal(size=(12, 12)).astype(np.float32)
    values[random.random(values.shape) < holes] = np.nan
    transform = Affine(step, 0, 500_000 - shift, 0, -step, 5_000_000 + shift)
    path = write_tiff(tmp_path / "a.tif", values, METRES.crs, transform)
    window = Window(-1, -2, 9, 10)
    expected = bilinear_by_hand(values.astype(np.float64), transform, METRES.crs, METRES, window)
    found = on_lattice(path, METRES, window, "bilinear", required=False)
    assert np.allclose(found, expected, atol=1e-5, equal_nan=True)


def test_bilinear_equals_scipy_inside(tmp_path: Path) -> None:
    values = np.random.default_rng(5).normal(size=(40, 40)).astype(np.float32)
    transform = Affine(0.01, 0, 14.8, 0, -0.01, 45.3)
    path = write_tiff(tmp_path / "a.tif", values, LONLAT, transform)
    window = Window(0, 0, 30, 30)
    carry = Transformer.from_crs(METRES.crs, LONLAT, always_xy=True)
    x, y = carry.transform(*np.meshgrid(METRES.x(window), METRES.y(window)))
    rows, columns = (y - 45.3) / -0.01 - 0.5, (x - 14.8) / 0.01 - 0.5
    inside = (rows > 0) & (rows < 39) & (columns > 0) & (columns < 39)
    expected = map_coordinates(values.astype(float), [rows, columns], order=1)
    found = on_lattice(path, METRES, window, "bilinear")
    assert inside.sum() > 400
    assert np.abs(found - expected)[inside].max() < 1e-6


@pytest.mark.parametrize("how", ["nearest", "bilinear", "average", "mode", "sum"])
def test_a_pixel_does_not_depend_on_the_window(tmp_path: Path, how: str) -> None:
    values = np.random.default_rng(6).integers(0, 9, (300, 400)).astype(np.float32)
    values[values == 3] = np.nan
    west, _, _, north = lonlat_extent(SINUSOIDAL_500M, ANSHAN)
    path = write_tiff(tmp_path / "a.tif", values, LONLAT, Affine(0.003, 0, west, 0, -0.002, north))
    whole = on_lattice(path, SINUSOIDAL_500M, ANSHAN, how)  # type: ignore[arg-type]
    for rows in (1, 7, 39):
        strips = [
            on_lattice(path, SINUSOIDAL_500M, strip, how, required=False)  # type: ignore[arg-type]
            for strip in ANSHAN.strips(rows)
        ]
        assert np.array_equal(np.concatenate(strips), whole, equal_nan=True)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), factor=st.sampled_from([2, 3, 5, 16]))
def test_nested_pixels_are_averaged_exactly(tmp_path: Path, seed: int, factor: int) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(-50, 50, (6 * factor, 5 * factor)).astype(np.float32)
    values[random.random(values.shape) < 0.2] = np.nan
    step = 500 / factor
    path = write_tiff(
        tmp_path / "a.tif", values, METRES.crs, Affine(step, 0, 500_000, 0, -step, 5_000_000)
    )
    cells = values.reshape(6, factor, 5, factor)
    total = np.where(np.isfinite(cells), cells, 0).sum(axis=(1, 3))
    count = np.isfinite(cells).sum(axis=(1, 3))
    mean = np.divide(total, count, out=np.full((6, 5), np.nan), where=count > 0)
    window = Window(0, 0, 6, 5)
    assert np.allclose(on_lattice(path, METRES, window), mean, equal_nan=True, rtol=1e-6)
    amount = on_lattice(path, METRES, window, "sum")
    assert np.allclose(amount, np.where(count > 0, total, np.nan), equal_nan=True, rtol=1e-5)


@pytest.mark.parametrize(("step", "allowed"), [(0.003, 0.04), (0.0008, 0.02), (0.0003, 0.015)])
def test_area_share_equals_shapely_on_a_sheared_grid(
    tmp_path: Path, step: float, allowed: float
) -> None:
    """Square water in degrees, pixels of the sinusoidal grid: share by exact intersection."""
    window = Window(11_800, 65_400, 16, 24)
    west, south, east, north = lonlat_extent(SINUSOIDAL_500M, window)
    transform = Affine(step, 0, west, 0, -step, north)
    shape = int((north - south) / step), int((east - west) / step)
    top, bottom, left, right = shape[0] // 4, shape[0] * 3 // 4, shape[1] // 3, shape[1] * 2 // 3
    cover = np.ones(shape, dtype=np.uint8)
    cover[top:bottom, left:right] = 17
    path = write_tiff(tmp_path / "lc.tif", cover, LONLAT, transform, nodata=255)
    share = class_share(path, [17, 11], SINUSOIDAL_500M, window)
    corners = west + left * step, north - bottom * step, west + right * step, north - top * step
    lake = shapely.box(*corners)
    outlines = np.array(
        [
            shapely.Polygon(footprint(LONLAT, SINUSOIDAL_500M, window.top + i, window.left + j))
            for i in range(window.height)
            for j in range(window.width)
        ]
    ).reshape(window.shape)
    exact = shapely.area(shapely.intersection(outlines, lake)) / shapely.area(outlines)
    known = np.isfinite(share) & shapely.within(outlines, shapely.box(west, south, east, north))
    assert np.count_nonzero((exact > 0) & (exact < 1) & known) > 25
    error = np.abs(share - exact)[known]
    assert error.max() < allowed
    assert error[((exact > 0) & (exact < 1))[known]].mean() < 0.005


def test_sum_keeps_what_there_is(tmp_path: Path) -> None:
    people = np.random.default_rng(8).random((20, 30)).astype(np.float32)
    west, _, _, north = lonlat_extent(SINUSOIDAL_500M, ANSHAN)
    transform = Affine(0.004, 0, west + 0.1, 0, -0.003, north - 0.05)
    path = write_tiff(tmp_path / "pop.tif", people, LONLAT, transform)
    found = on_lattice(path, SINUSOIDAL_500M, ANSHAN.grown(30), "sum")
    assert np.nansum(found) == pytest.approx(people.sum(), rel=2e-3)


def test_mode_is_the_largest_share(tmp_path: Path) -> None:
    values = np.full((4, 8), 7, dtype=np.uint8)
    values[:, 4:] = [2, 2, 5, 5]
    values[0, :4] = 255
    path = write_tiff(
        tmp_path / "a.tif",
        values,
        METRES.crs,
        Affine(125, 0, 500_000, 0, -125, 5_000_000),
        nodata=255,
    )
    assert on_lattice(path, METRES, Window(0, 0, 1, 2), "mode").tolist() == [[7, 2]]


def test_auto_copies_then_interpolates_then_averages(tmp_path: Path) -> None:
    window = Window(0, 0, 4, 4)
    for step, expected in ((500, "bilinear"), (501, "bilinear"), (400, "average")):
        path = write_tiff(
            tmp_path / f"{step}.tif",
            np.ones((9, 9), np.float32),
            METRES.crs,
            Affine(step, 0, 500_000, 0, -step, 5_000_000),
        )
        assert method(open_raster(path), METRES, window) == expected
    values = np.random.default_rng(1).normal(size=(9, 9)).astype(np.float32)
    path = write_tiff(
        tmp_path / "same.tif", values, METRES.crs, Affine(500, 0, 499_000, 0, -500, 5_001_000)
    )
    for how in ("auto", "nearest", "bilinear", "average", "mode", "sum"):
        copy = on_lattice(path, METRES, Window(0, 0, 9, 3), how)
        assert np.array_equal(copy[:7], values[2:, 2:5])
        assert np.isnan(copy[7:]).all()
