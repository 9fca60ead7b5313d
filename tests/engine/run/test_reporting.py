# SPDX-License-Identifier: Apache-2.0
"""Reports are made by tasks, and one data set holds the run."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import nbclient
import nbformat
import numpy as np
import pytest
import rasterio
import shapely
import studies
import xarray as xr
from rasterio.transform import rowcol

from rsei.engine.run import reporting
from rsei.engine.run.opening import VARIABLES, open_run
from rsei.engine.run.store import Store
from rsei.engine.run.tasks import Task, carry_out
from rsei.engine.run.upkeep import verification
from rsei.engine.sources.errors import StudyError

pytestmark = pytest.mark.slow

NOTEBOOK = Path(__file__).parents[3] / "examples" / "open-a-run.ipynb"

CHECKER = """
from compliance_checker.runner import CheckSuite, ComplianceChecker
CheckSuite.load_all_available_checkers()
said = {"output_filename": "said.json", "output_format": "json"}
ComplianceChecker.run_checker("run.nc", ["cf:1.10"], 0, "normal", **said)
"""
"""What writes a report on run.nc; in a process of its own, as it warns when it is imported."""

OTHER = f'[[area]]\nname = "Other"\nbounds = {[119.80, 39.95, 119.88, 40.03]}\nby_tile = true\n'
"""An area that is worked on by tiles, of which it has two."""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    granules = studies.write_all(tmp_path_factory.mktemp("granules"))
    home = tmp_path_factory.mktemp("study")
    edge = gpd.GeoDataFrame(geometry=[shapely.box(*studies.BOUNDS)], crs="OGC:CRS84")
    edge.to_file(home / "edge.gpkg", engine="pyogrio")
    area = f'name = "Town"\nboundary = "edge.gpkg"\n\n{OTHER}'
    path = studies.written(home, granules, area=area)
    studies.run(path, until="analyse")
    return path


@pytest.fixture(scope="module")
def folder(file: Path) -> Path:
    return file.parent / "run"


@pytest.fixture(scope="module")
def tasks() -> tuple[Task, ...]:
    return (*reporting.drawing_tasks(("town", "other")), reporting.PageTask())


@pytest.fixture(scope="module")
def reported(folder: Path, tasks: tuple[Task, ...]) -> Path:
    """The run folder with its report, made by the stage's tasks."""
    assert [carry_out(task, Store(folder)).fresh for task in tasks] == [True] * 5
    return folder


def test_every_result_is_committed_and_hashed_again(reported: Path) -> None:
    """Grades, styles and layers for a GIS are results, too: damage to one is found."""
    store = Store(reported)
    found = verification(store)
    assert found.intact and found.orphaned == () and found.temporaries == ()
    for name in ("vectors/results.gpkg", "vectors/areas.parquet", "grades/town/2012.tif"):
        data = (reported / name).read_bytes()
        (reported / name).write_bytes(data + b" ")
        assert verification(store).altered == (name,)
        (reported / name).write_bytes(data)


def test_tasks_are_done_once(reported: Path, tasks: tuple[Task, ...]) -> None:
    store = Store(reported)
    assert [carry_out(task, store).fresh for task in tasks] == [False] * 5
    for task in tasks:
        assert all((reported / name).is_file() for name in task.files)
    (reported / "report.html").unlink()
    assert [carry_out(task, store).fresh for task in tasks] == [*[False] * 4, True]


def test_a_report_is_rebuilt_from_results_alone(reported: Path, file: Path) -> None:
    """Figures that lost their reason go; files of other names stay: they are somebody's."""
    hidden = file.parent / "away"
    names = ("study.toml", "edge.gpkg")
    hidden.mkdir()
    for name in names:
        (file.parent / name).rename(hidden / name)
    for name in ("town/rings.png", "town/mine.png", "ranking.svg"):
        (reported / "figures" / name).write_bytes(b"old")
    try:
        page = reporting.report(reported, studies.Silent(), pdf=True)
    finally:
        for name in names:
            (hidden / name).rename(file.parent / name)
    assert page == reported / "report.html" and page.stat().st_size > 100_000
    left = {path.name for path in (reported / "figures").rglob("*.*")}
    assert not {"rings.png", "ranking.svg"} & left and "mine.png" in left
    drawn = {path.with_suffix("") for path in (reported / "figures").rglob("*.svg")}
    assert drawn == {path.with_suffix("") for path in (reported / "figures").rglob("*.pdf")}
    assert all(p.read_bytes()[:5] == b"%PDF-" for p in (reported / "figures").rglob("*.pdf"))


def test_the_guide_names_every_table_and_nothing_else(reported: Path) -> None:
    text = (reported / "README.md").read_text()
    for path in (reported / "tables").glob("*.csv"):
        assert f"### `tables/{path.name}`" in text
        with path.open(newline="") as rows:
            assert all(f"| `{column}` |" in text for column in next(csv.reader(rows)))
    assert text.count("### `tables/") == len(list((reported / "tables").iterdir()))


def test_an_area_by_tiles_is_shown_as_one(reported: Path) -> None:
    site = next(one for one in reporting.findings(Store(reported)).sites if one.slug == "other")
    tiles = site.files("rsei", studies.EPOCHS[0])
    whole, valid = site.rsei(studies.EPOCHS[0]), 0
    for path in tiles:
        with rasterio.open(path) as dataset:
            row, column = rowcol(whole.transform, *dataset.xy(0, 0))
            values = dataset.read(1)
        part = whole.values[row : row + values.shape[0], column : column + values.shape[1]]
        np.testing.assert_array_equal(part, values)
        valid += np.isfinite(values).sum()
    assert len(tiles) == 2 and np.isfinite(whole.values).sum() == valid > 0
    items = {path.stem for path in (reported / "stac").glob("other-*.json")}
    assert items == {f"other-{epoch}-{path.stem}" for epoch in studies.EPOCHS for path in tiles}
    assert (reported / f"rsei/other/{studies.EPOCHS[0]}.qml").is_file()
    assert '"slug":"other"' in (reported / "report.html").read_text()


def test_tiles_are_coarser_where_nobody_could_see_them(reported: Path) -> None:
    site = next(one for one in reporting.findings(Store(reported)).sites if one.slug == "other")
    fine = site.rsei(studies.EPOCHS[0])
    coarse = site.rsei(studies.EPOCHS[0], max(fine.values.shape) // 2 + 1)
    assert coarse.transform.a == 2 * fine.transform.a
    assert coarse.values.shape == tuple(-(-side // 2) for side in fine.values.shape)
    assert np.nanmean(coarse.values) == pytest.approx(np.nanmean(fine.values), abs=0.02)


def test_no_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="expected the folder of a run"):
        reporting.report(tmp_path, studies.Silent())


def test_one_data_set_holds_every_raster(folder: Path) -> None:
    data = open_run(folder)
    assert data.sizes["area"] == 2 and data["epoch"].values.tolist() == list(studies.EPOCHS)
    for name, (stage, band, _, units) in VARIABLES.items():
        assert data[name].attrs["units"] == units and data[name].attrs["long_name"]
        for slug, number in {"town": 1, "other": 2}.items():
            there = data[name].swap_dims(area="slug").sel(slug=slug, epoch=studies.EPOCHS[0])
            found, known = there.values, 0
            paths = sorted((folder / stage / slug).rglob(f"*{studies.EPOCHS[0]}*.tif"))
            paths += sorted((folder / stage / slug / str(studies.EPOCHS[0])).glob("*.tif"))
            assert len(paths) == number
            for path in paths:
                with rasterio.open(path) as dataset:
                    expected = dataset.read(band)
                    x, y = dataset.xy(0, 0)
                row = int(np.argmin(abs(there["y"].values - y)))
                column = int(np.argmin(abs(there["x"].values - x)))
                part = found[row : row + expected.shape[0], column : column + expected.shape[1]]
                np.testing.assert_array_equal(part, expected)
                known += np.isfinite(expected).sum()
            assert np.isfinite(found).sum() == known > 0


def test_pixels_are_read_when_they_are_used(folder: Path) -> None:
    data = open_run(folder, ["Town"])
    assert all(not isinstance(data[name].data, np.ndarray) for name in data)
    assert data.sizes["area"] == 1


def test_it_survives_a_netcdf_file(folder: Path, tmp_path: Path) -> None:
    data = open_run(folder)
    data.to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf", decode_coords="all") as again:
        xr.testing.assert_equal(again["rsei"].load(), data["rsei"].load())
        assert "spatial_ref" in again.coords and again.attrs["Conventions"] == "CF-1.10"


def test_a_checker_of_the_cf_conventions_finds_nothing(folder: Path, tmp_path: Path) -> None:
    open_run(folder).to_netcdf(tmp_path / "run.nc", engine="h5netcdf")
    subprocess.run([sys.executable, "-c", CHECKER], cwd=tmp_path, check=True, capture_output=True)
    said = json.loads((tmp_path / "said.json").read_text())["cf:1.10"]
    assert said["possible_points"] > 50
    faults = {message for one in said["all_priorities"] for message in one["msgs"]}
    # The checker asks for each letter of this attribute: its list of one name lacks a comma.
    name = "longitude_of_projection_origin"
    assert faults == {f"{x} is a required attribute for grid mapping sinusoidal" for x in name}
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as saved:
        grid = saved[saved["rsei"].attrs["grid_mapping"]].attrs
    assert grid["grid_mapping_name"] == "sinusoidal" and grid[name] == 0
    assert grid["semi_major_axis"] == pytest.approx(6371007.181)


def test_an_unknown_area_is_a_clear_error(folder: Path) -> None:
    with pytest.raises(StudyError, match="found Town, Other"):
        open_run(folder, ["Nowhere"])


def test_the_notebook_draws_a_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It compares the means of the maps with the run's table itself."""
    monkeypatch.setenv("RSEI_RUN", str(folder))
    notebook = nbformat.read(NOTEBOOK, 4)
    assert all(not cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    outputs = [one for cell in notebook.cells for one in cell.get("outputs", ())]
    assert sum("image/png" in one.get("data", {}) for one in outputs) == 2
    assert not [one for one in outputs if one.output_type == "error"]
    with xr.open_dataset(tmp_path / "run.nc", engine="h5netcdf") as saved:
        assert saved.sizes["area"] == 2
