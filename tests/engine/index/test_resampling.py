# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from conftest import Home
from numpy.typing import NDArray

from rsei.engine.index.resampling import heat_on_fine
from rsei.engine.sources.errors import GridError
from rsei.engine.sources.grids import SINUSOIDAL_1KM, SINUSOIDAL_500M, Lattice, Window

COARSE = Window(500, 700, 6, 7)
FINE = SINUSOIDAL_500M


def temperatures(window: Window = COARSE) -> NDArray[np.float32]:
    """A pixel holds its own place: row + column / 100."""
    rows = np.arange(window.top, window.bottom)[:, None]
    columns = np.arange(window.left, window.right)[None, :]
    return (rows + columns / 10_000).astype(np.float32)


@pytest.mark.parametrize("shift", [0, 1, -1])
def test_nearest_is_the_pixel_around(home: Home, shift: int) -> None:
    """A clip may begin on any 500 m pixel, so the coarse edges may lie one pixel aside."""
    fine = Lattice(FINE.crs, FINE.left + shift * FINE.dx, FINE.top - shift * FINE.dy, FINE.dx,
                   FINE.dy)  # fmt: skip
    window = Window(1001, 1403, 7, 9)
    values = home.put(temperatures())
    found = home.get(heat_on_fine(values, SINUSOIDAL_1KM, COARSE, fine, window))
    for row in range(window.height):
        for column in range(window.width):
            place = (window.top + row + shift) // 2, (window.left + column + shift) // 2
            assert found[row, column] == np.float32(place[0] + place[1] / 10_000)


def bilinear(coarse: NDArray[np.float32], window: Window, row: int, column: int) -> float:
    """The definition, at one fine pixel, in double precision."""
    y, x = (row + 0.5) / 2 - 0.5 - window.top, (column + 0.5) / 2 - 0.5 - window.left
    total = weight = 0.0
    for r in (int(np.floor(y)), int(np.floor(y)) + 1):
        for c in (int(np.floor(x)), int(np.floor(x)) + 1):
            inside = 0 <= r < window.height and 0 <= c < window.width
            if inside and not np.isnan(coarse[r, c]):
                share = (1 - abs(y - r)) * (1 - abs(x - c))
                total, weight = total + share * float(coarse[r, c]), weight + share
    return total / weight if weight >= 0.5 else float("nan")


def test_bilinear_with_gaps(home: Home) -> None:
    coarse = 300 + np.random.default_rng(0).normal(0, 5, COARSE.shape).astype(np.float32)
    coarse[2, 3], coarse[4, :2], coarse[0] = np.nan, np.nan, np.nan
    window = Window(998, 1398, 16, 18)  # a pixel beyond on each side
    grids = SINUSOIDAL_1KM, COARSE, FINE, window
    found = home.get(heat_on_fine(home.put(coarse), *grids, "bilinear"))
    expected = [
        [bilinear(coarse, COARSE, row, column) for column in range(window.left, window.right)]
        for row in range(window.top, window.bottom)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert np.isnan(found).any()


def test_a_plane_stays_a_plane(home: Home) -> None:
    coarse = temperatures()
    window = Window(1002, 1402, 8, 10)
    grids = SINUSOIDAL_1KM, COARSE, FINE, window
    found = home.get(heat_on_fine(home.put(coarse), *grids, "bilinear"))
    np.testing.assert_allclose(np.diff(found, axis=0), 0.5, atol=2e-4)


def test_strips_give_the_same() -> None:
    coarse = temperatures()
    coarse[3, 3] = np.nan
    for method in ("nearest", "bilinear"):
        whole = Window(1000, 1400, 12, 14)
        grids = SINUSOIDAL_1KM, COARSE, FINE
        parts = [heat_on_fine(coarse, *grids, strip, method) for strip in whole.strips(5)]
        np.testing.assert_array_equal(
            np.concatenate(parts), heat_on_fine(coarse, *grids, whole, method)
        )


def test_heat_on_the_grid_itself_is_copied() -> None:
    window = Window(3, 4, 5, 6)
    values = temperatures(window)
    for method in ("nearest", "bilinear"):
        found = heat_on_fine(values, FINE, window, FINE, window, method)
        np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    "wrong",
    [
        Lattice(FINE.crs, FINE.left + 100, FINE.top, 2 * FINE.dx, 2 * FINE.dy),
        Lattice(FINE.crs, FINE.left, FINE.top, 1.5 * FINE.dx, 1.5 * FINE.dy),
        Lattice("EPSG:4326", FINE.left, FINE.top, 2 * FINE.dx, 2 * FINE.dy),
        Lattice(FINE.crs, FINE.left, FINE.top, FINE.dx / 2, FINE.dy / 2),
    ],
)
def test_pixels_that_do_not_nest(wrong: Lattice) -> None:
    with pytest.raises(GridError, match="expected heat on pixels of 463"):
        heat_on_fine(temperatures(), wrong, COARSE, FINE, Window(0, 0, 2, 2))
