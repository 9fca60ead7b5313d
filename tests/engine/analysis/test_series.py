# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import oracles_coverage as oracle
import pandas as pd
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from mining_worlds import EPOCHS, LONLAT, square, stack_of

from rsei.engine.analysis.series import (
    COLUMNS,
    latitude_profile,
    series,
    statistics,
    weighted_quantiles,
)
from rsei.engine.analysis.stacks import Stack, covered_zones, labelled_zones, parts_of
from rsei.engine.analysis.zones import Coverage, centres, labels_of
from rsei.engine.sources.grids import SINUSOIDAL_500M, Lattice, Window

MARKS = [0.05, 0.25, 0.5, 0.75, 0.95]
PLANE = Lattice("EPSG:32650", 400_000.0, 4_400_000.0, 500.0, 500.0)


def test_statistics_are_numpys() -> None:
    values = np.random.default_rng(1).beta(2, 3, 10_001).astype(np.float32)
    held = values.astype(np.float64)
    expected = [held.size, held.mean(), held.std(), held.min(), *np.quantile(held, MARKS)]
    found = statistics(values, None)
    np.testing.assert_allclose(found, [*expected, held.max()], rtol=0, atol=1e-9)
    assert found[3:] == [*expected[3:], held.max()]


def test_nothing_has_no_statistics() -> None:
    found = statistics(np.zeros(0, np.float32), None)
    assert found[0] == 0 and np.isnan(found[1:]).all() and len(found) == len(COLUMNS)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40), st.floats(0.1, 1))
def test_equal_weights_give_numpys_quantiles(values: list[float], weight: float) -> None:
    found = weighted_quantiles(np.array(values), np.full(len(values), weight), MARKS)
    np.testing.assert_allclose(found, np.quantile(values, MARKS), rtol=0, atol=1e-12)


def test_weighted_statistics_are_exactextracts() -> None:
    window = Window(0, 0, 25, 30)
    layer = np.random.default_rng(2).random(window.shape, np.float32)
    left, _, _, top = PLANE.bounds(window)
    shape = shapely.Polygon([(1.2, 3.1), (27.7, 6.3), (14.9, 22.4), (5.5, 17.3)])
    shape = shapely.transform(shape, lambda at: [left, top] + at * [500.0, -500.0])
    pixels, shares = Coverage.of([shape], PLANE.crs, PLANE, window).entries(0)
    found = statistics(layer.reshape(-1)[pixels], shares)
    what = ["count", "mean", "stdev", "min", *(f"quantile(q={mark})" for mark in MARKS), "max"]
    exact = oracle.by_exactextract(np.array([shape]), PLANE, window, layer, what)[0]
    names = ["count", "mean", "stdev", "min", *(f"quantile_{int(100 * m)}" for m in MARKS), "max"]
    np.testing.assert_allclose(found, [exact[name] for name in names], rtol=1e-6)


def town(seed: int = 0) -> tuple[Stack, list[shapely.Polygon]]:
    rng = np.random.default_rng(seed)
    stack = stack_of(square(), lambda lon, lat: rng.random(lon.shape))
    rsei = stack.rsei.copy()
    rsei[1] *= 0.5
    rsei[2, 20:40] = np.nan
    mines = [shapely.Point(118.0, 39.52).buffer(0.03), shapely.Point(118.2, 39.62).buffer(0.002)]
    return Stack("Town", stack.lattice, stack.window, EPOCHS, rsei), mines


def test_series_has_the_contracts_columns_and_every_zone() -> None:
    stack, mines = town()
    table = series(stack, parts_of(stack, mines, LONLAT))
    names = "area,zone,epoch,n,mean,std,min,p5,p25,median,p75,p95,max"
    assert ",".join(table.columns) == names
    assert table["zone"].unique().tolist() == ["area", "mines", "outside"]
    assert table["epoch"].unique().tolist() == ["2001", "2004", "2007", "all"]
    assert series(stack, parts_of(stack, None))["zone"].unique().tolist() == ["area"]
    row: Any = table.set_index(["zone", "epoch"]).loc[("area", "2004")]
    held = stack.rsei[1][~np.isnan(stack.rsei[1])].astype(np.float64)
    np.testing.assert_allclose(
        row[["n", "mean", "std"]].to_list(), [held.size, held.mean(), held.std()]
    )


def test_mines_count_by_their_union_and_outside_by_its_centres() -> None:
    stack, mines = town()
    twice = series(stack, parts_of(stack, [*mines, mines[0].buffer(-0.01)], LONLAT))
    once = series(stack, parts_of(stack, mines, LONLAT))
    pd.testing.assert_frame_equal(once, twice, rtol=1e-9)
    table = once.set_index(["zone", "epoch"])["n"]
    inside = labels_of(mines, LONLAT, stack.lattice, stack.window) > 0
    assert table["outside", "2001"] == table["area", "2001"] - inside.sum()
    whole = Coverage.of(mines, LONLAT, stack.lattice, stack.window).sizes.sum()
    assert table["mines", "2001"] == pytest.approx(whole, rel=1e-9)


def test_the_multi_year_mean_is_that_of_the_valid_epochs() -> None:
    stack, _ = town()
    with np.errstate(invalid="ignore"):
        count = (~np.isnan(stack.rsei)).sum(axis=0)
        expected = np.nansum(stack.rsei.astype(np.float64), axis=0) / count
    np.testing.assert_allclose(stack.mean, expected, rtol=1e-7)
    assert np.isnan(stack.mean[0, 0])


def test_a_stack_that_does_not_fit_is_refused() -> None:
    window = Window(0, 0, 2, 2)
    with pytest.raises(ValueError, match=r"expected RSEI of shape \(1, 2, 2\)"):
        Stack("a", PLANE, window, (2001,), np.zeros((1, 2, 3), np.float32))
    with pytest.raises(ValueError, match="expected epochs that rise"):
        Stack("a", PLANE, window, (2004, 2001), np.zeros((2, 2, 2), np.float32))
    with pytest.raises(KeyError, match="expected one of the epochs"):
        Stack("a", PLANE, window, (2001,), np.zeros((1, 2, 2), np.float32)).at(2002)


def test_latitude_bins_match_a_loop() -> None:
    stack, mines = town()
    table = latitude_profile(stack, mines, LONLAT, width=0.1)
    assert ",".join(table.columns) == "area,epoch,latitude,n,mean,std,mines"
    rows = table[table["epoch"] == "2001"].set_index("latitude")
    assert rows.index.tolist() == [39.25, 39.35, 39.45, 39.55, 39.65, 39.75, 39.85, 39.95]
    lat = centres(stack.lattice, stack.window)[1]
    for middle, row in rows.iterrows():
        low = float(str(middle)) - 0.05
        held = stack.rsei[0][(lat >= low) & (lat < low + 0.1) & ~np.isnan(stack.rsei[0])]
        expected = [held.size, held.mean(dtype=float), held.std(dtype=float)]
        np.testing.assert_allclose(row[["n", "mean", "std"]].to_list(), expected, atol=1e-8)
    assert rows["mines"].tolist() == [0, 0, 0, 1, 1, 0, 0, 0]


def test_a_mine_beyond_the_city_has_a_bin_of_its_own() -> None:
    stack, _ = town()
    table = latitude_profile(stack, [shapely.Point(118, 41.02).buffer(0.01)], LONLAT)
    last = table.iloc[-1]
    assert (last["latitude"], last["n"], last["mines"]) == (41.05, 0, 1)
    assert np.isnan(last["mean"])


def test_latitude_is_that_of_the_sphere() -> None:
    lat = centres(SINUSOIDAL_500M, Window(12000, 64800, 1, 1))[1]
    assert lat[0, 0] == pytest.approx(40 - 0.5 * 10 / 2400, abs=1e-8)


def test_any_polygon_or_label_is_a_zone() -> None:
    stack, mines = town()
    shapes = [*mines, shapely.Point(0, 0).buffer(1)]
    coverage = Coverage.of(shapes, LONLAT, stack.lattice, stack.window)
    assert coverage.reasons == ("", "", "outside")
    table = series(stack, covered_zones(["pit", "heap", "far"], coverage))
    rows = table[table["epoch"] == "2001"]
    assert rows["zone"].tolist() == ["pit", "heap", "far"]
    found = coverage.statistics(np.ascontiguousarray(stack.rsei[0]))
    np.testing.assert_allclose(rows[["n", "mean", "std"]], found[["n", "mean", "std"]])
    labels = labels_of(mines, LONLAT, stack.lattice, stack.window)
    by_label = series(stack, labelled_zones(["pit", "heap", "none"], labels))
    first = by_label[(by_label["zone"] == "pit") & (by_label["epoch"] == "2001")]
    assert first["n"].tolist() == [((labels == 1) & ~np.isnan(stack.rsei[0])).sum()]
    assert (by_label[by_label["zone"] == "none"]["n"] == 0).all()
