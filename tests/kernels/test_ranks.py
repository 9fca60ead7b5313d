# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from conftest import Home
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rsei.kernels import launch, ranks


def scene(pixels: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Values of every size and sign, with gaps, and a mask."""
    rng = np.random.default_rng(2)
    values = (rng.normal(size=pixels) * 10 ** rng.uniform(-6, 3, pixels)).astype(np.float32)
    values[:5] = 0, -0.0, np.nan, 1, -1
    return values, (rng.random(pixels) < 0.2).astype(np.uint8) * 6


def test_upper_bins_hold_neighbours(home: Home) -> None:
    values, reasons = scene(home.pixels)
    found = home.get(ranks.upper_counts(home.put(values), home.put(reasons)))
    kept = np.sort(values[(reasons == 0) & ~np.isnan(values)])
    starts = np.cumsum(found) - found
    assert found.sum() == kept.size
    for upper in np.flatnonzero(found):
        own = kept[starts[upper] : starts[upper] + found[upper]]
        ends = ranks.value_of(int(upper), 0), ranks.value_of(int(upper), ranks.BINS - 1)
        assert ends[0] <= own[0]
        assert own[-1] <= ends[1]


def test_lower_bins_are_single_values(home: Home) -> None:
    values, reasons = scene(home.pixels)
    values[10:200] = np.linspace(0.5, 0.5001, 190)
    upper = int(ranks.upper_bin(np.float32(0.5)))
    found = home.get(ranks.lower_counts(home.put(values), home.put(reasons), upper))
    kept = values[(reasons == 0) & ~np.isnan(values)]
    single, times = np.unique(kept, return_counts=True)
    low, high = ranks.value_of(upper, 0), ranks.value_of(upper, ranks.BINS - 1)
    inside = (single >= np.float32(low)) & (single <= np.float32(high))
    assert [ranks.value_of(upper, int(k)) for k in np.flatnonzero(found)] == single[inside].tolist()
    assert found[found > 0].tolist() == times[inside].tolist()


def test_even_bins(home: Home) -> None:
    values, reasons = scene(home.pixels)
    values = np.clip(values, -1, 1)
    found = home.get(ranks.even_counts(home.put(values), home.put(reasons)))
    kept = values[(reasons == 0) & ~np.isnan(values)].astype(float)
    expected, _ = np.histogram(kept, bins=np.linspace(-1, 1, ranks.BINS + 1))
    assert found.tolist() == expected.tolist()


@given(st.floats(width=32, allow_nan=False))
def test_bins_give_the_value_back(value: float) -> None:
    single = np.float32(value)
    upper = int(ranks.upper_bin(single))
    assert ranks.value_of(upper, int(ranks.lower_bin(single, upper))) == value


@pytest.mark.parametrize("threads", [1, 3])
def test_several_rows(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "CHUNK", 8)
    monkeypatch.setenv("RSEI_THREADS", str(threads))
    launch._pool.cache_clear()
    values, reasons = scene(20_000)
    kept = values[(reasons == 0) & ~np.isnan(values)]
    assert ranks.upper_counts(values, reasons).sum() == kept.size
    launch._pool.cache_clear()
