# SPDX-License-Identifier: Apache-2.0
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from mining_worlds import LONLAT, real_city, real_mines, square, stack_of
from numpy.typing import NDArray
from pydantic import ValidationError
from pyproj import Geod, Transformer

from rsei.engine.analysis.polygons import ANALYSIS, Geometries, carried
from rsei.engine.analysis.rings import (
    Rings,
    RingSettings,
    breakpoints,
    distances,
    metric_crs,
    ring_fits,
    scale_range,
)
from rsei.engine.analysis.stacks import Stack
from rsei.engine.analysis.zones import Coverage, centres

NEAR = RingSettings(reach_km=20)
MINES = np.array(
    [shapely.Point(118.0, 39.5).buffer(0.02), shapely.Point(118.3, 39.7).buffer(0.001)]
)


def brute(mines: Geometries, lon: object, lat: object, crs: str = ANALYSIS) -> NDArray[np.float64]:
    """Distance in ``crs``, m, of each place to the union of the mines, without an index."""
    union = shapely.union_all(carried(mines, LONLAT, crs, 0.001))
    x, y = Transformer.from_crs(LONLAT, crs, always_xy=True).transform(lon, lat)
    distance: NDArray[np.float64] = shapely.distance(union, shapely.points(x, y))
    return distance


def curve(distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """RSEI that rises from 0.4 to 0.64 in 12 km, then falls slowly."""
    km = distance / 1000
    return 0.4 + 0.02 * np.minimum(km, 12) - 0.001 * np.maximum(km - 12, 0)


@cache
def town() -> Stack:
    return stack_of(square(), lambda lon, lat: curve(brute(MINES, lon, lat)))


def test_membership_is_the_distance_of_every_centre() -> None:
    stack = town()
    rings = Rings.of(stack, MINES, LONLAT, NEAR)
    lon, lat = centres(stack.lattice, stack.window)
    valid = ~np.isnan(stack.mean)
    km = brute(MINES, lon[valid], lat[valid]) / 1000
    expected = np.where(km <= 20, np.ceil(km), -1)
    np.testing.assert_array_equal(rings.labels[valid], expected)
    assert (rings.labels[~valid] == -1).all()
    assert {-1, 0, 1, 20} <= set(rings.labels.ravel().tolist())


@pytest.mark.parametrize("code", [pytest.param("130200", marks=pytest.mark.slow), "510400"])
def test_membership_in_a_real_city(real_data: Path, code: str) -> None:
    mines = real_mines(real_data)
    stack = stack_of(real_city(real_data, code), lambda lon, lat: np.full(lon.shape, 0.5))
    rings = Rings.of(stack, mines, LONLAT, NEAR)
    lon, lat = centres(stack.lattice, stack.window)
    valid = ~np.isnan(stack.mean)
    km = brute(mines, lon[valid], lat[valid]) / 1000
    np.testing.assert_array_equal(rings.labels[valid], np.where(km <= 20, np.ceil(km), -1))
    counts = rings.table(stack).query("epoch == 'all' and ring_km > 0")["n"]
    assert counts.sum() == ((km > 0) & (km <= 20)).sum() > 1000


@settings(max_examples=4)
@given(size=st.integers(200, 9000))
def test_blocks_of_pixels_do_not_show(size: int) -> None:
    """Of a whole rectangle, and of a nation's pixels alone."""
    whole = town()
    held = np.flatnonzero(~np.isnan(whole.mean.ravel()))[::19]
    rsei = whole.rsei.reshape(len(whole.epochs), -1)
    holed = np.full_like(rsei, np.nan)
    holed[:, held] = rsei[:, held]
    few = replace(whole, rsei=rsei[:, held], pixels=held)
    for stack in (replace(whole, rsei=holed.reshape(whole.rsei.shape)), few):
        expected = Rings.of(stack, MINES, LONLAT, NEAR)
        with patch("rsei.engine.analysis.rings.BLOCK", size):
            found = Rings.of(stack, MINES, LONLAT, NEAR)
            table = found.table(stack)
        np.testing.assert_array_equal(found.labels, expected.labels)
        pd.testing.assert_frame_equal(table, expected.table(stack), check_exact=True)


def test_the_outer_edge_belongs_to_a_ring() -> None:
    edges = NEAR.edges * 1000
    assert np.searchsorted(edges, [0, 1e-9, 1000, 1000.0001, 20000]).tolist() == [0, 1, 1, 2, 20]


def test_widths_and_reaches() -> None:
    assert RingSettings(width_km=0.5, reach_km=2).edges.tolist() == [0, 0.5, 1, 1.5, 2]
    assert RingSettings(width_km=2, reach_km=5).edges.tolist() == [0, 2, 4, 5]
    assert len(RingSettings(width_km=0.1, reach_km=0.3).edges) == 4
    with pytest.raises(ValidationError):
        RingSettings(width_km=0)


def test_the_curve_that_was_put_in_comes_out() -> None:
    stack = town()
    table = Rings.of(stack, MINES, LONLAT, NEAR).table(stack)
    assert ",".join(table.columns) == "area,epoch,ring_km,n,mean,std"
    assert len(table) == 4 * 21
    rows: Any = table[table["epoch"] == "all"].set_index("ring_km")
    lon, lat = centres(stack.lattice, stack.window)
    km = np.where(np.isnan(stack.mean), np.inf, brute(MINES, lon, lat) / 1000)
    for ring in range(1, 21):
        held = curve(1000 * km[(km > ring - 1) & (km <= ring)])
        expected = [held.size, held.mean(), held.std()]
        np.testing.assert_allclose(
            rows.loc[ring, ["n", "mean", "std"]].to_list(), expected, atol=1e-8
        )
        # A ring's pixels lie a little beyond its middle: 0.02 a km times 1 / 12 of a ring.
        assert rows.loc[ring, "mean"] == pytest.approx(
            curve(np.array(1e3 * (ring - 0.5))), abs=2e-3
        )
    union = Coverage.of([shapely.union_all(MINES)], LONLAT, stack.lattice, stack.window)
    inside: Any = union.statistics(stack.mean).loc[0, ["n", "mean", "std"]]
    np.testing.assert_allclose(rows.loc[0, ["n", "mean", "std"]].to_list(), inside.to_list())

    fits = ring_fits(table)
    assert ",".join(fits.columns) == "area,epoch,ring_km,distance_km,n,mean,fit,low,high"
    mines = fits["ring_km"] == 0
    assert mines.sum() == 4 and fits.loc[mines, ["fit", "low", "high"]].isna().all(axis=None)
    np.testing.assert_array_equal(fits.loc[mines, "mean"], table.loc[table["ring_km"] == 0, "mean"])
    curves = fits[~mines]
    assert (curves["low"] <= curves["fit"]).all() and (curves["fit"] <= curves["high"]).all()
    ends = breakpoints(fits).set_index("epoch").loc["all"]
    assert ends["breakpoint_km"] == pytest.approx(12, abs=0.3)
    assert ends["low"] <= ends["breakpoint_km"] <= ends["high"]
    assert ends["slope_before"] == pytest.approx(0.02, abs=1e-3)
    assert ends["slope_after"] == pytest.approx(-0.001, abs=1e-3)
    means = rows["mean"].to_numpy()
    assert ends["max_km"] == np.argmax(means) - 0.5 and ends["min_km"] == 0
    assert (fits["fit"] - fits["mean"]).abs().max() < 0.02  # a parabola rounds the corner off


def test_the_top_of_a_smooth_curve_is_found() -> None:
    km = np.concatenate([[0.0], np.arange(20) + 0.5])
    mean = 0.7 - 0.001 * (km - 13.5) ** 2
    table = pd.DataFrame({"area": "Town", "epoch": "all", "ring_km": np.arange(21), "mean": mean})
    table["n"] = 100.0
    table.loc[3, "mean"] = np.nan  # a ring without pixel
    ends = breakpoints(ring_fits(table)).iloc[0]
    assert (ends["fit_max_km"], ends["fit_min_km"]) == (13.5, 0.5)
    assert (ends["max_km"], ends["min_km"]) == (13.5, 0)


def test_a_city_far_from_every_mine_has_empty_rings() -> None:
    stack = town()
    far = [shapely.Point(110, 30).buffer(0.1)]
    table = Rings.of(stack, far, LONLAT, NEAR).table(stack)
    assert (table["n"] == 0).all() and table["mean"].isna().all() and len(table) == 84
    assert ring_fits(table).empty and breakpoints(ring_fits(table)).empty


def test_ground_distances_are_geodesic() -> None:
    stack = stack_of(square(side=1.5), lambda lon, lat: np.full(lon.shape, 0.5))
    spots = np.array([[118.05, 39.45], [118.9, 40.2]])
    mines = shapely.points(spots)
    dots = np.asarray(shapely.buffer(mines, 1e-7))  # 1 cm: a mine that is a place
    settings = RingSettings(metric="ground", reach_km=40)
    found = distances(stack, dots, LONLAT, settings)
    lon, lat = centres(stack.lattice, stack.window)
    geod = Geod(ellps="WGS84")
    near = np.isfinite(found)
    there = lon[near], lat[near]
    true = np.min(
        [geod.inv(*there, *np.repeat(spot[:, None], near.sum(), axis=1))[2] for spot in spots],
        axis=0,
    )
    least, most = scale_range(stack, settings)
    assert 1 - 1e-7 < least <= 1 <= most < 1 + 1e-4
    ratio = (found[near] + 0.01) / true
    assert ratio.min() > least - 1e-5 and ratio.max() < most + 1e-5


def test_the_papers_metric_is_off_by_what_it_says(real_data: Path) -> None:
    stack = stack_of(real_city(real_data, "210300"), lambda lon, lat: np.full(lon.shape, 0.5))
    least, most = scale_range(stack, RingSettings())
    assert (least, most) == pytest.approx((0.909, 1.100), abs=0.01)  # as published for Anshan
    assert metric_crs(stack.lattice, stack.window, RingSettings()) == ANALYSIS
