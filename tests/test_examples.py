# SPDX-License-Identifier: Apache-2.0
"""Every example study is planned, with small files in the places that it names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from granule_files import lattice_of, write_granule

from rsei.engine.run import pipeline, reading
from rsei.engine.run.lacking import roles
from rsei.engine.run.study import Study
from rsei.engine.sources.grids import LONLAT, Window, carrier, tile_window
from rsei.engine.sources.patterns import fields
from rsei.engine.sources.products import products

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").rglob("*.toml"))
TILES = {"anshan": "h27v04", "changjiang": "h28v07", "huangshi": "h27v06", "maanshan": "h28v05"}
TILES |= {"panzhihua": "h27v06"}
ELSEWHERE = "h27v05"
PRODUCTS = {"terra": ("MOD09A1", "MOD13A1", "MOD11A2"), "aqua": ("MYD09A1", "MYD13A1", "MYD11A2")}


def window(tile: str, product: str) -> Window:
    """A corner of a tile, the same place for both pixel sizes."""
    lattice = lattice_of(products()[product])
    size = 40 if products()[product].pixel == 500 else 20
    corner = tile_window(tile, lattice)
    return Window(corner.top, corner.left, size, size)


def place(tile: str) -> shapely.Polygon:
    """A polygon in degrees inside that corner."""
    lattice, corner = lattice_of(products()["MOD09A1"]), window(tile, "MOD09A1")
    left, bottom, right, top = lattice.bounds(corner)
    middle = carrier(lattice.crs, LONLAT).transform((left + right) / 2, (bottom + top) / 2)
    return shapely.Point(*middle).buffer(0.04)


def write_granules(study: Study, tile: str) -> None:
    """One date a year of each product."""
    for platform in study.granules.platforms or ("terra",):
        for name in PRODUCTS[platform]:
            for year in study.years():
                day = study.granules.calendar.dates(year, products()[name])[2:3]
                for start in day:
                    write_granule(
                        study.granules.path, name, start, tile=tile, window=window(tile, name)
                    )


def texts(value: Any) -> Iterator[str]:
    """Every text in a settings file."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str):
        yield value


def write_inputs(study: Study, base: Path, area: shapely.Polygon) -> None:
    """Polygons and rasters by the names that the study gives them."""
    west, _, east, north = area.buffer(0.5).bounds
    step = (east - west) / 30
    transform = Affine(step, 0, west, 0, -step, north)
    for text in texts(study.model_dump(mode="json")):
        if not text.endswith((".gpkg", ".tif")):
            continue
        for year in {*study.years(), *study.epochs} if fields(text) else {0}:
            for month in range(1, 13) if "month" in fields(text) else [0]:
                path = base / text.format(epoch=year, year=year, month=month)
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.suffix == ".gpkg":
                    frame = {"NAME": ["One"], "geometry": [area]}
                    gpd.GeoDataFrame(frame, crs="EPSG:4326").to_file(path)
                    continue
                form = {"width": 30, "height": 30, "count": 1, "dtype": "float32"}
                place_ = {"crs": "EPSG:4326", "transform": transform}
                with rasterio.open(path, "w", "GTiff", **form, **place_) as file:
                    file.write(np.ones((1, 30, 30), np.float32))


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [path for path in EXAMPLES if path.parent.name != "munich"],
    ids=lambda path: str(path.relative_to(ROOT / "examples")),
)
def test_example_is_planned(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / path.name
    copy.write_text(path.read_text())
    study = reading.load(copy)
    tile = TILES.get(path.stem, ELSEWHERE)
    write_granules(study, tile)
    write_inputs(study, tmp_path, place(tile))
    plan = pipeline.plan(study)
    platforms = study.granules.platforms or ("terra",)
    assert plan.granules == len(study.years()) * len(roles(study)) * len(platforms)
    assert not plan.bad
    assert all(pixels > 0 for _, pixels in plan.areas)
    assert {stage.stage for stage in plan.stages} >= {"partial", "composite", "reduce", "write"}
    assert {missing.tile for missing in plan.missing} == {tile}


def test_munich_is_planned(real_data: Path, tmp_path: Path) -> None:
    text = (ROOT / "examples" / "munich" / "study.toml").read_text()
    copy = tmp_path / "study.toml"
    copy.write_text(text.replace("munich-2022", str(real_data / "munich-2022")))
    plan = pipeline.plan(reading.load(copy))
    assert plan.granules == 16
    assert not plan.missing
