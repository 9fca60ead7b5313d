# SPDX-License-Identifier: Apache-2.0
"""Studies of real granules that nobody here made: Munich, and heat over western New York."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import studies
from rio_cogeo.cogeo import cog_validate
from studies import written

from rsei.engine.index.composite import HeatSum, Partial
from rsei.engine.index.quality import Policy
from rsei.engine.index.season import Season
from rsei.engine.report.tabular import check_run_tables
from rsei.engine.run.opening import open_run
from rsei.engine.sources.granules import catalogue, read
from rsei.engine.sources.rasters import class_share


@pytest.fixture(scope="module")
def munich(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of Munich, summer 2022, as far as its tables; air temperature stands for LST."""
    folder = real_data / "munich-2022"
    heat = f"{folder}/heat-stand-in/era5_t2m_{{year}}_{{month:02d}}.tif"
    sections = {
        "study": 'name = "munich"\nout = "run"\nepochs = [2022]',
        "granules": f'path = "{folder}"\nreach = 0',
        "indicators": 'greenness = "bands"\n'
        f'heat = {{ raster = "{heat}", units = "K", range = [250, 330], '
        'label = "ERA5 air temperature at 2 m, a stand-in for LST" }',
        "area": 'name = "Munich"\nbounds = [11.0, 47.8, 12.2, 48.5]',
    }
    outcome = studies.run(written(tmp_path_factory.mktemp("munich"), folder, **sections))
    assert outcome.exit_code == 0
    return outcome.out


@pytest.fixture(scope="module")
def drawn(munich: Path) -> Path:
    """The same run folder, with its report."""
    outcome = studies.run(munich.parent / "study.toml", until=None)
    assert outcome.exit_code == 0 and check_run_tables(munich) == []
    return munich


def test_munich_gives_the_figures_of_an_independent_trial(munich: Path) -> None:
    with rasterio.open(munich / "indicators/munich/2022.tif") as file:
        found = dict(zip(file.descriptions, file.read()))
    valid = found["valid"] == 1
    assert int(valid.sum()) == 11_762
    bands = np.isfinite(found["ndvi"]) & np.isfinite(found["wet"]) & np.isfinite(found["ndbsi"])
    assert int(bands.sum()) == 11_840  # 99.66 % of 11,880, before water
    three = np.stack([found[name][valid] for name in ("ndvi", "wet", "ndbsi")]).astype(np.float64)
    np.testing.assert_allclose(np.median(three, axis=1), [0.679, -0.164, -0.171], atol=5e-4)
    three -= three.min(axis=1, keepdims=True)
    shares = np.linalg.eigvalsh(np.cov(three / three.max(axis=1, keepdims=True)))
    assert 100 * shares[-1] / shares.sum() == pytest.approx(91.1, abs=0.05)


def test_munich_has_the_expected_signs(munich: Path) -> None:
    row: Any = next(pd.read_csv(munich / "tables/pca.csv").itertuples())
    assert (np.sign([row.ndvi, row.wet, row.ndbsi, row.lst]) == [1, 1, -1, -1]).all()
    assert row.agreement and row.n == 11_762
    table: Any = pd.read_csv(munich / "tables/exclusions.csv").set_index("reason")
    assert int(table.loc["mndwi_water", "n"]) == 78
    assert check_run_tables(munich) == []


@pytest.mark.slow
def test_munich_page_names_the_stand_in(drawn: Path) -> None:
    text = (drawn / "report.html").read_text("utf-8")
    assert "ERA5 air temperature at 2 m, a stand-in for LST" in text
    assert text.count("stand-in for LST") >= 2  # in the verdicts and in the methods


@pytest.mark.slow
def test_munich_page_tells_what_the_trial_found(drawn: Path) -> None:
    text = (drawn / "report.html").read_text("utf-8")
    assert len(text.encode()) < 5_000_000
    row: Any = next(pd.read_csv(drawn / "tables/pca.csv").itertuples())
    for value in (row.ndvi, row.wet, row.ndbsi, row.lst):
        assert f"<td>{value:+.3f} " in text
    assert "<td>11,762</td>" in text and f"<td>{row.pc1:.1f}</td>" in text
    assert '<th scope="row">MOD09A1</th><td>16</td><td>0</td><td>0</td>' in text
    assert "the area lies outside the granules" in text
    assert 'value="trend"' not in text  # one epoch has none
    for name in ("locator", "flow", "coverage", "munich/maps", "munich/classes"):
        assert f'<span class="file">figures/{name}.svg</span>' in text
        assert (drawn / f"figures/{name}.svg").is_file()


@pytest.mark.slow
def test_munich_maps_are_valid_and_open_as_one_data_set(drawn: Path) -> None:
    paths = [drawn / f"{folder}/munich/2022.tif" for folder in ("rsei", "grades")]
    assert all(cog_validate(path, strict=True)[0] for path in paths)
    run = open_run(drawn)
    with rasterio.open(paths[0]) as file:
        np.testing.assert_array_equal(run["rsei"].sel(epoch=2022)[0], file.read(1))
    assert run["rsei"].attrs["units"] == "1" and "grid_mapping_name" in run["spatial_ref"].attrs


def composite(granules: Path, epoch: int, preset: str) -> Partial:
    """The three-year sum of LST over western New York, by the engine's functions alone."""
    found = catalogue(granules, "006").of("MOD11A2")
    season, total = Season(), None
    for year in (epoch - 1, epoch, epoch + 1):
        dates = [one for one in found if season.holds(one.date, 8, year)]
        window = dates[0].window
        layers = [read(one, ("lst", "lst_qc"), window) for one in dates]
        heat = HeatSum(window.shape, Policy(preset=preset))
        unseen = np.full((len(dates), *window.shape), 255, np.uint8)
        lst, quality = (np.stack([one[name] for one in layers]) for name in ("lst", "lst_qc"))
        heat.add(lst, quality, unseen)
        total = total + heat.partial() if total else heat.partial()
    assert total is not None
    return total


@pytest.fixture(scope="module")
def new_york(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("new-york")
    name = "MOD11A2.006_aid0001.nc"
    (folder / name).symlink_to(real_data / "western-new-york" / name)
    return folder


CELSIUS = {
    "lenient": {2001: 26.41, 2005: 26.16, 2010: 26.13, 2016: 27.22},
    "standard": {2001: 26.48, 2005: 26.25, 2010: 26.22, 2016: 27.26},
}
"""Mean LST, degrees Celsius, of an independent trial."""


@pytest.mark.parametrize("preset", CELSIUS)
def test_western_new_york_has_the_temperatures_of_an_independent_trial(
    preset: str, new_york: Path
) -> None:
    for epoch, expected in CELSIUS[preset].items():
        total = composite(new_york, epoch, preset)
        assert total.observations == (46 if epoch == 2001 else 48)  # two dates do not exist
        kelvin = total.mean([0.02, 0.1])[0]
        assert np.isfinite(kelvin).sum() == 1488
        assert np.nanmean(kelvin, dtype=np.float64) - 273.15 == pytest.approx(expected, abs=0.006)


def test_land_cover_of_the_year_is_a_water_mask(new_york: Path, real_data: Path) -> None:
    (one, *_) = catalogue(new_york, "006").granules
    maps = f"{real_data}/western-new-york/MCD12Q1.051_aid0001.nc:Land_Cover_Type_1@2005"
    share = class_share(maps, [0, 11], one.lattice, one.window)
    water = share >= 0.5
    kelvin = composite(new_york, 2005, "standard").mean([0.02, 0.1])[0]
    known = np.isfinite(kelvin)
    assert 0.005 < (water & known).sum() / known.sum() < 0.5
    # Open water is cooler than land on a summer's day.
    assert np.mean(kelvin[water & known]) < np.mean(kelvin[~water & known])
