# SPDX-License-Identifier: Apache-2.0
import math
from unittest.mock import patch

import numpy as np
import oracles_spatial
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage, stats

from rsei.engine.analysis import autocorrelation
from rsei.engine.analysis import correlation as correlations
from rsei.engine.analysis.autocorrelation import effective_size, moran, moran_of
from rsei.engine.analysis.pixels import Pixels

Floats = NDArray[np.float64]


def field(shape: tuple[int, int], smooth: float, seed: int) -> Floats:
    noise = np.random.default_rng(seed).normal(size=shape)
    return ndimage.gaussian_filter(noise, smooth) if smooth else noise


def holed(grid: Floats) -> Floats:
    out = grid.copy()
    out[2:4, 3] = out[-1, -2:] = np.nan
    return out


def rows(first: Floats, second: Floats) -> pd.DataFrame:
    y, x = np.indices(first.shape)
    table = pd.DataFrame({"x": 500.0 + 1000 * x.ravel(), "y": 9e5 - 1000.0 * y.ravel()})
    return table.assign(rsei=first.ravel(), dem=second.ravel())


def of_pixels(table: pd.DataFrame, *drivers: str) -> pd.DataFrame:
    return correlations.correlation(Pixels.of_table(table), drivers or ("dem",))


@pytest.mark.parametrize("smooth", [0, 1.5])
def test_moran_is_that_of_the_definition(smooth: float) -> None:
    grid = holed(field((9, 12), smooth, 1))
    found = moran(grid)
    assert found.index == pytest.approx(oracles_spatial.moran(grid), rel=1e-12)
    assert (found.n, found.expected) == (104, -1 / 103)
    assert (found.z > 5) == bool(smooth)


@pytest.mark.parametrize("rows", [1, 2, 5, 12])
def test_strips_of_a_map_do_not_show(rows: int) -> None:
    grid = holed(field((12, 9), 1.0, 5))
    for way in (grid, grid.T):  # as neighbours are the same from the side
        strips = (way[first : first + rows] for first in range(0, len(way), rows))
        found = moran_of(strips, float(np.nanmean(grid)))
        assert vars(found) == pytest.approx(vars(moran(grid)), rel=1e-11)


@pytest.mark.filterwarnings("ignore")
def test_moran_is_esdas() -> None:
    esda, weights = pytest.importorskip("esda"), pytest.importorskip("libpysal.weights")
    grid = field((8, 11), 1.0, 2)
    expected = esda.Moran(
        grid.ravel(), weights.lat2W(8, 11, rook=False), transformation="B", permutations=0
    )
    found = moran(grid)
    assert found.index == pytest.approx(expected.I, rel=1e-12)
    assert found.z == pytest.approx(expected.z_rand, rel=1e-9)
    assert found.p == pytest.approx(expected.p_rand, rel=1e-6)


def test_moran_of_a_constant_or_scattered_map_is_unknown() -> None:
    assert math.isnan(moran(np.ones((5, 5))).index)
    scattered = np.full((7, 7), np.nan)
    scattered[::3, ::3] = np.arange(9).reshape(3, 3)
    assert math.isnan(moran(scattered).index)
    assert math.isnan(moran(np.full((3, 3), np.nan)).p)


@pytest.mark.parametrize("smooth", [0.8, 2.0])
def test_effective_size_is_that_of_the_pairs(smooth: float) -> None:
    first, second = holed(field((10, 13), smooth, 3)), field((10, 13), smooth, 4)
    expected = oracles_spatial.effective_size(first, second, 1.0, 6.5)
    assert effective_size(first, second) == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20)
@given(lines=st.integers(1, 40), height=st.integers(1, 30), width=st.integers(2, 30))
def test_lines_that_are_transformed_together_do_not_show(
    lines: int, height: int, width: int
) -> None:
    first, second = (field((height, width), 1.0, seed) for seed in (1, 2))
    expected = effective_size(first, second)
    with patch.object(autocorrelation, "LINES", lines):
        np.testing.assert_array_equal(effective_size(first, second), expected)


def test_effective_size_makes_the_test_honest() -> None:
    """Of unrelated smooth maps 5 % should look related; without correction most do."""
    naive, corrected = [], []
    for seed in range(200):
        first, second = field((24, 24), 3.0, seed), field((24, 24), 3.0, 1000 + seed)
        row = of_pixels(rows(first, second)).iloc[0]
        naive.append(row["p"] < 0.05)
        corrected.append(row["p_eff"] < 0.05)
    assert np.mean(naive) > 0.5
    assert np.mean(corrected) < 0.12


def test_white_noise_keeps_its_size() -> None:
    sizes = [effective_size(field((20, 20), 0, s), field((20, 20), 0, 99 + s)) for s in range(20)]
    assert np.median(sizes) > 300


def test_coefficients_are_scipys() -> None:
    first = holed(field((9, 9), 1, 5))
    second = first + field((9, 9), 1, 6)
    table = rows(first, second)
    row = of_pixels(table).iloc[0]
    both = table.dropna()
    expected = stats.pearsonr(both["rsei"], both["dem"])
    assert (row["driver"], row["n"]) == ("dem", len(both))
    assert row["pearson"] == pytest.approx(expected.statistic, rel=1e-12)
    assert row["p"] == pytest.approx(expected.pvalue, rel=1e-9)
    rank = stats.spearmanr(both["rsei"], both["dem"]).statistic
    assert row["spearman"] == pytest.approx(rank, rel=1e-12)
    assert row["n_eff"] < row["n"] and row["p_eff"] > row["p"]


def test_order_of_rows_changes_nothing() -> None:
    table = rows(field((9, 9), 1, 5), field((9, 9), 1, 6))
    shuffled = table.sample(frac=1, random_state=1)
    pd.testing.assert_frame_equal(of_pixels(shuffled), of_pixels(table), check_exact=True)


def test_a_constant_or_missing_driver_has_no_correlation() -> None:
    table = rows(field((4, 4), 0, 1), np.ones((4, 4))).assign(gdp=np.nan)
    found = of_pixels(table, "dem", "gdp")
    assert found["n"].tolist() == [16, 0]
    assert found[["pearson", "p", "n_eff", "p_eff", "spearman"]].isna().all(axis=None)


def test_matrix_is_pandas() -> None:
    table = rows(holed(field((9, 9), 1, 5)), field((9, 9), 1, 6))
    found = correlations.matrix(table, ["dem"]).pivot(index="first", columns="second")
    expected = table[["rsei", "dem"]].corr()
    np.testing.assert_allclose(found["pearson"].loc[["rsei", "dem"], ["rsei", "dem"]], expected)
    assert found["n"].to_numpy().tolist() == [[81, 77], [77, 77]]


def test_inflation_is_the_inverse_correlations_diagonal() -> None:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(300, 4)), columns=list("abcd"))
    table["c"] += 2 * table["a"] - table["b"]
    found = correlations.inflation(table, list("abcd"))
    expected = np.diag(np.linalg.inv(np.corrcoef(table.to_numpy().T)))
    np.testing.assert_allclose(found["vif"], expected, rtol=1e-9)
    table["e"], table["f"] = table["a"] + table["b"], 1.0
    found = correlations.inflation(table, list("abdef"))
    assert np.isinf(found["vif"][:2]).all() and np.isnan(found["vif"][4])
