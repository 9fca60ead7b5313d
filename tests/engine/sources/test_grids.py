# SPDX-License-Identifier: Apache-2.0
"""Windows, lattices and MODIS tiles, against the published outlines of the tiles."""

import shutil
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from rsei.engine.sources.errors import GridError
from rsei.engine.sources.grids import (
    LEFT,
    RADIUS,
    SINUSOIDAL,
    SINUSOIDAL_1KM,
    SINUSOIDAL_500M,
    TILE,
    TOP,
    Lattice,
    Window,
    carrier,
    tile_window,
    tiles,
)
from rsei.engine.sources.vectors import read

windows = st.builds(
    Window, st.integers(-50, 50), st.integers(-50, 50), st.integers(0, 40), st.integers(0, 40)
)


def cells(window: Window) -> set[tuple[int, int]]:
    rows, columns = range(window.top, window.bottom), range(window.left, window.right)
    return {(row, column) for row in rows for column in columns}


@given(windows, windows)
def test_common_pixels_are_those_of_both(one: Window, two: Window) -> None:
    assert cells(one & two) == cells(one) & cells(two)
    assert (two in one) == (one & two == two)


@given(windows, windows)
def test_union_holds_both(one: Window, two: Window) -> None:
    both = one | two
    assert one in both
    assert two in both
    assert both.height == max(one.bottom, two.bottom) - min(one.top, two.top)


@given(windows, st.integers(1, 9))
def test_strips_make_up_the_window(window: Window, rows: int) -> None:
    strips = list(window.strips(rows))
    assert sum(strip.size for strip in strips) == window.size
    assert set().union(*map(cells, strips)) == cells(window)


@given(windows.filter(lambda window: window.size > 0))
def test_slices_find_the_pixels(window: Window) -> None:
    outer = window.grown(3)
    rows, columns = np.mgrid[outer.top : outer.bottom, outer.left : outer.right]
    part = window.slices(outer)
    assert set(zip(rows[part].ravel(), columns[part].ravel(), strict=True)) == cells(window)


def test_tiles_are_the_published_ones(real_data: Path, tmp_path: Path) -> None:
    """All 648 outlines; drawn in steps of 1,111,111 m, they drift by 3 % of a tile."""
    for part in (real_data / "grids").glob("modis_sinusoidal_grid_world.*"):
        shutil.copy(part, tmp_path)
    frame: gpd.GeoDataFrame = read(tmp_path / "modis_sinusoidal_grid_world.shp").frame
    assert len(frame) == 36 * 18
    for h, v, shape in zip(frame.h, frame.v, frame.geometry, strict=True):
        tile = f"h{int(h):02d}v{int(v):02d}"
        ours = SINUSOIDAL_500M.bounds(tile_window(tile))
        assert np.abs(np.subtract(ours, shape.bounds)).max() < 0.04 * TILE
        assert tiles(tile_window(tile)) == [tile]
        middle = shape.centroid
        column = (middle.x - SINUSOIDAL_500M.left) / SINUSOIDAL_500M.dx
        row = (SINUSOIDAL_500M.top - middle.y) / SINUSOIDAL_500M.dy
        assert tiles(Window(int(row), int(column), 1, 1)) == [tile]


def test_the_tile_is_a_thirty_sixth_of_the_equator() -> None:
    assert pytest.approx(2 * np.pi * RADIUS / 36, abs=1e-3) == TILE
    assert pytest.approx(-np.pi * RADIUS, abs=1e-2) == LEFT
    assert pytest.approx(np.pi * RADIUS / 2, abs=1e-2) == TOP
    assert SINUSOIDAL_500M.dx == pytest.approx(463.312716527778, abs=1e-9)
    assert SINUSOIDAL_1KM.dx == pytest.approx(926.625433055556, abs=1e-9)


@pytest.mark.parametrize("latitude", [26.5, 30.2, 39.6, 41.0])
def test_latitude_on_the_sphere_is_that_on_the_ellipsoid(latitude: float) -> None:
    """Source: docs/explanation/method.md: an ellipsoid would shift the data 11 to 18 km north."""
    x, y = carrier("EPSG:4326", SINUSOIDAL).transform(118.0, latitude)
    assert y == pytest.approx(np.radians(latitude) * RADIUS, abs=1e-6)
    assert x == pytest.approx(np.radians(118) * RADIUS * np.cos(np.radians(latitude)), abs=1e-5)
    wrong = SINUSOIDAL.replace(f"+R={RADIUS}", "+ellps=WGS84")
    _, shifted = Transformer.from_crs(wrong, "EPSG:4326", always_xy=True).transform(x, y)
    assert 11 < (shifted - latitude) * 111.1 < 18.5


@given(st.integers(-3, 90_000), st.integers(-3, 45_000), st.integers(1, 3000))
def test_window_of_its_own_transform(left: int, top: int, size: int) -> None:
    window = Window(top, left, size, size + 1)
    transform = SINUSOIDAL_500M.transform(window)
    assert SINUSOIDAL_500M.window(transform, window.shape) == window
    assert SINUSOIDAL_500M.bounding(*SINUSOIDAL_500M.bounds(window)) == window


@pytest.mark.parametrize("tile", ["h27v05", "h00v08", "h35v17"])
def test_a_kilometre_is_four_pixels(tile: str) -> None:
    fine, coarse = tile_window(tile), tile_window(tile, SINUSOIDAL_1KM)
    assert coarse.shape == (1200, 1200)
    assert SINUSOIDAL_1KM.covering(fine, SINUSOIDAL_500M) == coarse
    odd = Window(fine.top + 1, fine.left + 3, 2, 2)
    covering = SINUSOIDAL_1KM.covering(odd, SINUSOIDAL_500M)
    assert covering == Window(coarse.top, coarse.left + 1, 2, 2)


@pytest.mark.parametrize(
    "transform",
    [
        Affine(463.3127, 0, LEFT + 100, 0, -463.3127, TOP),
        Affine(460, 0, LEFT, 0, -460, TOP),
        Affine(463.3127, 1, LEFT, 0, -463.3127, TOP),
    ],
)
def test_pixels_off_the_lattice_are_an_error(transform: Affine) -> None:
    with pytest.raises(GridError, match="aligned with"):
        SINUSOIDAL_500M.window(transform, (2400, 2400))


@pytest.mark.parametrize("e", [463.0, 0.0])
def test_lattice_of_rows_from_the_south_is_an_error(e: float) -> None:
    with pytest.raises(GridError, match="north-up"):
        Lattice.of(SINUSOIDAL, Affine(463, 0, 0, 0, e, 0))


@pytest.mark.parametrize("tile", ["h36v00", "h00v18", "h2v05", "27v05", "h27v05.", "H27V05", ""])
def test_a_name_that_is_no_tile_is_an_error(tile: str) -> None:
    with pytest.raises(GridError, match="hXXvYY"):
        tile_window(tile)


def test_names_of_lattices_tell_them_apart() -> None:
    lattices = [SINUSOIDAL_500M, SINUSOIDAL_1KM, Lattice(SINUSOIDAL, LEFT, TOP, 463.3127, 463.3)]
    assert len({lattice.name for lattice in lattices}) == 3
    assert SINUSOIDAL_500M.name == Lattice(SINUSOIDAL, LEFT, TOP, TILE / 2400, TILE / 2400).name


def test_centres_and_geobox_agree() -> None:
    window = Window(11_624, 65_173, 3, 5)
    box = SINUSOIDAL_500M.geobox(window)
    assert box.shape == window.shape
    assert np.allclose(box.coordinates["x"].values, SINUSOIDAL_500M.x(window), atol=1e-6)
    assert np.allclose(box.coordinates["y"].values, SINUSOIDAL_500M.y(window), atol=1e-6)
