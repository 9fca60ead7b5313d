# SPDX-License-Identifier: Apache-2.0
"""What the simulator put into the demo's city comes back out of a run, within a stated error."""

import html
import json
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import studies

from rsei.engine.analysis.drivers import DRIVERS
from rsei.engine.analysis.forest import TRAIN, ForestSettings, split
from rsei.engine.analysis.importance import added_error, importance
from rsei.engine.analysis.trees import grown
from rsei.engine.report.tabular import check_run_tables, read
from rsei.engine.run import reporting
from rsei.engine.sources.simulate import DEMO_EPOCHS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def report(demo: Path) -> str:
    """The page of the demo's run."""
    page = reporting.report(demo / "run", studies.Silent())
    assert page.stat().st_size < 5_000_000
    return html.unescape(page.read_text(encoding="utf-8"))


def known(demo: Path) -> dict[str, Any]:
    return dict(json.loads((demo / "truth/known.json").read_text()))


def of_all_epochs(demo: Path, name: str) -> Any:
    table = pd.read_csv(demo / f"run/tables/{name}.csv", dtype={"epoch": str})
    return table.set_index("epoch").loc["all"]


def test_indicators_are_the_true_ones(demo: Path) -> None:
    """Root mean square errors of indicators made under clouds, gaps, noise and faults."""
    for epoch in DEMO_EPOCHS:
        with rasterio.open(demo / f"truth/{epoch}.tif") as file:
            true, place = dict(zip(file.descriptions, file.read())), file.transform
        with rasterio.open(demo / f"run/indicators/demo-city/{epoch}.tif") as file:
            found = dict(zip(file.descriptions, file.read()))
            row = round((file.transform.f - place.f) / place.e)
            column = round((file.transform.c - place.c) / place.a)
        valid = found["valid"] == 1
        rows, columns = (axis + first for axis, first in zip(np.nonzero(valid), (row, column)))
        bounds = {"ndvi": 0.005, "wet": 0.002, "ndbsi": 0.004, "lst": 0.2}
        for name, bound in bounds.items():
            error = found[name][valid] - true[name][rows, columns]
            assert np.sqrt(np.mean(error**2)) < bound, (epoch, name)


def test_the_ring_curve_levels_off_where_it_should(demo: Path) -> None:
    found = of_all_epochs(demo, "breakpoints")
    assert found["low"] <= known(demo)["ring_break_km"] <= found["high"]
    assert found["breakpoint_km"] == pytest.approx(known(demo)["ring_break_km"], abs=0.6)


def test_the_size_of_mines_matters_up_to_the_threshold(demo: Path) -> None:
    found = of_all_epochs(demo, "size_effect")
    assert found["low"] <= known(demo)["mine_size_threshold_km2"] <= found["high"]
    assert found["threshold_km2"] == pytest.approx(known(demo)["mine_size_threshold_km2"], abs=0.4)
    assert found["spearman"] < -0.5 and found["slope_before"] < 5 * found["slope_after"] < 0


def forest_ranks(pixels: pd.DataFrame, seed: int) -> list[str]:
    """All drivers, the most important first, by a forest of another split, trees and shuffles."""
    parts = split(pixels, DRIVERS, ForestSettings(seed=seed))
    learnt = pixels[parts == TRAIN]
    values, target = learnt[list(DRIVERS)].to_numpy(np.float32), learnt["rsei"].to_numpy()
    trees, unseen = grown(DRIVERS, values, target, 500, 3, seed)
    table = importance(trees, added_error(trees, values, target, unseen, seed), "oob")
    return list(table.sort_values("rank")["driver"])


def test_every_forest_gives_back_the_order_that_was_put_in(demo: Path) -> None:
    """All ten drivers compete: those with an effect in their order, then those without."""
    order, none = (known(demo)[f"drivers_{kind}"] for kind in ("by_importance", "without_effect"))
    assert sorted([*order, *none]) == sorted(DRIVERS) and len(order) == 6
    pixels = read(demo / "run/tables/drivers.parquet", "drivers")
    of_run = pd.read_csv(demo / "run/tables/importance.csv").sort_values("rank")["driver"]
    for ranks in (list(of_run), *(forest_ranks(pixels, seed) for seed in range(2, 7))):
        assert ranks[: len(order)] == order
        assert set(ranks[len(order) :]) == set(none)
    assert pd.read_csv(demo / "run/tables/forest.csv").iloc[0]["r2"] > 0.9


def test_tables_are_as_described(demo: Path) -> None:
    assert check_run_tables(demo / "run") == []


def test_the_page_tells_what_the_tables_hold(demo: Path, report: str) -> None:
    series = pd.read_csv(demo / "run/tables/series.csv", dtype={"epoch": str})
    means = series[series["zone"] == "area"].set_index("epoch")["mean"]
    first, last = (str(epoch) for epoch in (DEMO_EPOCHS[0], DEMO_EPOCHS[-1]))
    assert f"<dd>{means[last]:.3f}</dd>" in report
    assert f"<dd>{means[last] - means[first]:+.3f}</dd>" in report
    for row in pd.read_csv(demo / "run/tables/pca.csv").itertuples():
        assert f"<td>{row.ndvi:+.3f} " in report and f"<td>{row.pc1:.1f}</td>" in report
        assert f"<td>{row.n:,}</td>" in report
    coverage = pd.read_csv(demo / "run/tables/coverage.csv")
    for product, rows in coverage.groupby("product"):
        present = int((rows["status"] == "present").sum())
        assert f'<th scope="row">{product}</th><td>{present}</td>' in report


def test_the_page_has_every_figure_of_the_study(demo: Path, report: str) -> None:
    """The overview shows nothing more."""
    drawn = {path.relative_to(demo / "run") for path in (demo / "run/figures").rglob("*.svg")}
    shown = {path for path in drawn if path.stem != "overview"}
    assert {path.stem for path in drawn} >= {
        *("locator", "flow", "maps", "loadings", "change", "series", "grades", "latitude"),
        *("densities", "overview", "classes", "insets", "contrast", "rings", "sizes"),
    }
    assert all(f'<span class="file">{path}</span>' in report for path in shown)
    data = json.loads(report.split('id="map-data">')[1].split("</script>")[0])
    (site,) = data["sites"]
    assert list(site["images"]) == [str(epoch) for epoch in DEMO_EPOCHS]
    assert site["outline"] and len(site["mines"]["coordinates"]) == 32


def test_the_mines_are_a_layer_for_a_gis(demo: Path, report: str) -> None:
    mines = gpd.read_file(demo / "run/vectors/results.gpkg", layer="mines")
    table = pd.read_csv(demo / "run/tables/mines.csv", dtype={"epoch": str})
    assert len(mines) == table["mine"].nunique() == 32
    one = table[table["epoch"] == str(DEMO_EPOCHS[-1])].set_index("mine")["mean"]
    np.testing.assert_array_equal(mines[f"mean_{DEMO_EPOCHS[-1]}"], one[mines["mine"]])
    # Areas of the file are those of ESRI:102025, which keeps them.
    size = mines.geometry.to_crs("ESRI:102025").area / 1e6
    np.testing.assert_allclose(size, mines["area_km2"], rtol=1e-3)
