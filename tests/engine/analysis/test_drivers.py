# SPDX-License-Identifier: Apache-2.0
import math
from pathlib import Path
from unittest.mock import patch

import numpy as np
import oracles_drivers
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import Room

from rsei.engine.analysis import drivers
from rsei.engine.analysis.pixels import Pixels
from rsei.engine.sources.errors import InputError
from rsei.engine.sources.grids import Lattice, Window
from rsei.engine.sources.vectors import read

ALBERS = "ESRI:102025"
GRID = Lattice(ALBERS, 0.0, 0.0, 1000.0, 1000.0)


def square(x: float, y: float, side: float) -> shapely.Polygon:
    return shapely.box(x, y, x + side, y + side)


def test_grid_is_aligned_and_has_its_margin() -> None:
    lattice, window, padded = drivers.grid(
        (1_999_500, 1_000_100, 2_010_000, 1_020_900), ALBERS, 1000
    )
    assert lattice.bounds(window) == (1_999_000, 1_000_000, 2_010_000, 1_021_000)
    assert padded == window.grown(50)


@pytest.mark.parametrize(("reduce", "expected"), [("sum", 78.0), ("mean", 6.5)])
def test_a_year_needs_all_twelve_months(reduce: str, expected: float) -> None:
    months = [np.full((2, 2), month, np.float32) for month in range(1, 13)]
    months[4][0, 1] = np.nan
    found = drivers.year_of_months(months, reduce, "prec", "Anshan")  # type: ignore[arg-type]
    np.testing.assert_array_equal(found, [[expected, np.nan], [expected, expected]])
    with pytest.raises(InputError, match="Anshan: expected the 12 months of prec, found 11"):
        drivers.year_of_months(months[1:], "sum", "prec", "Anshan")


def test_mine_share_is_exact_and_overlaps_count_once() -> None:
    window = Window(-20, 0, 20, 20)
    mines = [square(2500, 12_500, 1000), square(3000, 12_500, 200), shapely.Point(0, 0).buffer(1)]
    found = drivers.mine_share(mines, ALBERS, GRID, window)
    assert found.sum() == pytest.approx(1.0 + math.pi * 1e-6 / 4, rel=1e-2)
    corner = found[20 - 14 : 20 - 12, 2:4]
    np.testing.assert_allclose(corner, 0.25, rtol=1e-6)
    assert not drivers.mine_share([], ALBERS, GRID, window).any()


def test_a_tiny_mine_is_a_source() -> None:
    window = Window(-20, 0, 20, 20)
    share = drivers.mine_share([square(5100, 5100, 1.0)], ALBERS, GRID, window)
    found = drivers.near_mines(share, np.zeros(window.shape, bool), GRID, "Anshan")
    y, x = np.indices(window.shape)
    np.testing.assert_allclose(found.dism, 1000 * np.hypot(y - 14, x - 5), rtol=1e-6)
    assert found.unreachable == 0


def test_ways_go_round_the_sea() -> None:
    share = np.zeros((15, 12), np.float32)
    share[2, 1] = 0.3
    blocked = np.zeros(share.shape, bool)
    blocked[:11, 5] = True  # a bay
    blocked[0, 10:] = blocked[1, 10] = blocked[1, 11] = blocked[:2, 9] = True
    found = drivers.near_mines(share, blocked, GRID, "Anshan")
    expected = oracles_drivers.shortest_ways(share > 0, blocked) * 1000
    np.testing.assert_allclose(
        found.dism, np.where(np.isinf(expected), np.nan, expected), rtol=1e-6
    )
    assert found.dism[2, 9] > 15_000
    expected_share = oracles_drivers.focal_mean(share, 4, 5)
    np.testing.assert_allclose(found.minea, expected_share, atol=1e-7)


def test_a_closed_city_is_counted_and_no_mine_is_named() -> None:
    share = np.zeros((6, 6), np.float32)
    share[0, 0] = 1
    blocked = np.zeros(share.shape, bool)
    blocked[3] = True
    found = drivers.near_mines(share, blocked, GRID, "Anshan")
    assert found.unreachable == 12 and np.isnan(found.dism[3:]).all()
    with pytest.raises(InputError, match="Anshan: expected a mine within 50 km, found none"):
        drivers.near_mines(share * 0, blocked, GRID, "Anshan")


def test_the_coast_is_land_or_a_line() -> None:
    window = Window(-10, 0, 10, 10)
    land = drivers.sea([square(0, 0, 4400)], ALBERS, GRID, window)
    assert (~land).sum() == 16 and not land[6:, :4].any()
    line = drivers.sea([shapely.LineString([(500, 9999), (500, 2500)])], ALBERS, GRID, window)
    assert line.sum() == 8 and line[:8, 0].all()


def test_slope_of_the_grid_is_in_metres() -> None:
    x = np.indices((6, 7))[1]
    found = drivers.slope((100.0 * x).astype(np.float32), GRID)
    np.testing.assert_allclose(found, math.degrees(math.atan(0.1)), rtol=1e-5)
    feet = drivers.slope((100.0 * x).astype(np.float32), GRID, 0.3048)
    np.testing.assert_allclose(feet, math.degrees(math.atan(0.03048)), rtol=1e-5)


def test_table_has_a_row_for_each_pixel_inside() -> None:
    window = Window(-3, 2, 3, 2)
    inside = np.array([[True, False], [True, True], [False, False]])
    rsei = np.linspace(0, 0.5, 6, dtype=np.float32).reshape(3, 2)
    dem = np.full((3, 2), 100, np.float32)
    dem[rsei > 0.25] = np.nan
    pixels = Pixels.of("Anshan", GRID, window, inside, [("rsei", rsei), ("dem", dem)])
    table = pixels.frame()
    assert list(table) == ["area", "x", "y", "rsei", "dem"]
    assert table[["x", "y"]].to_numpy().tolist() == [[2500, 2500], [2500, 1500], [3500, 1500]]
    np.testing.assert_allclose(table["rsei"], [0, 0.2, 0.3], rtol=1e-6)
    np.testing.assert_array_equal(table["dem"], [100, 100, np.nan])
    assert np.isnan(pixels["gdp"]).all()
    good, complaints = drivers.usable(pixels, ["dem", "gdp"])
    assert good == ()
    assert complaints[0].startswith("Anshan: expected dem to differ, found 100 in all its 2 pixels")
    assert complaints[1].startswith(
        "Anshan: expected gdp to cover the area, found no value in its 3"
    )


@given(st.integers(1, 400))
@settings(max_examples=15)
def test_strips_change_nothing_of_the_sea(size: int) -> None:
    window = Window(-20, 3, 17, 21)
    angle = np.linspace(0, 6, 50)
    curve = np.stack([12e3 + 9e3 * np.cos(angle), 11e3 + 7e3 * np.sin(angle)], axis=1)
    for shape in (shapely.Polygon(curve), shapely.MultiLineString([curve, curve[::-7] / 2])):
        whole = drivers.sea([shape], ALBERS, GRID, window)
        with patch.object(drivers, "STRIP", size):
            np.testing.assert_array_equal(drivers.sea([shape], ALBERS, GRID, window), whole)
        assert 0 < whole.sum() < window.size


def test_a_real_island_is_ringed_by_sea(real_data: Path) -> None:
    """Sao Miguel: its six municipalities are the land; a mine on it reaches all of the land."""
    layer = read(real_data / "drivers/sao-miguel/concelhos.gpkg")
    crs = "+proj=utm +zone=26 +datum=WGS84"
    shapes = layer.frame.to_crs(crs).geometry
    lattice, _, padded = drivers.grid(tuple(shapes.total_bounds), crs, 500)
    blocked = drivers.sea(shapes.to_numpy(), crs, lattice, padded)
    mine = shapely.union_all(shapes.to_numpy()).representative_point().buffer(300)
    found = drivers.near_mines(
        drivers.mine_share([mine], crs, lattice, padded), blocked, lattice, "Sao Miguel"
    )
    straight = np.hypot(
        lattice.x(padded)[None] - mine.centroid.x, lattice.y(padded)[:, None] - mine.centroid.y
    )
    land = ~blocked & np.isfinite(found.dism)
    assert 0.98 < land.sum() / (~blocked).sum() <= 1
    assert (found.dism[land] > straight[land] - 1500).all()
    assert np.isnan(found.dism[blocked & (found.dism != 0)]).all()


@settings(max_examples=20)
@given(share=st.floats(0, 1.1), seed=st.integers(0, 99))
def test_layers_do_not_depend_on_the_rows_that_a_gpu_has_room_for(share: float, seed: int) -> None:
    """Slope with nodata, and the share around: of all rows, and of few with those around them."""
    rng = np.random.default_rng(seed)
    lattice = Lattice(ALBERS, 0.0, 0.0, 3000.0, 3000.0)
    height, width = rng.integers(1, 40), rng.integers(1, 30)
    dem = rng.random((height, width), np.float32) * 1000
    dem[rng.random(dem.shape) < 0.1] = np.nan
    mines = np.where(rng.random(dem.shape) < 0.9, rng.random(dem.shape), np.nan).astype(np.float32)
    mines[0, 0] = 1.0
    row = 8 * width
    put = Room(int(3 * row + share * (height * row)))
    np.testing.assert_array_equal(drivers.slope(dem, lattice, put=put), drivers.slope(dem, lattice))
    assert put.held == 0 and 2 * put.most <= put.room
    blocked = np.zeros(dem.shape, bool)
    found, whole = (
        drivers.near_mines(mines, blocked, lattice, "Anshan", way) for way in (put, np.asarray)
    )
    np.testing.assert_array_equal(found.minea, whole.minea)
    np.testing.assert_array_equal(found.dism, whole.dism)
