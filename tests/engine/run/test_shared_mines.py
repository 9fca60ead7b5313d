# SPDX-License-Identifier: Apache-2.0
"""Areas that share one file of mines: one that no mine meets is done with what it can have."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import driven
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
import studies

from rsei.engine.report.tabular import check_run_tables, read
from rsei.engine.run import nearness, pipeline
from rsei.engine.run.analyses import OF_EVERY_AREA
from rsei.engine.run.driving import layer_tasks
from rsei.engine.run.nearness import MineLayers
from rsei.engine.run.orders import Outcome
from rsei.engine.run.store import Store
from rsei.engine.run.survey import survey
from rsei.engine.run.tasks import carry_out
from rsei.engine.sources.errors import BoundaryError

WEST, SOUTH, EAST, NORTH = studies.BOUNDS
MIDDLE = 119.85
BOXES = {"West": (WEST, SOUTH, MIDDLE, NORTH), "East": (MIDDLE, SOUTH, EAST, NORTH)}
MINE = (119.80, 39.95, 119.82, 39.96)
"""In West, some kilometres from East."""

NAMED = 'name = "Towns"\nboundary = "towns.gpkg"\nname_field = "NAME"\nmines = "mines.gpkg"'

OF_A_MINE = ("contrast", "mines", "size_classes", "size_effect")


def run(folder: Path, granules: Path, area: str = NAMED, **sections: str) -> Outcome:
    """A study of the two towns, run; the mine is the file's only one."""
    return studies.run(written(folder, granules, area, **sections))


def written(folder: Path, granules: Path, area: str = NAMED, **sections: str) -> Path:
    driven.inputs(folder)
    driven.polygons(folder / "mines.gpkg", [MINE])
    shapes = [shapely.box(*box) for box in BOXES.values()]
    towns = gpd.GeoDataFrame({"NAME": [*BOXES]}, geometry=shapes, crs="EPSG:4326")
    towns.to_file(folder / "towns.gpkg")
    layers = 'gdp = { raster = "gdp.tif" }'
    return driven.study(folder, granules, layers, area=area, **{"forest": "", **sections})


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.write_some(tmp_path_factory.mktemp("granules"))


@pytest.fixture(scope="module")
def near(granules: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """Run folder and outcome of a study with a mine in West that is in reach of East."""
    folder = tmp_path_factory.mktemp("near")
    return folder / "run", run(folder, granules)


Rows = Callable[[str, str], pd.DataFrame]


@pytest.fixture(scope="module")
def rows(near: tuple[Path, Outcome]) -> Rows:
    """The rows of a table that are of a town."""

    def found(name: str, town: str) -> Any:
        table = read(next((near[0] / "tables").glob(f"{name}.*")), name)
        return table[table["area"] == town]

    return found


def test_a_town_without_a_mine_is_a_warning(near: tuple[Path, Outcome]) -> None:
    folder, outcome = near
    assert outcome.failed == () and outcome.exit_code == 0
    (said,) = [line for line in outcome.warnings if "no mine meets the area" in line]
    assert said.startswith("areas/east: mines.gpkg: ") and "other areas share the file" in said
    assert check_run_tables(folder) == []
    left = pipeline.status(folder, why=False).missing
    assert [name for name in left if not name.startswith("report ")] == []


def test_its_tables_of_mines_are_without_its_rows(rows: Rows) -> None:
    for name in OF_A_MINE:
        assert len(rows(name, "East")) == 0 and len(rows(name, "West")) > 0
    for name in ("series", "densities", "grades", "change", "pixel_trends", "trends"):
        table = rows(name, "East")
        assert set(table["zone"]) <= {"area"}
    assert set(rows("series", "West")["zone"]) == {"area", "mines", "outside"}
    assert rows("latitude", "East")["mines"].sum() == 0


def test_distances_to_the_mine_outside_are_those_to_it(rows: Rows) -> None:
    rings, series = rows("rings", "East"), rows("series", "East")
    held = rings[rings["n"] > 0]
    assert held["ring_km"].min() > 2  # of 30 degrees of a minute, 2.56 km, and none in a mine
    assert held["n"].sum() == series["n"].sum()
    distance, pixels = rows("drivers", "East")["dism"], rows("drivers", "West")["dism"]
    assert distance.min() > pixels.min() == 0


def test_out_of_reach_it_is_as_without_mines(
    near: tuple[Path, Outcome], granules: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(near[0].parent, tmp_path / "again"))
    east = folder / "run/store/areas/east"
    assert run(folder, granules, analysis="[analysis.rings]\nreach_km = 1", drivers="").done > 0
    far = {path.name: path.read_bytes() for path in east.iterdir()}
    for name in ("rings", "ring_fits", "breakpoints", *OF_A_MINE):
        assert len(read(east / f"{name}.csv", name)) == 0
    run(folder, granules, NAMED.replace('mines = "mines.gpkg"', ""), drivers="")
    for name in OF_EVERY_AREA:
        assert far[f"{name}.csv"] == (east / f"{name}.csv").read_bytes()


def test_drivers_out_of_reach_have_no_mines(
    granules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The margin is 50 km, more than the window: no share is what a mine beyond it comes to."""
    monkeypatch.setattr(
        nearness, "mine_share", lambda _, __, ___, window: np.zeros(window.shape, np.float32)
    )
    study = studies.load(written(tmp_path, granules))
    tasks = [one for one in layer_tasks(survey(study), "cpu") if isinstance(one, MineLayers)]
    (task,) = [one for one in tasks if one.ground.place.area.name == "East"]
    payload = carry_out(task, Store(study.study.out)).marker.payload
    assert payload["dism"]["n"] == 0 and payload["minea"]["max"] == 0
    assert "warnings" not in payload


def test_mines_that_meet_no_area_of_all_are_a_mistake(granules: Path, tmp_path: Path) -> None:
    file = written(tmp_path, granules)
    driven.polygons(tmp_path / "mines.gpkg", [(11.0, 48.0, 11.1, 48.1)])
    with pytest.raises(BoundaryError, match=r"expected mines to meet the area at 119\.780 to"):
        studies.run(file)


def test_the_plan_tells_of_it(granules: Path, tmp_path: Path) -> None:
    found = pipeline.plan(studies.load(written(tmp_path, granules)))
    (said,) = [line for line in found.warnings if "no mine meets the area" in line]
    assert said.startswith("mines of East: ") and "done without mines of its own" in said
