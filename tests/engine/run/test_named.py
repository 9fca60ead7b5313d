# SPDX-License-Identifier: Apache-2.0
"""The plan tells of files that a study names and nobody can find."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import geopandas as gpd
import pytest
import shapely
from pydantic import BaseModel

from rsei.engine.run import reading
from rsei.engine.run.named import absent, unfit
from rsei.engine.run.places import Place
from rsei.engine.run.study import Study, models
from rsei.engine.sources.areas import areas
from rsei.engine.sources.grids import Window

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


def shapes(path: Path, crs: str | None, *boxes: tuple[float, float, float, float]) -> None:
    geometry = gpd.GeoSeries([shapely.box(*box) for box in boxes])
    gpd.GeoDataFrame({"NAME": ["a"] * len(boxes)}, geometry=geometry, crs=crs).to_file(path)


def said_of(folder: Path, boundary: str) -> tuple[str, ...]:
    """What is said of the layers of an area of two, or of one, features."""
    text = TEXT.format(cover="lc.tif").replace(
        'name = "Town"\nbounds = [117, 39, 118, 40]', boundary
    )
    asked = reading.parse(text.encode(), folder / "study.toml")
    (settings,) = asked.area
    return unfit(
        Place(area, settings, Window(0, 0, 1, 1), ())
        for area in areas(settings.outline, settings.name, settings.name_field)
    )


TOWN = 'name = "Town"\nbounds = [117, 39, 118, 40]'


def test_layers_that_fit_and_layers_that_are_gone_are_not_spoken_of(tmp_path: Path) -> None:
    assert said_of(tmp_path, TOWN) == ()
    shapes(tmp_path / "mines.gpkg", "EPSG:4326", (117.4, 39.4, 117.5, 39.5))
    shapes(tmp_path / "zones.gpkg", "EPSG:4326", (117, 39, 117.5, 40), (117.5, 39, 118, 40))
    assert said_of(tmp_path, TOWN) == ()


def test_mines_of_metres_called_degrees_are_told_of(tmp_path: Path) -> None:
    shapes(tmp_path / "mines.gpkg", "EPSG:4326", (678_000, 5_320_000, 711_000, 5_342_000))
    (said,) = said_of(tmp_path, TOWN)
    assert said.startswith("mines of Town: ") and "check the file and its coordinate system" in said


def test_layers_that_cannot_be_read_are_told_of(tmp_path: Path) -> None:
    (tmp_path / "mines.gpkg").write_bytes(b"mines")
    (tmp_path / "zones.gpkg").write_bytes(b"zones")
    zones, mines = said_of(tmp_path, TOWN)
    assert zones.startswith("zones of Town: ") and mines.startswith("mines of Town: ")


def test_each_area_of_a_file_without_mines_is_told_of(tmp_path: Path) -> None:
    east = (117.5, 39.0, 118.0, 40.0)
    shapes(tmp_path / "towns.gpkg", "EPSG:4326", (117.0, 39.0, 117.5, 40.0), east)
    towns = gpd.read_file(tmp_path / "towns.gpkg").assign(NAME=["West", "East"])
    towns.to_file(tmp_path / "towns.gpkg")
    shapes(tmp_path / "mines.gpkg", "EPSG:4326", (117.1, 39.4, 117.2, 39.5))
    named = 'name = "Towns"\nboundary = "towns.gpkg"\nname_field = "NAME"'
    (said,) = said_of(tmp_path, named)
    assert said.startswith("mines of East: ") and "117.500 to 118.000 E" in said


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
