# SPDX-License-Identifier: Apache-2.0
import numpy as np
import oracles_drivers
import pytest
from conftest import Home
from scipy import ndimage

from rsei.kernels import focal


def shares(home: Home, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.random((home.pixels // 17, 17), np.float32)
    values[rng.random(values.shape) < 0.3] = np.nan
    return values


@pytest.mark.parametrize(("before", "after"), [(4, 5), (0, 0), (2, 2), (6, 16), (3, 0)])
def test_is_the_mean_of_the_window(home: Home, before: int, after: int) -> None:
    values = shares(home)
    found = home.get(focal.focal_mean(home.put(values), before, after))
    expected = oracles_drivers.focal_mean(values, before, after)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7)


def test_a_cell_is_the_fifth_of_ten_from_the_upper_left(home: Home) -> None:
    values = np.zeros((30, 30), np.float32)
    values[15, 15] = 1
    found = home.get(focal.focal_mean(home.put(values), 4, 5))
    rows, columns = np.nonzero(found)
    assert (rows.min(), rows.max()) == (columns.min(), columns.max()) == (10, 19)
    np.testing.assert_allclose(found[10:20, 10:20], 0.01, rtol=1e-6)


def test_an_odd_window_is_scipys_two_filters(home: Home) -> None:
    values = shares(home)
    valid = np.isfinite(values)
    sums = ndimage.uniform_filter(np.where(valid, values, 0.0).astype(float), 5, mode="constant")
    counts = ndimage.uniform_filter(valid.astype(float), 5, mode="constant")
    found = home.get(focal.focal_mean(home.put(values), 2, 2))
    some = counts > 0.01
    np.testing.assert_allclose(found[some], (sums / np.where(some, counts, 1))[some], atol=1e-6)


def test_bands_of_rows_do_not_show() -> None:
    values = np.random.default_rng(2).random((3 * focal.BAND + 5, 7), np.float32)
    whole = focal.focal_mean(values, 4, 5)
    for top in (1, 40, focal.BAND):
        part = focal.focal_mean(np.ascontiguousarray(values[top:]), 4, 5)
        np.testing.assert_array_equal(part[4:], whole[top + 4 :])


def test_masked_pixels_change_nothing(home: Home) -> None:
    values = shares(home)
    wide = np.full((values.shape[0], values.shape[1] + 6), np.nan, np.float32)
    wide[:, :-6] = values
    found = home.get(focal.focal_mean(home.put(wide), 4, 5))[:, :-6]
    np.testing.assert_array_equal(found, home.get(focal.focal_mean(home.put(values), 4, 5)))


def test_a_window_too_large_is_refused() -> None:
    with pytest.raises(ValueError, match="1 to 100 rows, found 60"):
        focal.focal_mean(np.zeros((3, 3), np.float32), 60, 40)
