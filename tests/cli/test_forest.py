# SPDX-License-Identifier: Apache-2.0
"""``rsei forest --apply``: a saved forest on a study's pixels."""

import json
from pathlib import Path

import driven
import numpy as np
import pandas as pd
import pytest
import rasterio
import studies
from commands import rsei

from rsei.engine.report.tabular import read

pytestmark = pytest.mark.slow  # two studies are run first


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study with a forest of 2012, and one of 2013 on the same ground, both run."""
    folder = tmp_path_factory.mktemp("forests")
    granules = studies.write_some(folder / "granules")
    for name, year in (("one", 2012), ("other", 2013)):
        place = folder / name
        driven.inputs(place)
        for month in range(1, 13):
            (place / f"prec_2012_{month:02d}.tif").rename(place / f"prec_{year}_{month:02d}.tif")
        whole = f'name = "small"\nout = "run"\nepochs = [{year}]'
        drivers = f"year = {year}\n[drivers.layers]\n{driven.LAYERS}"
        changes = {"study": whole, "drivers": drivers} | ({"forest": ""} if year == 2013 else {})
        outcome = studies.run(driven.study(place, granules, **changes), until="analyse")
        assert outcome.failed == ()
    return folder


def test_of_the_run_itself_it_predicts_what_the_run_did(home: Path, tmp_path: Path) -> None:
    run = home / "one/run"
    done = rsei("forest", "--apply", run, run, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    found = read(tmp_path / "out/small-town.parquet", "predictions")
    expected = read(run / "tables/predictions.parquet", "predictions")
    both = found.merge(expected, on=["x", "y"])
    assert len(both) == len(expected)
    np.testing.assert_array_equal(both["predicted_x"], both["in_sample_y"])


def test_on_another_year_it_says_how_well_it_fits(home: Path, tmp_path: Path) -> None:
    study = home / "other/study.toml"
    words = ("--apply", home / "one/run", "--area", "Small town", "--out", tmp_path / "out")
    done = rsei("forest", study, *words, "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["forest"], said["year"]) == ("Small town", 2012)
    (area,) = said["areas"]
    found = read(Path(area["table"]), "predictions").set_index(["x", "y"])
    pixels = read(home / "other/run/tables/drivers.parquet", "drivers").set_index(["x", "y"])
    joined = pd.concat([pixels["rsei"], found["predicted"]], axis=1).dropna()
    error = joined["rsei"] - joined["predicted"]
    assert area["scores"]["n"] == len(joined)
    assert area["scores"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
    assert area["blank"] == found["predicted"].isna().sum()
    with rasterio.open(area["map"]) as file:
        assert file.descriptions == ("predicted", "residual")
        (values,) = file.sample([found["predicted"].dropna().index[0]])
    assert values[0] == np.float32(found["predicted"].dropna().iloc[0])


def refused(*words: str | Path) -> tuple[int, str]:
    done = rsei("forest", *words)
    return done.exit_code, done.stderr


def test_what_cannot_be_applied_is_refused(home: Path, tmp_path: Path) -> None:
    one, other = home / "one/run", home / "other/run"
    code, said = refused("--apply", one, "--area", "Nowhere", one)
    assert (code, "expected a forest of 'Nowhere', found small-town" in said) == (2, True), said
    code, said = refused("--apply", other, one)
    assert (code, "found none; run a study with a section [forest] first" in said) == (2, True)
    damaged = tmp_path / "run/forests/small-town.npz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes((one / "forests/small-town.npz").read_bytes()[:-400])
    code, said = refused("--apply", tmp_path / "run", one)
    assert (code, "small-town.npz: expected a file of arrays" in said) == (3, True), said
    code, said = refused("--apply", one, tmp_path / "none.toml")
    assert code == 2, said


def test_a_driver_that_the_other_study_lacks_is_named(home: Path, tmp_path: Path) -> None:
    other = home / "other/study.toml"
    text = other.read_text()
    less = home / "less"
    less.mkdir()
    for path in other.parent.iterdir():
        if path.suffix in (".tif", ".gpkg"):
            (less / path.name).symlink_to(path)
    (less / "study.toml").write_text(text.replace('gdp = { raster = "gdp.tif"', '# "'))
    assert refused("--apply", home / "one/run", less / "study.toml")[0] == 2  # not run yet
    studies.run(less / "study.toml", until="analyse")
    code, said = refused("--apply", home / "one/run", less / "study.toml", "--out", tmp_path)
    assert (code, "found no value of gdp" in said) == (3, True), said
