# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import geopandas as gpd
import numpy as np
import oracles_coverage as oracle
import pytest
import shapely
from conftest import Home
from hypothesis import given, settings
from hypothesis import strategies as st

from rsei.engine.analysis import zones
from rsei.engine.analysis.polygons import areas_km2, carried
from rsei.engine.analysis.zones import Coverage, label_statistics, labels_of, pixel_areas
from rsei.engine.sources.errors import BoundaryError
from rsei.engine.sources.grids import SINUSOIDAL_500M, Lattice, Window
from rsei.kernels.zonal import Runs

PLANE = Lattice("EPSG:32650", 400_000.0, 4_400_000.0, 500.0, 500.0)
WINDOW = Window(3, 5, 20, 30)
CITIES = ["210300", "130400", "420200", "340500", "510400", "130200", "469026"]


def in_plane(*polygons: str) -> list[shapely.Geometry]:
    """Polygons given in columns and rows of the lattice."""
    shapes = shapely.from_wkt(list(polygons))
    corner, size = np.array([PLANE.left, PLANE.top]), np.array([PLANE.dx, -PLANE.dy])
    return list(shapely.transform(shapes, lambda points: corner + points * size))


def coverage(*polygons: str) -> Coverage:
    return Coverage.of(in_plane(*polygons), PLANE.crs, PLANE, WINDOW)


def test_known_shares() -> None:
    found = coverage(
        "POLYGON ((6 4, 9 4, 9 6, 6 6, 6 4))",  # whole pixels
        "POLYGON ((6 4, 7 4, 7 5, 6 4))",  # half of one
        "POLYGON ((6.25 4.25, 6.5 4.25, 6.5 4.5, 6.25 4.5, 6.25 4.25))",  # within one
        "POLYGON ((5 3, 35 3, 35 23, 5 23, 5 3), (8 8, 9 8, 9 9, 8 9, 8 8))",  # all but a hole
    )
    np.testing.assert_array_equal(found.sizes, [6, 0.5, 0.0625, 599])
    assert found.reasons == ("", "", "", "")
    pixels, weights = found.entries(1)
    assert (pixels.tolist(), weights.tolist()) == ([31], [0.5])
    assert set(range(600)) - set(found.entries(3)[0].tolist()) == {5 * 30 + 3}


def test_zones_without_pixel_keep_their_row() -> None:
    shapes = in_plane("POLYGON ((0 0, 1 0, 1 1, 0 0))", "POLYGON EMPTY", "LINESTRING (6 4, 9 9)")
    found = Coverage.of([*shapes, None, *in_plane("POINT (7 7)")], PLANE.crs, PLANE, WINDOW)
    table = found.statistics(np.ones(WINDOW.shape, np.float32))
    assert table["reason"].tolist() == ["outside", "empty", "empty", "empty", "empty"]
    assert (table["n"] == 0).all() and table["mean"].isna().all()


def test_a_zone_whose_pixels_are_all_missing_says_so() -> None:
    layer = np.ones(WINDOW.shape, np.float32)
    layer[1, 1] = np.nan
    table = coverage("POLYGON ((6 4, 7 4, 7 5, 6 4))").statistics(layer)
    assert (table.loc[0, "n"], table.loc[0, "reason"]) == (0, "no value")


def test_overlapping_zones_are_each_their_own() -> None:
    same = "POLYGON ((7.3 5.1, 15.2 6, 9.7 14.4, 7.3 5.1))"
    found = coverage(same, same)
    assert found.sizes[0] == found.sizes[1] > 0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(0, 40), st.floats(0, 30)), min_size=3, max_size=12))
def test_any_polygon_equals_shapely(points: list[tuple[float, float]]) -> None:
    polygon = shapely.make_valid(shapely.Polygon(points))
    shapes = carried(in_plane(polygon.wkt), PLANE.crs, PLANE.crs, 1)
    found = Coverage.of(shapes, PLANE.crs, PLANE, WINDOW)
    share = np.zeros(WINDOW.size)
    pixels, weights = found.entries(0)
    share[pixels] = weights
    expected = oracle.by_shapely(shapes[0], PLANE, WINDOW)
    np.testing.assert_allclose(share, expected, rtol=0, atol=1e-9)


@settings(max_examples=20)
@given(st.integers(1, 19), st.integers(1, 29))
def test_parts_of_a_window_add_up(row: int, column: int) -> None:
    shapes = in_plane("POLYGON ((4 2, 36.3 5.2, 20 27, 17.7 11.1, 4 2))")
    whole = Coverage.of(shapes, PLANE.crs, PLANE, WINDOW).sizes
    parts = [
        Window(3 + top, 5 + left, height, width)
        for top, height in ((0, row), (row, 20 - row))
        for left, width in ((0, column), (column, 30 - column))
    ]
    summed = sum(Coverage.of(shapes, PLANE.crs, PLANE, part).sizes for part in parts)
    np.testing.assert_allclose(summed, whole, rtol=1e-12)


@pytest.mark.parametrize("code", CITIES)
def test_a_real_city_is_its_own_area(real_data: Path, code: str) -> None:
    city = gpd.read_file(real_data / "cities" / f"{code}.geojson").geometry.values
    lattice = SINUSOIDAL_500M
    shape = carried(city, "EPSG:4326", lattice.crs, zones.BEND * lattice.dx)
    window = lattice.bounding(*shape[0].bounds)
    found = Coverage.of(city, "EPSG:4326", lattice, window)
    area = shapely.area(shape[0]) / (lattice.dx * lattice.dy)
    assert found.sizes[0] == pytest.approx(area, rel=1e-12)
    exact = oracle.by_exactextract(
        shape, lattice, window, np.ones(window.shape, np.float32), ["count"]
    )
    assert found.sizes[0] == pytest.approx(exact[0]["count"], rel=1e-6)


def test_real_mines_equal_shapely_at_every_pixel(real_data: Path) -> None:
    file = real_data / "mines" / "gem_coal_mine_boundaries_Tangshan_Panzhihua.geojson"
    mines = gpd.read_file(file).geometry.values
    lattice = SINUSOIDAL_500M
    shapes = carried(mines, "EPSG:4326", lattice.crs, zones.BEND * lattice.dx)
    for mine, shape in zip(mines, shapes, strict=True):
        window = lattice.bounding(*shape.bounds).grown(1)
        found = Coverage.of([mine], "EPSG:4326", lattice, window)
        share = np.zeros(window.size)
        pixels, weights = found.entries(0)
        share[pixels] = weights
        expected = oracle.by_shapely(shape, lattice, window)
        np.testing.assert_allclose(share, expected, rtol=0, atol=1e-9)
        layer = np.arange(window.size, dtype=np.float64).reshape(window.shape)
        exact = oracle.by_exactextract(
            np.array([shape]), lattice, window, layer, ["cell_id", "coverage"]
        )[0]
        np.testing.assert_allclose(share[exact["cell_id"]], exact["coverage"], rtol=0, atol=1e-6)


def test_repaired_mines_of_the_world(real_data: Path) -> None:
    file = real_data / "mines" / "gem_coal_mine_boundaries_v1.0.1.geojson"
    mines = gpd.read_file(file).geometry.values
    assert (~shapely.is_valid(mines)).sum() == 4
    lattice = SINUSOIDAL_500M
    shapes = carried(mines, "EPSG:4326", lattice.crs, zones.BEND * lattice.dx)
    window = lattice.bounding(*shapely.total_bounds(shapes))
    found = Coverage.of(mines, "EPSG:4326", lattice, window)
    np.testing.assert_allclose(
        found.sizes * lattice.dx * lattice.dy, shapely.area(shapes), rtol=1e-9
    )


def test_municipalities_of_an_island(real_data: Path) -> None:
    towns = gpd.read_file(real_data / "drivers/sao-miguel/concelhos.gpkg").geometry.values
    lattice = Lattice("EPSG:4326", -25.9, 38.0, 0.004, 0.003)
    window = lattice.bounding(*shapely.total_bounds(towns)).grown(1)
    layer = np.random.default_rng(1).random(window.shape, np.float32)
    layer[::7, ::5] = np.nan
    found = Coverage.of(towns, "EPSG:4326", lattice, window).statistics(layer)
    shapes = carried(towns, "EPSG:4326", lattice.crs, 1)
    exact = oracle.by_exactextract(
        shapes, lattice, window, layer, ["count", "mean", "stdev", "min", "max"]
    )
    for column, theirs in zip(
        ["n", "mean", "std", "min", "max"], ["count", "mean", "stdev", "min", "max"], strict=True
    ):
        expected = [row[theirs] for row in exact]
        np.testing.assert_allclose(found[column], expected, rtol=1e-6, err_msg=column)


def test_straight_edges_in_degrees_stay_straight_in_degrees() -> None:
    box = shapely.box(100, 30, 104, 33)  # its meridians are curves of the sinusoidal grid
    shape = carried([box], "EPSG:4326", SINUSOIDAL_500M.crs, 0.05)[0]
    dense = carried([shapely.segmentize(box, 0.01)], "EPSG:4326", SINUSOIDAL_500M.crs, 1e6)[0]
    points = shapely.points(shapely.get_coordinates(dense))
    assert 0.001 < shape.exterior.distance(points).max() < 0.05
    assert shapely.get_num_coordinates(carried([box], "EPSG:4326", "EPSG:3857", 0.05)[0]) == 5


def test_the_course_of_an_edge_does_not_depend_on_other_zones() -> None:
    box, wide = shapely.box(100, 30, 101, 31), shapely.box(70, 10, 150, 60)
    alone = carried([box], "EPSG:4326", SINUSOIDAL_500M.crs, 0.05)
    assert shapely.equals_exact(
        alone[0], carried([wide, box], "EPSG:4326", SINUSOIDAL_500M.crs, 0.05)[1]
    )


def test_a_polygon_without_a_place_is_refused() -> None:
    with pytest.raises(BoundaryError, match="expected polygons that can be carried to EPSG:4326"):
        carried([shapely.box(1e9, 1e9, 2e9, 2e9)], "EPSG:32650", "EPSG:4326", 1)


def test_labels_are_the_centres(real_data: Path) -> None:
    city = gpd.read_file(real_data / "cities/130200.geojson").geometry.values
    half = [shapely.box(117, 38, 118.5, 41), *city]
    lattice = SINUSOIDAL_500M
    window = lattice.bounding(*carried(city, "EPSG:4326", lattice.crs, 1)[0].bounds)
    labels = labels_of(half, "EPSG:4326", lattice, window)
    lon, lat = zones.centres(lattice, window)
    first = shapely.contains_xy(half[0], lon, lat)
    expected = np.where(first, 1, np.where(shapely.contains_xy(city[0], lon, lat), 2, 0))
    np.testing.assert_array_equal(labels, expected)


def test_label_statistics_match_numpy() -> None:
    rng = np.random.default_rng(2)
    layer = rng.random((40, 50), np.float32)
    layer[5:9] = np.nan
    labels = rng.integers(0, 4, (40, 50), np.int32)
    labels[labels == 2] = 3
    table = label_statistics(layer, Runs.of(labels.reshape(-1), 3), ["city", "water", "wood"])
    assert table["zone"].tolist() == ["city", "water", "wood"]
    assert table["reason"].tolist() == ["", "no value", ""]
    held = layer[(labels == 3) & ~np.isnan(layer)].astype(float)
    expected = [held.size, held.mean(), held.std(), held.min(), held.max()]
    np.testing.assert_allclose(table.loc[2, ["n", "mean", "std", "min", "max"]], expected, 1e-8)


def test_statistics_wherever_the_layer_lives(home: Home) -> None:
    found = coverage("POLYGON ((7.3 5.1, 15.2 6, 9.7 14.4, 7.3 5.1))")
    layer = np.random.default_rng(3).random(WINDOW.shape, np.float32)
    here = found.statistics(layer)
    there = found.moved(home.put).statistics(home.put(layer))
    np.testing.assert_allclose(here[["n", "mean", "std"]], there[["n", "mean", "std"]], rtol=1e-12)


def test_area_of_pixels() -> None:
    tile = Window(12000, 64800, 3, 3)
    assert pixel_areas(SINUSOIDAL_500M, tile)[1, 1] == pytest.approx(0.2146586733, rel=1e-9)
    degree = Lattice("EPSG:4326", 100.0, 41.0, 1.0, 1.0)
    box = areas_km2([shapely.box(100, 40, 101, 41)], "EPSG:4326")[0]
    assert pixel_areas(degree, Window(0, 0, 1, 1))[0, 0] == pytest.approx(box, rel=1e-6)
    zone = Lattice("EPSG:32650", 900_000.0, 5_011_716.0, 500.0, 500.0)  # far off its meridian
    square = areas_km2([shapely.box(*zone.bounds(Window(0, 0, 1, 1)))], "EPSG:32650")[0]
    assert abs(square / 0.25 - 1) > 1e-3
    assert pixel_areas(zone, Window(0, 0, 1, 1))[0, 0] == pytest.approx(square, rel=1e-6)
