# SPDX-License-Identifier: Apache-2.0
"""The plan tells of files that a study names and nobody can find."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from rsei.engine.run import reading
from rsei.engine.run.named import absent
from rsei.engine.run.study import Study, models

TEXT = """
[study]
name = "one"
out = "run"
epochs = [2012, 2013]
[granules]
path = "."
reach = 0
[indicators]
heat = {{ raster = "heat_{{year}}_{{month:02d}}.tif", range = [250, 350] }}
[water]
land_cover = {{ raster = "{cover}", classes = [17] }}
[report]
published = "published.csv"
[[area]]
name = "Town"
bounds = [117, 39, 118, 40]
mines = "mines.gpkg"
coast = "coast.gpkg"
zones = "zones.gpkg"
[drivers]
year = 2012
[drivers.layers]
dem = "dem.tif"
prec = {{ months = "prec_{{year}}_{{month:02d}}.tif" }}
gdp = {{ raster = "gdp.tif", resampling = "sum" }}
"""

FILES = {
    "mines.gpkg": "mines of Town",
    "coast.gpkg": "coast of Town",
    "zones.gpkg": "zones of Town",
    "heat_2013_07.tif": "indicators.heat",
    "dem.tif": "drivers.layers.dem",
    "prec_2012_12.tif": "drivers.layers.prec",
    "gdp.tif": "drivers.layers.gdp",
    "published.csv": "report.published",
}
"""A file of each kind, and the setting that names it."""

EVERY = {
    *FILES,
    "lc_2012.tif",
    *(f"heat_{year}_{month:02d}.tif" for year in (2012, 2013) for month in range(6, 10)),
    *(f"prec_2012_{month:02d}.tif" for month in range(1, 13)),
}


def study(folder: Path, cover: str = "lc_{year}.tif") -> Study:
    """A study that names all of these files, which are in ``folder``."""
    for name in EVERY:
        (folder / name).touch()
    return reading.parse(TEXT.format(cover=cover).encode(), folder / "study.toml")


def test_nothing_is_said_where_all_is_there(tmp_path: Path) -> None:
    assert absent(study(tmp_path)) == ()


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_gone_is_named_with_its_setting(name: str, tmp_path: Path) -> None:
    asked = study(tmp_path)
    (tmp_path / name).unlink()
    (said,) = absent(asked)
    assert said.startswith(f"{FILES[name]}: ") and name in said


def test_land_cover_of_some_year_is_enough(tmp_path: Path) -> None:
    asked = study(tmp_path)
    (tmp_path / "lc_2012.tif").rename(tmp_path / "lc_2001.tif")
    assert absent(asked) == ()
    (tmp_path / "lc_2001.tif").unlink()
    (said,) = absent(asked)  # once, not for each epoch
    assert said.startswith("water.land_cover: ")


def test_a_name_in_braces_that_is_none_is_told(tmp_path: Path) -> None:
    (said,) = absent(study(tmp_path, cover="lc_{yaer}.tif"))
    assert "found {yaer}" in said


def paths_in(model: type[BaseModel]) -> Iterator[str]:
    """Names of the settings that are paths, in a model and in those it is made of."""
    for name, field in model.model_fields.items():
        annotation: Any = field.annotation
        if Path in (annotation, *get_args(annotation)):
            yield name
        for part in models(annotation):
            yield from paths_in(part)


def test_every_path_is_relative_to_the_study_file() -> None:
    names = set(paths_in(Study))
    assert {"out", "boundary", "zones", "published"} <= names <= reading.PATHS
