# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numpy as np
import oracles_zonal
import pytest
from conftest import Home
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rsei.kernels import zonal
from rsei.kernels.zonal import LabelSums, Runs

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]


def scene(pixels: int, zones: int) -> tuple[Floats, Labels]:
    """A layer within 0 to 1 with gaps, and labels of which some are no zone."""
    rng = np.random.default_rng(1)
    values = rng.random(pixels, np.float32)
    values[rng.random(pixels) < 0.1] = np.nan
    return values, rng.integers(-1, zones + 2, pixels, np.int32)


def sums(home: Home, values: Floats, labels: Labels, zones: int, bound: float = 1.0) -> LabelSums:
    return LabelSums.of(home.put(values), Runs.of(labels, zones).moved(home.put), bound)


@pytest.mark.parametrize("zones", [5, 300])
def test_labels_match_numpy(home: Home, zones: int) -> None:
    values, labels = scene(home.pixels, zones)
    labels[labels == 3] = 4  # a zone without pixel
    found = sums(home, values, labels, zones).statistics()
    expected = oracles_zonal.by_label(values, labels, zones)
    np.testing.assert_array_equal(found[:, 0], expected[:, 0])
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-9)
    assert np.isnan(found[2, 1:]).all()


def test_a_layer_in_kelvin(home: Home) -> None:
    values, labels = scene(home.pixels, 5)
    kelvin = np.float32(280) + 40 * values
    found = sums(home, kelvin, labels, 5, bound=512).statistics()
    expected = oracles_zonal.by_label(kelvin, labels, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-13, atol=0)


def test_values_beyond_the_bound_are_left_out(home: Home) -> None:
    values = np.array([1, -1, 1.0001, -1.0001, np.inf, np.nan], np.float32)
    labels = np.ones(6, np.int32)
    found = sums(home, values, labels, 1).statistics()
    np.testing.assert_array_equal(found, [[2, 0, 1, -1, 1]])


@pytest.mark.parametrize("bound", [3.0, 0.0])
def test_the_bound_is_a_power_of_two(bound: float) -> None:
    with pytest.raises(ValueError, match="power of two"):
        LabelSums.of(np.zeros(1, np.float32), Runs.of(np.ones(1, np.int32), 1), bound)


def test_other_zones_do_not_add() -> None:
    values, labels = scene(10, 3)
    with pytest.raises(ValueError, match=r"expected 3 zones .* found 4"):
        LabelSums.of(values, Runs.of(labels, 3)) + LabelSums.of(values, Runs.of(labels, 4))


@given(st.lists(st.integers(0, 2000), max_size=4), st.randoms(use_true_random=False))
def test_parts_in_any_order_add_up(cuts: list[int], order: object) -> None:
    values, labels = scene(2000, 4)
    shuffled = np.random.default_rng(len(cuts)).permutation(2000)
    parts = [
        LabelSums.of(values[shuffled[first:last]], Runs.of(labels[shuffled[first:last]], 4))
        for first, last in pairwise([0, *sorted(cuts), 2000])
    ]
    whole = LabelSums.of(values, Runs.of(labels, 4))
    np.testing.assert_array_equal(sum(parts[1:], parts[0]).table, whole.table)


@pytest.mark.parametrize("width", [1, 2, 8, 31, 64, 100, 8192])
def test_runs_of_one_zone(width: int) -> None:
    values, _ = scene(30_011, 1)
    labels = (np.arange(30_011) // width % 3).astype(np.int32)
    found = LabelSums.of(values, Runs.of(labels, 2)).statistics()
    np.testing.assert_allclose(found, oracles_zonal.by_label(values, labels, 2), rtol=0, atol=2e-9)


def test_runs_hold_every_labelled_pixel_once() -> None:
    labels = np.repeat(np.array([0, 2, 2, 1, 9, -1, 3, 3]), [5, 64, 1, 65, 3, 2, 200, 1])
    runs = Runs.of(labels, 3)
    seen = np.zeros(labels.size, int)
    for start, stop, zone in zip(runs.starts, runs.stops, runs.zones, strict=True):
        assert 0 < stop - start <= zonal.LONGEST
        seen[start:stop] += zone + 1
    np.testing.assert_array_equal(seen, np.where((labels > 0) & (labels <= 3), labels, 0))


def test_no_pixel_and_no_zone() -> None:
    for labels in (np.zeros(0, np.int32), np.zeros(7, np.int32)):
        found = LabelSums.of(np.ones(labels.size, np.float32), Runs.of(labels, 2)).statistics()
        np.testing.assert_array_equal(found[:, 0], 0)


def test_another_number_of_pixels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 5 pixels in a row, found \(6,\)"):
        LabelSums.of(np.zeros(6, np.float32), Runs.of(np.ones(5, np.int32), 1))


def test_a_small_table_gives_the_same_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    values, labels = scene(50_000, 40)
    whole = LabelSums.of(values, Runs.of(labels, 40))
    monkeypatch.setattr(zonal, "TABLE", 1000)
    np.testing.assert_array_equal(LabelSums.of(values, Runs.of(labels, 40)).table, whole.table)


def test_largest_sums_fit() -> None:
    assert (zonal.STEPS**2 >> zonal.HALF) * 2**32 < 2**63
    assert ((1 << zonal.HALF) - 1) * 2**32 < 2**63
