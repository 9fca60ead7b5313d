# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pymannkendall
import pytest
from conftest import Home
from numpy.typing import NDArray
from scipy import stats

from rsei.kernels.trend import EPOCHS, SLOPE, P, Z, trend

LEAST = 4


def oracle(values: NDArray[Any], times: NDArray[Any]) -> NDArray[np.float64]:
    """Slope, score and probability, (3, N), by scipy and pymannkendall, pixel by pixel."""
    found = np.full((3, values.shape[1]), np.nan)
    for n, series in enumerate(values.T.astype(np.float64)):
        there = ~np.isnan(series)
        if there.sum() >= LEAST:
            found[SLOPE, n] = stats.theilslopes(series[there], times[there]).slope
            test = pymannkendall.original_test(series[there])
            assert test.p == pytest.approx(2 * stats.norm.sf(abs(test.z)), abs=1e-15)
            found[Z, n], found[P, n] = test.z, 2 * stats.norm.sf(abs(test.z))
    return found


def series(pixels: int, epochs: int, step: float = 0.0) -> NDArray[np.float32]:
    """Drifting series with gaps; with a ``step`` their values are rounded, so that they tie."""
    rng = np.random.default_rng(epochs)
    drift = rng.normal(0, 0.02, pixels) * np.arange(epochs)[:, None]
    values = 0.5 + drift + rng.normal(0, 0.1, (epochs, pixels))
    if step:
        values = np.round(values / step) * step
    values[rng.random(values.shape) < 0.15] = np.nan
    return values.astype(np.float32)


def found(home: Home, values: NDArray[np.float32], times: NDArray[np.float32]) -> NDArray[Any]:
    out = home.put(np.zeros((3, values.shape[1]), np.float32))
    trend(home.put(values), home.put(times), LEAST, out)
    return home.get(out)


@pytest.mark.parametrize(("epochs", "step"), [(8, 0.0), (7, 0.1), (22, 0.0), (64, 0.05)])
def test_matches_scipy_and_pymannkendall(home: Home, epochs: int, step: float) -> None:
    pixels = 301 if home.name != "simulator" else 400 // epochs
    values = series(pixels, epochs, step)
    values[:, 0], values[:, 1] = 0.25, np.nan  # a flat series, an empty one
    values[:, 2] = np.where(np.arange(epochs) < LEAST - 1, 0.5, np.nan)  # one too short
    times = np.cumsum(np.random.default_rng(3).integers(1, 4, epochs)) + 2000.0
    expected = oracle(values, times)
    result = found(home, values, times.astype(np.float32))
    np.testing.assert_allclose(result[SLOPE], expected[SLOPE], rtol=3e-7, atol=3e-9)
    np.testing.assert_allclose(result[Z], expected[Z], rtol=3e-7, atol=0)
    # Of the tail probability, relative errors of the score count z**2 times.
    np.testing.assert_allclose(result[P], expected[P], rtol=3e-5, atol=0)
    assert result[P, 0] == 1
    assert np.isnan(result[:, 1:3]).all()


def test_slopes_of_every_order_of_size(home: Home) -> None:
    values = np.array([[0], [1e-30], [3e-20], [-1e-10], [1.0], [1e3], [-1e8], [1e20]], np.float32)
    times = np.arange(8, dtype=np.float32)
    expected = stats.theilslopes(values[:, 0].astype(np.float64), times).slope
    assert found(home, values, times)[SLOPE, 0] == pytest.approx(expected, rel=1e-6)


def test_an_exact_line_has_its_own_slope(home: Home) -> None:
    times = np.array([2001, 2004, 2007, 2010, 2013, 2016, 2019, 2022], np.float32)
    rates = np.array([-0.5, -0.03125, 0.0, 0.0625], np.float32)
    values = (rates * (times[:, None] - 2001)).astype(np.float32)
    result = found(home, values, times)
    np.testing.assert_array_equal(result[SLOPE], rates)
    score = 27 / np.sqrt(8 * 7 * 21 / 18)  # S is 28, of 8 epochs
    assert result[P, 3] == pytest.approx(2 * stats.norm.sf(score), rel=1e-5)


def test_too_many_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 64 epochs, found 65"):
        trend(np.zeros((65, 1)), np.arange(EPOCHS + 1), LEAST, np.zeros((3, 1)))


def test_order_of_pixels_changes_nothing() -> None:
    values, times = series(20_011, 8), np.arange(8, dtype=np.float32)
    order = np.random.default_rng(5).permutation(20_011)
    out, mixed = np.zeros((2, 3, 20_011), np.float32)
    trend(values, times, LEAST, out)
    trend(np.ascontiguousarray(values[:, order]), times, LEAST, mixed)
    np.testing.assert_array_equal(out[:, order], mixed)
