# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import oracles_drivers
import pytest
from conftest import Home

from rsei.kernels import terrain


def shape(home: Home) -> tuple[int, int]:
    return home.pixels // 13, 13


@pytest.mark.parametrize("z_unit", [1.0, 0.3048])
def test_slope_of_a_tilted_plane_is_its_gradient_up_to_the_edges(home: Home, z_unit: float) -> None:
    y, x = np.indices(shape(home))
    plane = (100 * x * 0.3 - 50 * y * 0.1).astype(np.float32)
    plane[5, 4] = np.nan
    found = home.get(terrain.slope(home.put(plane), 100.0, 50.0, z_unit))
    expected = math.degrees(math.atan(z_unit * math.hypot(0.3, 0.1)))
    assert np.isnan(found[5, 4]) and np.isnan(found).sum() == 1
    np.testing.assert_allclose(found[~np.isnan(plane)], expected, rtol=2e-4)


def test_slope_is_horns(home: Home) -> None:
    heights = np.random.default_rng(1).normal(500, 80, shape(home)).astype(np.float32)
    found = home.get(terrain.slope(home.put(heights), 90.0, 110.0))
    inner = (slice(1, -1), slice(1, -1))
    expected = oracles_drivers.slope(heights, 90, 110)[inner]
    np.testing.assert_allclose(found[inner], expected, rtol=1e-4)
    assert np.isfinite(found).all()


def test_a_pixel_without_neighbours_along_an_axis_has_no_slope(home: Home) -> None:
    heights = np.full((9, 9), np.nan, np.float32)
    heights[4, 3:6] = 1, 2, 3
    assert np.isnan(home.get(terrain.slope(home.put(heights), 1.0, 1.0))).all()
