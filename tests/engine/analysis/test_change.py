# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pymannkendall
import pytest
import shapely
from conftest import Home
from mining_worlds import LONLAT, square, stack_of
from scipy import stats

from rsei.engine.analysis.change import (
    Scopes,
    Trend,
    changes,
    contrast,
    difference,
    pixel_trends,
    trends,
)
from rsei.engine.analysis.series import series
from rsei.engine.analysis.stacks import Stack, parts_of
from rsei.engine.analysis.zones import pixel_areas

EPOCHS = (2001, 2004, 2007, 2010, 2013, 2016, 2019, 2022)
MINE = [shapely.Point(117.8, 39.3).buffer(0.03)]


def town(side: float = 0.2) -> Stack:
    """The west gains 0.02 a year, the east does not; noise of 0.02, and gaps."""
    rng = np.random.default_rng(1)
    flat = stack_of(square(side=side), lambda lon, lat: np.where(lon < 117.8, 0.02, 0.0), EPOCHS)
    years = np.array(EPOCHS, np.float32)[:, None, None] - 2001
    rsei = 0.3 + flat.rsei * years + rng.normal(0, 0.02, flat.rsei.shape).astype(np.float32)
    rsei[rng.random(rsei.shape) < 0.05] = np.nan
    rsei[2:, 5, 5] = np.nan
    return Stack("Town", flat.lattice, flat.window, EPOCHS, rsei)


def test_change_between_epochs() -> None:
    stack = town()
    zones = parts_of(stack, MINE, LONLAT)
    table = changes(stack, zones, [(2001, 2022), (2019, 2022)], Scopes())
    names = "area,zone,from_epoch,to_epoch,normalisation,pca,n,mean,std,p5,p25,median,p75,p95"
    rest = "improved,degraded,pooled_mean,renormalisation"
    assert ",".join(table.columns) == f"{names},{rest}"
    row: Any = table.set_index(["zone", "from_epoch"]).loc[("area", 2001)]
    gain = (stack.rsei[-1] - stack.rsei[0])[~np.isnan(stack.rsei[-1] - stack.rsei[0])].astype(float)
    expected = [
        gain.size,
        gain.mean(),
        gain.std(),
        *np.quantile(gain, [0.05, 0.25, 0.5, 0.75, 0.95]),
    ]
    expected += [(gain > 0).mean(), (gain < 0).mean()]
    found = row[["n", "mean", "std", "p5", "p25", "median", "p75", "p95", "improved", "degraded"]]
    np.testing.assert_allclose(found.to_list(), expected, rtol=0, atol=1e-8)
    assert (row["normalisation"], row["pca"]) == ("epoch", "epoch")
    assert np.isnan(row["pooled_mean"]) and np.isnan(row["renormalisation"])


def test_change_under_two_scopes() -> None:
    stack = town()
    scaled = stack.rsei.copy()
    scaled[-1] += np.float32(0.125)  # what a scaling anew at each epoch may do
    epoch = Stack("Town", stack.lattice, stack.window, EPOCHS, scaled)
    zones = parts_of(stack, MINE, LONLAT)
    table = changes(epoch, zones, [(2001, 2022), (2001, 2019)], Scopes("epoch", "epoch"), stack)
    by = table.set_index(["zone", "to_epoch"])["renormalisation"]
    for zone in ("area", "mines", "outside"):
        assert by[zone, 2022] == pytest.approx(0.125, abs=1e-7)
        assert by[zone, 2019] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(table["mean"] - table["pooled_mean"], table["renormalisation"])


def test_difference_maps() -> None:
    stack = town()
    np.testing.assert_array_equal(difference(stack, 2001, 2004), stack.rsei[1] - stack.rsei[0])
    with pytest.raises(KeyError, match="expected one of the epochs"):
        difference(stack, 2001, 2002)


def test_trend_of_each_pixel(home: Home) -> None:
    stack = town()
    found = Trend.of(stack, home.put(stack.rsei)).moved(home.get)
    slope, p = found.slope, found.p
    assert slope.shape == stack.window.shape
    years = np.array(EPOCHS, float)
    checked = 0
    for row, column in np.argwhere(~np.isnan(stack.mean))[::37]:
        values = stack.rsei[:, row, column].astype(float)
        there = ~np.isnan(values)
        if there.sum() < 4:
            assert np.isnan(slope[row, column])
            continue
        expected = stats.theilslopes(values[there], years[there]).slope
        assert slope[row, column] == pytest.approx(expected, rel=1e-5, abs=1e-8)
        assert p[row, column] == pytest.approx(
            pymannkendall.original_test(values[there]).p, rel=1e-4
        )
        checked += 1
    assert checked > 3
    assert np.isnan(slope[5, 5])


def test_false_discoveries_are_controlled() -> None:
    stack = town(side=0.4)
    found = Trend.of(stack)
    valid = ~np.isnan(found.p)
    q = found.q()
    np.testing.assert_array_equal(np.isnan(q), ~valid)
    p = np.sort(found.p[valid].astype(float))
    # Benjamini and Hochberg as they wrote it: the largest k with p(k) <= k alpha / m.
    passing = np.flatnonzero(p <= np.arange(1, p.size + 1) / p.size * 0.05)
    assert (q[valid] <= 0.05).sum() == passing[-1] + 1
    truth = stack_of(square(side=0.4), lambda lon, lat: np.where(lon < 117.8, 1.0, 0.0)).rsei[0]
    called = q <= 0.05
    assert (called & (truth == 0)).sum() / called.sum() <= 0.06
    assert (called & (truth == 1)).sum() / (valid & (truth == 1)).sum() > 0.95


def test_areas_with_a_trend_add_up() -> None:
    stack = town()
    found = Trend.of(stack)
    table = pixel_trends(stack, parts_of(stack, MINE, LONLAT), found).set_index("zone")
    names = "area,n,mean,std,median,alpha,improving_km2,degrading_km2,stable_km2"
    assert ",".join(table.columns) == names
    pixel = pixel_areas(stack.lattice, stack.window)[0, 0]
    areas = table[["improving_km2", "degrading_km2", "stable_km2"]]
    np.testing.assert_allclose(areas.sum(axis=1), table["n"] * pixel, rtol=1e-9)
    sure = (found.q() <= 0.05) & (found.slope > 0)
    assert table.loc["area", "improving_km2"] == pytest.approx(sure.sum() * pixel)


def test_mines_against_the_city() -> None:
    stack = town()
    table = series(stack, parts_of(stack, MINE, LONLAT))
    found = contrast(table)
    names = "area,epoch,mines,whole,outside,difference,absolute,to_outside"
    assert ",".join(found.columns) == names
    assert found["epoch"].tolist() == [*map(str, EPOCHS), "all"]
    means = table.set_index(["zone", "epoch"])["mean"]
    assert found["difference"].iloc[3] == means["mines", "2010"] - means["area", "2010"]
    assert (found["absolute"] == found["difference"].abs()).all()
    assert contrast(series(stack, parts_of(stack, None))).empty


def test_trends_of_the_means() -> None:
    stack = town()
    table = series(stack, parts_of(stack, MINE, LONLAT))
    found = trends(table)
    assert ",".join(found.columns) == "area,zone,n,slope,low,high,s,p"
    assert found["zone"].tolist() == ["area", "mines", "outside", "mines - area"]
    means = table[(table["zone"] == "mines") & (table["epoch"] != "all")]["mean"].to_numpy()
    row: Any = found.set_index("zone").loc["mines"]
    slope = stats.theilslopes(means, np.array(EPOCHS))
    test = pymannkendall.original_test(means)
    expected = [8, slope.slope, slope.low_slope, slope.high_slope, test.s, test.p]
    np.testing.assert_allclose(row[["n", "slope", "low", "high", "s", "p"]].to_list(), expected)
    short = trends(table[table["epoch"].isin(["2001", "2004", "2007"])])
    assert (short["n"] == 3).all() and short["slope"].isna().all()
