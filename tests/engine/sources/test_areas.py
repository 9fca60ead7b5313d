# SPDX-License-Identifier: Apache-2.0
"""Areas and their pixels: against brute force, equal-area sizes and the seven real cities."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pyproj import Transformer

from rsei.engine.sources.areas import (
    Area,
    areas,
    distinct,
    inside,
    require_pixels,
    slug,
    tiles_of,
    window_of,
)
from rsei.engine.sources.errors import BoundaryError
from rsei.engine.sources.grids import LONLAT, SINUSOIDAL_500M, Lattice, Window, tile_window

TILES = {
    "210300": ["h27v04"],
    "130400": ["h27v05"],
    "130200": ["h26v04", "h27v04", "h27v05"],
    "420200": ["h27v05", "h27v06", "h28v06"],
    "340500": ["h28v05"],
    "510400": ["h27v06"],
    "469026": ["h28v07"],
}
"""The tiles of each real city. Source: docs/explanation/method.md."""


def city(real_data: Path, code: str) -> Area:
    (area,) = areas(real_data / "cities" / f"{code}.geojson", code)
    return area


def brute_force(area: Area, lattice: Lattice, window: Window) -> NDArray[np.bool_]:
    """Every centre carried by itself, the boundary not prepared."""
    carry = Transformer.from_crs(lattice.crs, area.crs, always_xy=True)
    points = [carry.transform(x, y) for y in lattice.y(window) for x in lattice.x(window)]
    found = np.array([area.geometry.contains(shapely.Point(point)) for point in points])
    return found.reshape(window.shape)


@pytest.mark.parametrize("code", TILES)
def test_city_lies_in_the_tiles_of_the_study(real_data: Path, code: str) -> None:
    assert tiles_of(city(real_data, code)) == TILES[code]


@pytest.mark.parametrize("code", TILES)
def test_count_of_pixels_is_the_area_on_an_equal_area_map(real_data: Path, code: str) -> None:
    area = city(real_data, code)
    mask = inside(area, SINUSOIDAL_500M, window_of(area, SINUSOIDAL_500M))
    albers = gpd.GeoSeries([area.geometry], crs=area.crs).to_crs("ESRI:102025")
    square_metres = albers.area[0]
    # The sphere stands for the ellipsoid: areas differ by up to 0.5 %, and the edge by chance.
    chance = 0.5 * np.sqrt(albers.length[0] / SINUSOIDAL_500M.dx)
    expected = square_metres / (SINUSOIDAL_500M.dx * SINUSOIDAL_500M.dy)
    assert mask.sum() == pytest.approx(expected, rel=0.005, abs=chance)


@pytest.mark.parametrize("code", TILES)
def test_window_bounds_exactly_the_pixels_inside(real_data: Path, code: str) -> None:
    area = city(real_data, code)
    window = window_of(area, SINUSOIDAL_500M)
    outer = window.grown(25)
    mask = inside(area, SINUSOIDAL_500M, outer)
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    assert (window.top, window.bottom) == (outer.top + rows[0], outer.top + rows[-1] + 1)
    assert (window.left, window.right) == (outer.left + columns[0], outer.left + columns[-1] + 1)


def test_mask_equals_brute_force(real_data: Path) -> None:
    area = city(real_data, "210300")
    window = Window(11800, 65500, 60, 90)
    expected = brute_force(area, SINUSOIDAL_500M, window)
    assert 0 < expected.sum() < expected.size
    assert np.array_equal(inside(area, SINUSOIDAL_500M, window), expected)


def test_the_boundary_is_not_carried_by_its_corners(real_data: Path) -> None:
    """A box around Anshan, its four corners carried to the sinusoidal grid, is another area."""
    west, south, east, north = city(real_data, "210300").geometry.bounds
    (area,) = areas([west, south, east, north], "box")
    window = window_of(area, SINUSOIDAL_500M)
    carry = Transformer.from_crs(LONLAT, SINUSOIDAL_500M.crs, always_xy=True)
    corners = list(shapely.box(west, south, east, north).exterior.coords)
    wrong = shapely.Polygon([carry.transform(x, y) for x, y in corners])
    centres = np.meshgrid(SINUSOIDAL_500M.x(window), SINUSOIDAL_500M.y(window))
    misplaced = inside(area, SINUSOIDAL_500M, window) != shapely.contains_xy(wrong, *centres)
    assert misplaced.sum() > 900


@settings(max_examples=40)
@given(
    west=st.floats(-179, 178),
    south=st.floats(-75, 74),
    wide=st.floats(0.05, 0.6),
    high=st.floats(0.05, 0.6),
)
def test_window_holds_every_pixel_of_a_box_anywhere(
    west: float, south: float, wide: float, high: float
) -> None:
    (area,) = areas([west, south, west + wide, south + high], "box")
    window = window_of(area, SINUSOIDAL_500M)
    lattice = SINUSOIDAL_500M
    latitude = np.degrees(lattice.y(window.grown(3)) / 6371007.181)[:, np.newaxis]
    longitude = np.degrees(lattice.x(window.grown(3)) / 6371007.181) / np.cos(np.radians(latitude))
    expected = (longitude > west) & (longitude < west + wide)
    expected &= (latitude > south) & (latitude < south + high)
    found = inside(area, lattice, window.grown(3))
    # A centre within 1e-9 degree of an edge may fall on either side.
    assert np.count_nonzero(found != expected) <= 1
    assert expected[3:-3, 3:-3].sum() == expected.sum()


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_mask_is_the_same_in_strips(real_data: Path, rows: int) -> None:
    area = city(real_data, "469026")
    window = window_of(area, SINUSOIDAL_500M)
    strips = [inside(area, SINUSOIDAL_500M, strip) for strip in window.strips(rows)]
    assert np.array_equal(np.concatenate(strips), inside(area, SINUSOIDAL_500M, window))


def test_pixels_beyond_the_edge_of_the_globe_are_outside() -> None:
    (area,) = areas([-180, 60, -178, 61], "Chukotka")
    east = tile_window("h27v02")
    x = SINUSOIDAL_500M.x(east)
    latitude = np.radians(60.5)
    assert x[-1] > 6371007.181 * np.pi * np.cos(latitude)
    assert not inside(area, SINUSOIDAL_500M, east).any()
    assert window_of(area, SINUSOIDAL_500M).right <= 86400 // 2


def test_a_centre_on_the_boundary_is_outside() -> None:
    lattice = Lattice("EPSG:32633", 0, 10, 1, 1)
    area = Area("a", "a", shapely.box(0.5, 0.5, 3.5, 3.5), "EPSG:32633")
    assert inside(area, lattice, Window(0, 0, 10, 5)).sum() == 4


def test_neighbours_share_no_pixel(real_data: Path) -> None:
    found = areas(real_data / "drivers" / "sao-miguel" / "concelhos.gpkg", "island", "name")
    assert len(found) == 6
    (whole,) = areas(real_data / "drivers" / "sao-miguel" / "concelhos.gpkg", "island")
    window = window_of(whole, SINUSOIDAL_500M)
    layers = np.array([inside(area, SINUSOIDAL_500M, window) for area in found])
    assert layers.sum(axis=0).max() == 1
    assert np.array_equal(layers.any(axis=0), inside(whole, SINUSOIDAL_500M, window))


def test_area_without_a_pixel_is_an_error() -> None:
    (area,) = areas([100.0001, 30.0001, 100.0002, 30.0002], "garden")
    with pytest.raises(BoundaryError, match="garden: expected at least one pixel"):
        window_of(area, SINUSOIDAL_500M)


def test_area_outside_the_granules_gives_both_extents(real_data: Path) -> None:
    area = city(real_data, "210300")
    with pytest.raises(BoundaryError) as caught:
        require_pixels(area, SINUSOIDAL_500M, [tile_window("h18v04")])
    assert "122.192 to 123.770 E, 40.000 to 41.570 N" in str(caught.value)
    assert "0.000 to 15.557 E, 40.000 to 50.000 N" in str(caught.value)
    window = require_pixels(area, SINUSOIDAL_500M, [tile_window("h27v04")])
    assert window == window_of(area, SINUSOIDAL_500M)


def test_metres_passed_off_as_degrees_are_an_error() -> None:
    area = Area("x", "x", shapely.box(5e5, 4e6, 6e5, 5e6), "EPSG:4326")
    with pytest.raises(BoundaryError, match="check its coordinate system"):
        window_of(area, SINUSOIDAL_500M)


@pytest.mark.parametrize(
    "bounds", [[1, 2, 3], [3, 0, 1, 2], [0, 2, 1, 1], [0, 0, 400, 1], [0, 0, float("nan"), 1]]
)
def test_bad_bounds_name_the_rule(bounds: list[float]) -> None:
    with pytest.raises(BoundaryError, match="west < east"):
        areas(bounds, "box")


def test_field_of_names(tmp_path: Path) -> None:
    path = tmp_path / "cities.gpkg"
    boxes = [shapely.box(i, 0, i + 1, 1) for i in (0, 1, 5)]
    frame = gpd.GeoDataFrame({"city": ["B", "A", "B"]}, geometry=boxes, crs="EPSG:4326")
    frame.to_file(path)
    found = areas(path, "ignored", name_field="city")
    assert [area.name for area in found] == ["B", "A"]
    assert [area.geometry.area for area in found] == [2, 1]
    with pytest.raises(BoundaryError, match="expected a field 'town', found city"):
        areas(path, "ignored", name_field="town")
    frame.assign(city=["a b", "a-b", None]).to_file(path)
    with pytest.raises(BoundaryError, match="found blanks"):
        areas(path, "ignored", name_field="city")
    frame.assign(city=["a b", "a-b", "c"]).to_file(path)
    with pytest.raises(BoundaryError, match="'a b' and 'a-b', both 'a-b' in paths"):
        areas(path, "ignored", name_field="city")


def test_same_slug_in_two_areas_is_an_error() -> None:
    pair = areas([0, 0, 1, 1], "Huángshí") + areas([1, 0, 2, 1], "huangshi")
    with pytest.raises(BoundaryError, match="rename one"):
        distinct(pair)


@given(st.text(min_size=1))
def test_slug_is_a_safe_file_name(name: str) -> None:
    text = slug(name)
    assert 0 < len(text) <= 64
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not text.startswith("-")
