# SPDX-License-Identifier: Apache-2.0
"""Places with an outline carry the numbers of the tables into a GIS."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import shapely
from reported import HOSTILE, PITS

from rsei.engine.report.findings import Findings
from rsei.engine.report.vectors import LAYERS, geopackage, layers

pytestmark = pytest.mark.slow


def read(folder: Path, layer: str) -> gpd.GeoDataFrame:
    return gpd.read_file(folder / "vectors" / "results.gpkg", layer=layer)


def test_the_geopackage_has_the_layers_of_the_run(folder: Path) -> None:
    found = {str(name) for name, _ in pyogrio.list_layers(folder / "vectors" / "results.gpkg")}
    assert found == {"areas", "mines", "extremes"}  # no zones were asked for
    parquet = {path.stem for path in (folder / "vectors").glob("*.parquet")}
    assert parquet == found <= set(LAYERS)


def test_geoparquet_is_the_same(folder: Path) -> None:
    for path in (folder / "vectors").glob("*.parquet"):
        one, other = gpd.read_parquet(path), read(folder, path.stem)
        assert one.crs == "OGC:CRS84" and other.crs.equals("EPSG:4326", ignore_axis_order=True)
        assert shapely.equals_exact(one.geometry.values, other.geometry.values, 1e-9).all()
        plain, again = (frame.drop(columns="geometry") for frame in (one, other))
        pd.testing.assert_frame_equal(plain, again, check_dtype=False)


def test_areas_have_the_means_of_the_series(folder: Path, findings: Findings) -> None:
    series = pd.read_csv(folder / "tables/series.csv", dtype={"epoch": str})
    areas = read(folder, "areas").set_index("area")
    assert list(areas.index) == [HOSTILE, "Plain"]
    for site in findings.sites:
        rows = series[(series["area"] == site.name) & (series["zone"] == "area")]
        means = rows.set_index("epoch")["mean"]
        for epoch in site.epochs:
            assert areas.loc[site.name, f"mean_{epoch}"] == means[str(epoch)]
        change = means[str(site.epochs[-1])] - means[str(site.epochs[0])]
        assert areas.loc[site.name, "change"] == pytest.approx(change, abs=1e-12)
        assert site.outline is not None
        assert areas.loc[site.name, "geometry"].equals(site.outline)


def test_mines_have_their_own_numbers(folder: Path) -> None:
    table = pd.read_csv(folder / "tables/mines.csv")
    mines = read(folder, "mines")
    assert len(mines) == len(PITS)
    for row in mines.itertuples():
        assert row.geometry.symmetric_difference(PITS[row.mine]).area < 1e-9
        of_mine = table[table["mine"] == row.mine].set_index("epoch")
        for epoch, mean in of_mine["mean"].drop("all").items():
            found = getattr(row, f"mean_{epoch}")
            assert found == pytest.approx(mean, rel=1e-15, nan_ok=True)
        assert row.area_km2 == of_mine["area_km2"].iloc[0]


def test_extremes_lie_where_the_table_says(folder: Path) -> None:
    table, points = pd.read_csv(folder / "tables/extremes.csv"), read(folder, "extremes")
    np.testing.assert_array_equal(points.geometry.x, table["lon"])
    np.testing.assert_array_equal(points.geometry.y, table["lat"])
    np.testing.assert_array_equal(points["value"], table["value"])


def test_equal_results_are_equal_files(findings: Findings) -> None:
    assert geopackage(layers(findings)) == geopackage(layers(findings))
