# SPDX-License-Identifier: Apache-2.0
from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pytest
from conftest import Home
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rsei.engine.index.limits import Detail, Histogram, percentiles
from rsei.engine.index.water import WaterHistogram

PERCENTAGES = (0.0, 37.5, 99.0)


def in_parts(
    layers: NDArray[np.float32], reason: NDArray[np.uint8], cuts: list[int]
) -> NDArray[np.float64]:
    edges = [0, *sorted(cuts), layers.shape[1]]
    parts = [(layers[:, a:b], reason[a:b]) for a, b in pairwise(edges)]
    histogram = reduce(add, [Histogram.of(*part) for part in parts])
    bins = histogram.bins(PERCENTAGES)
    return percentiles(
        histogram, reduce(add, [Detail.of(*part, bins) for part in parts]), PERCENTAGES
    )


@settings(max_examples=25)
@given(
    st.integers(0, 99),
    st.sampled_from([1e-30, 1e-3, 1.0]),
    st.lists(st.integers(0, 30), max_size=2),
)
def test_equal_numpy_percentiles(seed: int, spread: float, cuts: list[int]) -> None:
    rng = np.random.default_rng(seed)
    layers = rng.normal(0, spread, (2, 30, 5)).astype(np.float32)
    layers[1] += 300
    reason = (rng.random((30, 5)) < 0.5).astype(np.uint8)
    kept = layers[:, reason == 0].astype(np.float64)
    if not kept.size:
        return
    expected = np.percentile(kept, PERCENTAGES, axis=1).T
    np.testing.assert_array_max_ulp(in_parts(layers, reason, cuts), expected, maxulp=1)


def test_on_every_machine(home: Home) -> None:
    rng = np.random.default_rng(5)
    layers = rng.normal(300, 5, (1, 40, 50)).astype(np.float32)
    reason = np.zeros((40, 50), np.uint8)
    histogram = Histogram.of(home.put(layers), home.put(reason))
    detail = Detail.of(home.put(layers), home.put(reason), histogram.bins((1, 99)))
    expected = np.percentile(layers.astype(np.float64), (1, 99))
    assert percentiles(histogram, detail, (1, 99))[0].tolist() == expected.tolist()


def test_masked_pixels_change_nothing() -> None:
    layers = np.random.default_rng(1).normal(size=(1, 9, 9)).astype(np.float32)
    reason = np.zeros((9, 9), np.uint8)
    reason[3] = 6
    changed = layers.copy()
    changed[:, 3] = -1e9
    np.testing.assert_array_equal(in_parts(layers, reason, []), in_parts(changed, reason, []))


def test_no_pixel_has_no_percentile() -> None:
    nothing = np.ones((2, 2), np.uint8)
    assert np.isnan(in_parts(np.zeros((1, 2, 2), np.float32), nothing, [])).all()


def test_other_bins_do_not_add() -> None:
    layers, reason = np.zeros((1, 2, 2), np.float32), np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match="expected details of bins"):
        Detail.of(layers, reason, ((1,),)) + Detail.of(layers, reason, ((2,),))


def brute_otsu(values: NDArray[np.float64]) -> float:
    """The most variance between two sides, over every place to part the sorted values."""
    best = 0.0
    for place in range(1, len(values)):
        if values[place - 1] == values[place]:
            continue
        low, high = values[:place], values[place:]
        best = max(best, len(low) * len(high) * (low.mean() - high.mean()) ** 2)
    return best


def two_modes(seed: int) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    both = np.r_[rng.normal(-0.4, 0.1, 300), rng.normal(0.5, 0.1, 60)]
    return both.clip(-1, 1).astype(np.float32).reshape(36, 10)


@pytest.mark.parametrize("seed", range(5))
def test_otsu_parts_best(seed: int) -> None:
    mndwi = two_modes(seed)
    inside = np.ones(mndwi.shape, bool)
    threshold = WaterHistogram.of(mndwi, inside).threshold()
    assert threshold is not None
    low, high = mndwi[mndwi <= threshold].astype(float), mndwi[mndwi > threshold].astype(float)
    found = low.size * high.size * (low.mean() - high.mean()) ** 2
    assert found == pytest.approx(brute_otsu(np.sort(mndwi.ravel()).astype(float)), rel=1e-4)
    assert -0.2 < threshold < 0.35


def test_otsu_takes_the_middle_of_a_gap_and_adds(home: Home) -> None:
    mndwi = np.array([[-0.5, -0.5, 0.25, np.nan, 0.9]], np.float32)
    inside = np.array([[True, True, True, True, False]])
    parts = [WaterHistogram.of(home.put(mndwi[:, [k]]), home.put(inside[:, [k]])) for k in range(5)]
    assert sum(parts[1:], parts[0]).threshold() == pytest.approx(-0.125, abs=2**-15)


def test_otsu_of_one_value_is_none() -> None:
    ones = np.ones((3, 3), np.float32)
    assert WaterHistogram.of(ones, np.ones((3, 3), bool)).threshold() is None
