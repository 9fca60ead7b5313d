# SPDX-License-Identifier: Apache-2.0
"""Drivers and forest within a run: grid, layers, tables, saved trees, and what can go wrong."""

import shutil
from pathlib import Path
from typing import Any

import driven
import numpy as np
import pytest
import rasterio
import shapely
import studies
from affine import Affine

from rsei.engine.analysis.trees import Trees
from rsei.engine.report.tabular import check_run_tables, read
from rsei.engine.run import pipeline
from rsei.engine.run.driver_settings import DriverLayers, DriverRaster
from rsei.engine.run.driving import layer_tasks, layers_of
from rsei.engine.run.layers import Ground
from rsei.engine.run.store import Store
from rsei.engine.run.study import AreaSettings, DriversSettings
from rsei.engine.run.survey import Place, survey
from rsei.engine.run.tasks import carry_out
from rsei.engine.sources.areas import areas
from rsei.engine.sources.arrays import read_arrays
from rsei.engine.sources.errors import StudyError
from rsei.engine.sources.grids import LONLAT, Window, carrier

MADE = ("slope", "dism", "minea")


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.write_some(tmp_path_factory.mktemp("granules"))


@pytest.fixture(scope="module")
def whole(granules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study whose drivers are all sound, run."""
    folder = tmp_path_factory.mktemp("whole")
    driven.inputs(folder)
    outcome = studies.run(driven.study(folder, granules), until="analyse")
    assert outcome.failed == ()
    assert outcome.exit_code == 0
    return folder


@pytest.fixture
def again(whole: Path, tmp_path: Path) -> Path:
    """A copy of that study, to be changed."""
    return Path(shutil.copytree(whole, tmp_path / "again"))


def table(folder: Path, name: str) -> Any:
    path = next((folder / "run/tables").glob(f"{name}.*"))
    return read(path, name)


def test_rows_are_the_whole_pixels_whose_centre_is_in_the_town(whole: Path) -> None:
    found = table(whole, "drivers")
    west, south, east, north = studies.BOUNDS
    left, bottom, right, top = (edge / 1000 for edge in driven.box())
    x, y = np.meshgrid(1000 * (np.arange(left, right) + 0.5), 1000 * (np.arange(bottom, top) + 0.5))
    longitude, latitude = carrier(driven.CRS, LONLAT).transform(x, y)
    inside = (longitude > west) & (longitude < east) & (latitude > south) & (latitude < north)
    expected = {(a, b) for a, b in zip(x[inside], y[inside], strict=True)}
    assert set(zip(found["x"], found["y"], strict=True)) == expected
    assert found["rsei"].between(0, 1).sum() > 100


def test_planes_come_as_they_are_with_their_slope(whole: Path) -> None:
    found = table(whole, "drivers")
    left, _, _, top = driven.box()
    height = 0.02 * (found["x"] - left) + 0.01 * (top - found["y"])
    np.testing.assert_allclose(found["dem"], height, rtol=1e-5)
    np.testing.assert_allclose(found["slope"], np.degrees(np.arctan(np.hypot(0.02, 0.01))), 1e-3)
    np.testing.assert_allclose(found["prec"], 78 * height, rtol=1e-5)


def test_a_total_keeps_its_sum(whole: Path) -> None:
    found = table(whole, "drivers").iloc[40]
    with rasterio.open(whole / "gdp.tif") as file:
        row, column = file.index(found["x"] - 499, found["y"] + 499)
        expected = file.read(1)[row : row + 4, column : column + 4].sum(dtype=float)
    assert found["gdp"] == pytest.approx(expected, rel=1e-5)


def test_distance_goes_from_centre_to_centre_of_cells_that_a_mine_touches(whole: Path) -> None:
    found = table(whole, "drivers")
    carry = carrier(LONLAT, driven.CRS)
    mines = [
        shapely.transform(
            shapely.segmentize(shapely.box(*one), 1e-3),
            lambda points: np.column_stack(carry.transform(*points.T)),
        )
        for one in driven.MINES
    ]
    left, bottom, right, top = driven.box()
    cells = [
        (x + 500, y + 500)
        for x in np.arange(left, right, 1000)
        for y in np.arange(bottom, top, 1000)
        if any(shapely.box(x, y, x + 1000, y + 1000).intersects(mine) for mine in mines)
    ]
    away = [min(np.hypot(x - a, y - b) for a, b in cells) for x, y in zip(found["x"], found["y"])]
    np.testing.assert_allclose(found["dism"], away, rtol=1e-6)
    assert found["minea"].max() > 0


def test_tables_are_as_described_and_agree(whole: Path) -> None:
    assert check_run_tables(whole / "run") == []
    layers = table(whole, "layers").set_index("driver")
    names = {"dem", "slope", "prec", "gdp", "dism", "minea"}
    assert set(layers.index) == names
    assert layers.loc["gdp", ["resampling", "unit"]].tolist() == ["sum", "yuan"]
    assert layers.loc["dem", "resampling"] == "average"
    assert (layers.loc[[*MADE], "resampling"] == "made").all()
    kept = names - {"slope"}  # of a plane it is the same everywhere
    assert set(table(whole, "correlation")["driver"]) >= kept - {"slope"}
    pixels = table(whole, "drivers")
    row = table(whole, "correlation").set_index("driver").loc["gdp"]
    both = pixels[["rsei", "gdp"]].dropna()
    assert row["pearson"] == pytest.approx(np.corrcoef(both.T.to_numpy())[0, 1])
    assert int(row["n"]) == len(both)
    assert set(table(whole, "moran")["variable"]) >= {"rsei", "residual", *kept}
    for name in ("vif", "matrix", "geodetector", "interactions", "tuning", "bias", "stability"):
        assert len(table(whole, name)) > 0, name


def test_the_split_is_of_complete_rows(whole: Path) -> None:
    pixels = table(whole, "drivers")
    used = table(whole, "importance")["driver"].tolist()
    complete = pixels[["rsei", *used]].notna().all(axis=1)
    assert (pixels["split"].notna() == complete).all()
    assert (pixels["split"] == "valid").sum() == round(0.3 * complete.sum())
    scores = table(whole, "forest").iloc[0]
    assert [scores["n_train"], scores["n_valid"]] == [
        (pixels["split"] == part).sum() for part in ("train", "valid")
    ]


def test_the_saved_forest_predicts_what_the_tables_and_the_map_say(whole: Path) -> None:
    trees = Trees.of_arrays(read_arrays(whole / "run/forests/small-town.npz"))
    pixels = table(whole, "drivers").merge(table(whole, "predictions"), on=["area", "x", "y"])
    values = pixels[list(trees.drivers)].to_numpy(np.float32)
    np.testing.assert_array_equal(trees.predict(values), pixels["in_sample"])
    np.testing.assert_allclose(pixels["residual"], pixels["rsei"] - pixels["predicted"])
    valid = pixels[pixels["split"] == "valid"]
    error = ((valid["rsei"] - valid["predicted"]) ** 2).mean()
    assert table(whole, "forest").iloc[0]["rmse"] == pytest.approx(np.sqrt(error))
    with rasterio.open(whole / "run/forests/small-town.tif") as file:
        assert file.descriptions == ("predicted", "residual", "in_sample")
        at = list(file.sample(zip(pixels["x"], pixels["y"], strict=True)))
        assert np.isfinite(file.read(1)).sum() == len(pixels)
    expected = pixels[["predicted", "residual", "in_sample"]].to_numpy(np.float32)
    np.testing.assert_array_equal(np.array(at), expected)


def test_shap_values_add_up_to_predictions(whole: Path) -> None:
    pytest.importorskip("shap")
    values = table(whole, "shap")
    total = values.groupby(["x", "y"])["shap"].sum() + values.groupby(["x", "y"])["base"].first()
    both = table(whole, "predictions").set_index(["x", "y"]).join(total.rename("all"), how="inner")
    assert len(both) == 4 and set(values["driver"]) == set(table(whole, "importance")["driver"])
    np.testing.assert_allclose(both["all"], both["in_sample"], atol=1e-5)


def test_ranking_is_of_the_ranks(whole: Path) -> None:
    ranks = table(whole, "importance").set_index("driver")["rank"]
    found = table(whole, "ranking").set_index("driver")
    assert found["rank_sum"].to_dict() == ranks.to_dict()
    assert (found["rank"] == found["rank_sum"].rank()).all()


def test_a_second_run_gives_the_same_bytes(again: Path, granules: Path) -> None:
    run = again / "run"
    kept = [*(run / "forests").iterdir(), *(run / "tables").iterdir()]
    before = {path: path.read_bytes() for path in kept}
    for part in ("layers", "drivers", "forests"):
        shutil.rmtree(run / "store/markers/analyse" / part)
    outcome = studies.run(again / "study.toml", until="analyse")
    assert outcome.done >= 6
    assert {path: path.read_bytes() for path in kept} == before


def test_only_what_a_changed_raster_touches_is_made_again(again: Path, granules: Path) -> None:
    values, transform = driven.plane()
    driven.raster(again / "gdp.tif", np.sqrt(values + 1), transform)
    status = pipeline.status(again / "run", why=True)
    assert "analyse layers/small-town/gdp" in status.missing
    assert not {f"analyse layers/small-town/{one}" for one in ("dem", "mines")} & set(
        status.missing
    )
    assert {"analyse drivers/small-town", "analyse forests/small-town"} <= set(status.missing)


def spoilt(folder: Path) -> str:
    """Write drivers that cannot be used; the layers of the study with them."""
    values, transform = driven.plane()
    shifted = Affine.translation(1e6, 0) @ transform
    driven.raster(folder / "ntl.tif", values, shifted)
    driven.raster(folder / "elec.tif", values, transform, crs=None)
    driven.raster(folder / "co2.tif", np.full_like(values, 7), transform)
    driven.raster(folder / "empty.tif", np.full_like(values, -9999), transform)
    (folder / "prec_2012_07.tif").unlink()
    names = {"ntl": "ntl.tif", "elec": "elec.tif", "co2": "co2.tif", "pm25": "empty.tif"}
    return driven.LAYERS + "".join(f'{key} = "{file}"\n' for key, file in names.items())


@pytest.mark.slow
def test_each_spoilt_driver_is_named_and_the_rest_goes_on(again: Path, granules: Path) -> None:
    outcome = studies.run(driven.study(again, granules, spoilt(again)))
    assert outcome.exit_code == 1
    said = dict(outcome.failed)
    expected = {
        "ntl": "ntl.tif: expected a raster that covers",
        "elec": "elec.tif: expected a coordinate system",
        "co2": "co2.tif: expected values that differ, found 7",
        "pm25": "empty.tif: expected values in the area, found none",
        "prec": r"prec_2012_07.tif",
    }
    assert set(said) == {f"analyse layers/small-town/{name}" for name in expected}
    for name, words in expected.items():
        message = said[f"analyse layers/small-town/{name}"]
        assert message.startswith(f"Small town: drivers.layers.{name}: "), message
        assert words in message
    pixels = table(again, "drivers")
    assert pixels[["ntl", "elec", "co2", "pm25", "prec"]].isna().all(axis=None)
    assert pixels[["dem", "gdp", "dism"]].notna().any().all()
    assert {"dem", "gdp", "dism", "minea"} <= set(table(again, "importance")["driver"])
    assert len(table(again, "pca")) == 1


@pytest.mark.slow
def test_too_few_pixels_make_no_forest_but_all_else(again: Path, granules: Path) -> None:
    coarse = f"year = 2012\nresolution = 4000\n[drivers.layers]\n{driven.LAYERS}"
    outcome = studies.run(driven.study(again, granules, drivers=coarse), until="analyse")
    assert outcome.exit_code == 1
    ((task, reason),) = outcome.failed
    assert task == "analyse forests/small-town"
    assert reason.startswith("Small town: expected at least 30 pixels")
    assert len(table(again, "drivers")) < 30
    assert len(table(again, "correlation")) > 0
    assert len(table(again, "forest")) == 0


@pytest.mark.slow
def test_land_that_no_way_leads_to_is_counted_and_blank(again: Path, granules: Path) -> None:
    coast = [(119.0, 39.0, 119.855, 41.0), (119.875, 39.0, 121.0, 41.0)]
    driven.polygons(again / "coast.gpkg", coast)
    driven.polygons(again / "mines.gpkg", driven.MINES[:1])
    area = f'name = "Small town"\nbounds = {list(studies.BOUNDS)}\nmines = "mines.gpkg"\n'
    outcome = studies.run(
        driven.study(again, granules, area=area + 'coast = "coast.gpkg"'), until="analyse"
    )
    (warning,) = [one for one in outcome.warnings if "no way to a mine" in one]
    pixels = table(again, "drivers")
    carry = carrier(driven.CRS, LONLAT)
    longitude, _ = carry.transform(pixels["x"].to_numpy(), pixels["y"].to_numpy())
    beyond = longitude > 119.875
    assert f"Small town: {beyond.sum()} pixels" in warning
    assert "coast.gpkg" in warning
    assert pixels["dism"][beyond].isna().all()
    assert pixels["dism"][longitude < 119.855].notna().all()


@pytest.mark.slow
def test_without_mines_or_forest_their_columns_are_blank(again: Path, granules: Path) -> None:
    area = f'name = "Small town"\nbounds = {list(studies.BOUNDS)}'
    outcome = studies.run(driven.study(again, granules, area=area, forest=""), until="analyse")
    assert outcome.exit_code == 0
    assert any("no area.mines" in one for one in outcome.warnings)
    pixels = table(again, "drivers")
    assert pixels[["dism", "minea", "split"]].isna().all(axis=None)
    assert len(table(again, "correlation")) == 3


def test_without_drivers_there_is_nothing_to_do(granules: Path, tmp_path: Path) -> None:
    found = survey(studies.load(studies.written(tmp_path, granules)))
    assert layer_tasks(found, "cpu") == ()


def test_a_grid_must_be_in_metres(granules: Path, tmp_path: Path) -> None:
    drivers = f'year = 2012\ncrs = "EPSG:4326"\n[drivers.layers]\n{driven.LAYERS}'
    with pytest.raises(StudyError, match=r"projection in metres .*, found WGS 84"):
        studies.load(driven.study(tmp_path, granules, drivers=drivers))


@pytest.mark.slow
def test_a_range_leaves_values_out_before_they_are_averaged(again: Path, granules: Path) -> None:
    values, transform = driven.plane()
    holed = values.copy()
    holed[::4, ::4] = 9999  # one of the sixteen in each pixel of the grid
    driven.raster(again / "dem.tif", holed, transform)
    layers = driven.LAYERS.replace('"dem.tif"', '{ raster = "dem.tif", range = [-500, 9000] }')
    studies.run(driven.study(again, granules, layers))
    found = table(again, "drivers")["dem"]
    size = len(values) // 4, len(values[0]) // 4
    kept = np.where(holed < 9000, values, np.nan).reshape(size[0], 4, size[1], 4)
    mean = np.nanmean(kept, axis=(1, 3))
    left, _, _, top = driven.box()
    rows = ((top - table(again, "drivers")["y"]) // 1000).astype(int)
    columns = ((table(again, "drivers")["x"] - left) // 1000).astype(int)
    np.testing.assert_allclose(found, mean[rows, columns], rtol=1e-5)


def test_people_of_a_real_island_are_neither_lost_nor_made(real_data: Path, tmp_path: Path) -> None:
    """Counts, as in the file around the island, against those laid on the grid as a total."""
    source = real_data / "drivers/sao-miguel"
    (area,) = areas(source / "concelhos.gpkg", "Sao Miguel")
    people = DriverRaster(raster=str(source / "gpw_v411_2020_count_2020.tif"), resampling="sum")
    settings = DriversSettings(year=2020, crs="EPSG:3035", layers=DriverLayers(gdp=people))
    place = Place(area, AreaSettings(name="Sao Miguel", boundary=Path()), Window(0, 0, 0, 0), ())
    (task,) = layers_of(Ground(place, settings), "cpu")
    found = carry_out(task, Store(tmp_path)).marker
    assert found.payload["resampling"] == "sum"
    with rasterio.open(tmp_path / task.files[0]) as file:
        laid = file.read(1, masked=True)
    with rasterio.open(people.raster) as file:
        expected = file.read(1, masked=True)
    assert np.ma.masked_invalid(laid).sum() == pytest.approx(expected.sum(), rel=0.01)
    assert found.payload["gdp"]["n"] > 700  # the island has 745 square kilometres
