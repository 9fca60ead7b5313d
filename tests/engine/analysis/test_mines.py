# SPDX-License-Identifier: Apache-2.0
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import shapely
from mining_worlds import LONLAT, real_city, real_mines, square, stack_of
from pyproj import Geod
from scipy import stats

from rsei.engine.analysis.mines import (
    SIZE_CLASSES,
    box,
    mine_table,
    size_class,
    size_classes,
    size_effect,
)
from rsei.engine.analysis.polygons import Geometries, areas_km2
from rsei.engine.analysis.stacks import Stack


def mines_of_all_sizes(
    number: int = 60,
) -> tuple[Geometries, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Discs from 0.03 to 10 km2 on a grid, far apart, and their radii in degrees."""
    radii = 0.001 * 10 ** np.linspace(0, 1.25, number)
    order = np.random.default_rng(1).permutation(number)
    at = [shapely.Point(117.75 + 0.07 * (k % 10), 39.25 + 0.07 * (k // 10)) for k in order]
    return shapely.buffer(np.array(at), radii), radii


@cache
def table_of_all_sizes() -> pd.DataFrame:
    mines, _ = mines_of_all_sizes()
    return mine_table(town(mines), mines, LONLAT)


def town(mines: Geometries) -> Stack:
    """RSEI inside each mine: 0.7, less 0.2 for each of the first 1.5 km2."""
    size = areas_km2(mines, LONLAT)
    tree = shapely.STRtree(mines)

    def rsei(lon, lat):  # type: ignore[no-untyped-def]
        nearest = tree.nearest(shapely.points(lon.ravel(), lat.ravel())).reshape(lon.shape)
        return 0.7 - 0.2 * np.minimum(size[nearest], 1.5)

    return stack_of(square(), rsei)


def test_the_size_effect_that_was_put_in_comes_out() -> None:
    table = table_of_all_sizes()
    assert ",".join(table.columns) == "area,mine,epoch,area_km2,size_class,coverage_px,mean"
    assert len(table) == 60 * 4
    rows = table[table["epoch"] == "all"]
    truth = 0.7 - 0.2 * np.minimum(rows["area_km2"], 1.5)
    np.testing.assert_allclose(rows["mean"], truth, rtol=0, atol=1e-6)
    np.testing.assert_allclose(rows["coverage_px"] * 0.2146586733, rows["area_km2"], rtol=5e-3)
    effect = size_effect(table).set_index("epoch").loc["all"]
    assert effect["n"] == 60
    assert effect["threshold_km2"] == pytest.approx(1.5, rel=0.01)
    assert effect["low"] <= effect["threshold_km2"] <= effect["high"]
    assert effect["slope_before"] == pytest.approx(-0.2, abs=2e-3)
    assert effect["slope_after"] == pytest.approx(0, abs=1e-3)
    rho, p = stats.spearmanr(rows["area_km2"], rows["mean"])
    assert (effect["spearman"], effect["p"]) == pytest.approx((rho, p))


def test_areas_are_geodesic_to_the_square_metre(real_data: Path) -> None:
    mines = real_mines(real_data)
    dense = shapely.segmentize(mines, 1e-4)  # a geodesic leaves a line of constant slope
    expected = [abs(Geod(ellps="WGS84").geometry_area_perimeter(mine)[0]) / 1e6 for mine in dense]
    np.testing.assert_allclose(areas_km2(mines, LONLAT), expected, rtol=1e-6)


def test_real_mines_of_a_real_city(real_data: Path) -> None:
    mines = real_mines(real_data)
    stack = stack_of(real_city(real_data, "130200"), lambda lon, lat: (lon - 117) / 3)
    table = mine_table(stack, mines, LONLAT, names=[7, 8, 9, 10, 11, 12])
    rows = table[table["epoch"] == "2004"].set_index("mine")
    assert rows.index.tolist() == [7, 8, 9, 10, 11, 12]
    within = shapely.within(mines, real_city(real_data, "130200")[0])
    assert 0 < within.sum() < 6
    assert (rows["mean"].notna() == (rows["coverage_px"] > 0)).all()
    centre = shapely.get_x(shapely.centroid(mines[within]))
    np.testing.assert_allclose(rows["mean"][within], (centre - 117) / 3, rtol=0, atol=2e-4)
    assert rows["mean"][~within].isna().any()  # those of the other city


def test_lower_edges_belong_to_their_class() -> None:
    edges = [0, 0.25, 0.5, 0.75, 1]
    assert size_class(edges) == list(SIZE_CLASSES)
    assert size_class(np.nextafter(edges[1:], 0).tolist()) == list(SIZE_CLASSES[:-1])


def test_boxes() -> None:
    values = np.array([0.1, 0.5, 0.52, 0.53, 0.55, 0.6, 0.95])
    found = box(values)
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    assert found == [7, values.mean(), values.std(), 0.1, 0.5, low, middle, high, 0.6, 0.95]
    table = table_of_all_sizes().copy()
    table.loc[table["size_class"] == "0.5-0.75", "mean"] = np.nan
    boxes = size_classes(table)
    names = "area,epoch,size_class,n,mean,std,min,whisker_low,p25,median,p75,whisker_high,max"
    assert ",".join(boxes.columns) == names
    rows = boxes[boxes["epoch"] == "2001"]
    assert rows["size_class"].tolist() == list(SIZE_CLASSES)
    empty = rows.set_index("size_class").loc["0.5-0.75"]
    assert empty["n"] == 0 and np.isnan(empty["median"])
    assert rows["n"].sum() == table[table["epoch"] == "2001"]["mean"].notna().sum()


def test_too_few_mines_have_no_threshold() -> None:
    table = table_of_all_sizes()
    effect = size_effect(table[table["mine"] < 5])
    assert (effect["n"] == 5).all() and effect["threshold_km2"].isna().all()
    assert isinstance(effect, pd.DataFrame)
