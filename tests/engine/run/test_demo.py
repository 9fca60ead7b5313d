"""What the simulator put into the demo's city comes back out of a run, within a stated error."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import studies

from rsei.engine.report.tabular import check_run_tables
from rsei.engine.sources.simulate import DEMO_EPOCHS, write_demo

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's folder, its study run without drivers and figures."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo(folder)
    path = folder / "study.toml"
    path.write_text(path.read_text().partition("[drivers]")[0])
    assert studies.run(path).exit_code == 0
    return folder


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


def test_tables_are_as_described(demo: Path) -> None:
    assert check_run_tables(demo / "run") == []
