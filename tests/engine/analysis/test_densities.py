# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mining_worlds import square, stack_of
from numpy.typing import NDArray
from scipy import stats

from rsei.engine.analysis.densities import BINS, Histogram, densities, peaks, peaks_of
from rsei.engine.analysis.stacks import parts_of


def bimodal(pixels: int, seed: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    low, high = rng.normal(0.35, 0.06, pixels // 3), rng.normal(0.7, 0.08, pixels - pixels // 3)
    return np.clip(np.concatenate([low, high]), 0, 1).astype(np.float32)


def mirrored(values: NDArray[np.float32], width: float) -> NDArray[np.float64]:
    """Density in the middle of each bin by scipy, of the values and their images at 0 and 1."""
    images = np.concatenate([values, -values, 2 - values]).astype(np.float64)
    kernel = stats.gaussian_kde(images, bw_method=width / images.std(ddof=1))
    density: NDArray[np.float64] = 3 * kernel((np.arange(BINS) + 0.5) / BINS)
    return density


@pytest.mark.parametrize("shape", ["bimodal", "edge"])
def test_density_is_scipys(shape: str) -> None:
    values = bimodal(2000)
    if shape == "edge":
        values = np.random.default_rng(2).beta(0.8, 4, 2000).astype(np.float32)
    histogram = Histogram.of(values)
    expected = mirrored(values, histogram.bandwidth)
    error = np.abs(histogram.density() - expected).max()
    assert error < 1e-3 * expected.max()


def test_bandwidth_is_silvermans() -> None:
    values = bimodal(5000).astype(np.float64)
    low, high = np.quantile(values, [0.25, 0.75])
    rule = 0.9 * min(values.std(), (high - low) / 1.34) * len(values) ** -0.2
    assert Histogram.of(values.astype(np.float32)).bandwidth == pytest.approx(rule, rel=1e-3)


def test_density_adds_up_to_one() -> None:
    for values in (bimodal(500), np.zeros(3, np.float32), np.ones(1, np.float32)):
        density = Histogram.of(values).density()
        assert density.sum() / BINS == pytest.approx(1, abs=1e-9)


@given(st.lists(st.integers(0, 1000), max_size=3))
def test_parts_add_up(cuts: list[int]) -> None:
    values = bimodal(1000)
    parts = [Histogram.of(part) for part in np.split(values, sorted(cuts))]
    total = sum(parts[1:], parts[0])
    whole = Histogram.of(values)
    np.testing.assert_array_equal(total.counts, whole.counts)
    assert total.squares == whole.squares


def test_half_pixels_count_half() -> None:
    values = bimodal(2000)
    shares = np.where(values > 0.5, 0.25, 1.0)
    histogram = Histogram.of(values, shares)
    assert histogram.counts.sum() == pytest.approx(shares.sum())
    number = shares.sum() ** 2 / (shares**2).sum()
    assert histogram.counts.sum() ** 2 / histogram.squares == pytest.approx(number)


def test_peaks_are_the_modes_put_in() -> None:
    found = peaks_of(Histogram.of(bimodal(200_000)), 0.05)
    places = [place for place, _ in found]
    assert places == pytest.approx([0.35, 0.7], abs=0.01)
    heights = [height for _, height in found]
    assert heights == pytest.approx([1 / 3 / 0.06 / 2.5066, 2 / 3 / 0.08 / 2.5066], rel=0.03)


def test_a_mode_at_the_end_is_a_peak() -> None:
    values = np.clip(np.random.default_rng(1).exponential(0.1, 5000), 0, 1).astype(np.float32)
    assert [round(place, 2) for place, _ in peaks_of(Histogram.of(values), 0.05)] == [0.0]


def test_tables() -> None:
    rng = np.random.default_rng(1)
    stack = stack_of(square(side=0.4), lambda lon, lat: rng.beta(4, 3, lon.shape))
    zones = parts_of(stack, None)
    table = densities(stack, zones)
    assert ",".join(table.columns) == "area,zone,epoch,rsei,density"
    assert len(table) == 4 * 201
    each = table.groupby("epoch")["density"].apply(lambda density: density.sum() * 0.005)
    np.testing.assert_allclose(each, 1, atol=1e-3)
    found = peaks(stack, zones)
    assert ",".join(found.columns) == "area,zone,epoch,peak,rsei,height,bandwidth"
    assert found["epoch"].unique().tolist() == ["2001", "2004", "2007", "all"]
    assert found["rsei"].between(0.5, 0.7).all()
