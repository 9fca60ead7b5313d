# SPDX-License-Identifier: Apache-2.0
import numpy as np
import oracles_zonal
import pytest
from conftest import Home
from numpy.typing import NDArray

from rsei.kernels import launch
from rsei.kernels.shares import Shares


def scene(pixels: int) -> NDArray[np.float32]:
    """A layer within 0 to 1 with gaps."""
    rng = np.random.default_rng(1)
    values = rng.random(pixels, np.float32)
    values[rng.random(pixels) < 0.1] = np.nan
    return values


def operator(
    pixels: int, sizes: list[int]
) -> tuple[Shares, list[NDArray[np.int64]], list[NDArray[np.float64]]]:
    """Overlapping zones of the given numbers of pixels, with their shares."""
    rng = np.random.default_rng(2)
    where = [rng.choice(pixels, size, replace=False) for size in sizes]
    share = [rng.random(size) for size in sizes]
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return Shares.of(bounds, np.concatenate(where), np.concatenate(share)), where, share


def test_shares_match_numpy(home: Home) -> None:
    values = scene(home.pixels)
    values[:3] = np.nan
    sizes = [0, 1, 300, 0, 256, home.pixels, 7, 0]
    shares, where, share = operator(home.pixels, sizes)
    found = shares.moved(home.put).statistics(home.put(values))
    np.testing.assert_allclose(
        found, oracles_zonal.by_share(values, where, share), rtol=1e-12, atol=1e-14
    )


def test_a_zone_with_missing_values_alone(home: Home) -> None:
    values = np.full(4, np.nan, np.float32)
    shares = Shares.of(np.array([0, 2]), np.array([1, 3]), np.array([0.5, 1.0]))
    found = shares.moved(home.put).statistics(home.put(values))
    np.testing.assert_array_equal(found, [[0, np.nan, np.nan, np.nan, np.nan]])


def test_no_entry_at_all(home: Home) -> None:
    shares = Shares.of(np.zeros(3, np.int64), np.zeros(0, np.int64), np.zeros(0))
    found = shares.moved(home.put).statistics(home.put(np.zeros(4, np.float32)))
    np.testing.assert_array_equal(found[:, 0], 0)
    assert np.isnan(found[:, 1:]).all()


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_number_of_threads(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = scene(50_021)
    shares, _, _ = operator(50_021, [30_000, 5, 50_021])
    expected = shares.statistics(values)
    monkeypatch.setenv("RSEI_THREADS", str(threads))
    launch._pool.cache_clear()
    np.testing.assert_array_equal(shares.statistics(values), expected)
    launch._pool.cache_clear()
