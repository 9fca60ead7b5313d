# SPDX-License-Identifier: Apache-2.0
"""An area by tiles gives what it gives whole: every pixel and every table, to the last bit."""

import random
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import shapely
import studies
from run_hashes import hashes
from studies import written

from rsei.engine.report.rasters import graded, together
from rsei.engine.run.cluster import Alone
from rsei.engine.run.orders import Stop
from rsei.engine.run.places import places
from rsei.engine.run.store import Store
from rsei.engine.run.survey import survey
from rsei.engine.run.tasks import Task
from rsei.engine.sources.grids import SINUSOIDAL, SINUSOIDAL_500M, Window, carrier, tile_window
from rsei.engine.sources.simulate import World, season_dates, write_granules
from rsei.engine.sources.tiled import Tiled

CORNER = Window(12000 - 14, 64800 - 16, 32, 30)
"""Pixels of each of h26v04, h27v04, h26v05 and h27v05."""

TILES = ("h26v04", "h26v05", "h27v04", "h27v05")


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corner")
    world = World(CORNER, seed=3)
    for name in studies.PRODUCTS:
        days = [day for day in season_dates(name, studies.EPOCHS) if day.month in (7, 8)]
        for _ in write_granules(folder, name, world, days):
            pass
    return folder


def outline(folder: Path, window: Window, name: str) -> Path:
    """A file with a diamond of pixels in the grid's own CRS."""
    left, bottom, right, top = SINUSOIDAL_500M.bounds(window)
    x, y = (left + right) / 2, (bottom + top) / 2
    shape = shapely.Polygon([(left, y), (x, top), (right, y + 700), (x - 300, bottom)])
    path = folder / name
    gpd.GeoDataFrame({"NAME": ["one"]}, geometry=[shape], crs=SINUSOIDAL).to_file(path)
    return path


@pytest.fixture(scope="module")
def study(granules: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a study of a nation with mines, whole or by tile, and gives its file."""
    folder = tmp_path_factory.mktemp("outlines")
    nation = outline(folder, CORNER, "nation.gpkg")
    mines = outline(folder, Window(12000 - 3, 64800 - 4, 6, 9), "mines.gpkg")

    def make(name: str, by_tile: bool, **changes: str) -> Path:
        area = (
            f'name = "Nation"\nboundary = "{nation}"\nmines = "{mines}"\nzones = "{nation}"\n'
            f"by_tile = {str(by_tile).lower()}"
        )
        sections = {
            "study": f'name = "nation"\nout = "run"\nepochs = {list(studies.EPOCHS)}',
            "area": area,
            "indicators": 'lst_resampling = "bilinear"',
        }
        return written(folder / name, granules, **sections | changes)

    return make


def joined(run: Path, folder: str) -> dict[str, np.ndarray]:
    """Every raster of a folder by its name, tiles put together."""
    found: dict[str, np.ndarray] = {}
    for path in sorted((run / folder).rglob("*.tif")):
        names = path.relative_to(run / folder).with_suffix("").parts
        whole = path.parent if names[-1] in TILES else path
        if whole.with_suffix("").as_posix() in found:
            continue
        paths = sorted(whole.glob("*.tif")) if whole.is_dir() else [whole]
        with rasterio.open(path) as file:
            bands = file.count
        tiled = Tiled.of(paths)
        layers = [tiled.read(tiled.window, band) for band in range(1, bands + 1)]
        key = whole.relative_to(run / folder).with_suffix("").as_posix()
        found[key] = np.stack(layers)
    return found


SCOPES = {
    "epoch": {},
    "otsu": {"water": 'mndwi = "otsu"'},
    "percentiles": {"rsei": 'limits = [2, 98]\nnormalisation = "pooled"\npca = "pooled"'},
    "reference": {
        "rsei": 'normalisation = "reference"\nreference = 2012\ndirection = "reference"',
        "indicators": 'lst_resampling = "nearest"',
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("scope", SCOPES)
def test_by_tile_is_whole(scope: str, study: Callable[..., Path]) -> None:
    whole, tiled = (studies.run(study(f"{scope}-{b}", b, **SCOPES[scope])) for b in (False, True))
    assert (whole.failed, tiled.failed) == ((), ())
    for folder in ("composites", "indicators", "rsei", "change", "trends"):
        ours, theirs = joined(tiled.out, folder), joined(whole.out, folder)
        assert ours.keys() == theirs.keys() and theirs
        for name, layers in theirs.items():
            np.testing.assert_array_equal(ours[name], layers, err_msg=f"{folder}/{name}")
    assert len(list((tiled.out / "rsei").rglob("h??v??.tif"))) == len(TILES) * len(studies.EPOCHS)
    tables = {name for name in hashes(whole.out) if name.startswith("tables/")}
    assert len(tables) > 15
    for name in sorted(tables):
        assert (tiled.out / name).read_bytes() == (whole.out / name).read_bytes(), name


@pytest.fixture(scope="module")
def nation(study: Callable[..., Path]) -> Path:
    """The run folder of a nation by tiles."""
    outcome = studies.run(study("nation", True))
    assert outcome.failed == ()
    return outcome.out


@pytest.mark.slow
def test_a_gis_opens_the_index_of_the_tiles(nation: Path) -> None:
    for folder, base in {"rsei": "nation/2012", "change": "nation/2012-2013"}.items():
        with rasterio.open(nation / folder / f"{base}.vrt") as file:
            assert file.crs.to_wkt().startswith("PROJCS") and np.isnan(file.nodata)
            np.testing.assert_array_equal(file.read(), joined(nation, folder)[base])
            assert SINUSOIDAL_500M.window(file.transform, file.shape) in CORNER


@pytest.mark.slow
def test_a_gis_opens_the_grades_of_the_tiles(nation: Path, tmp_path: Path) -> None:
    maps = sorted((nation / "rsei/nation/2012").glob("*.tif"))
    tiles = [tmp_path / "2012" / path.name for path in maps]
    assert len(tiles) == len(TILES)
    (tmp_path / "2012").mkdir()
    for path, tile in zip(maps, tiles, strict=True):
        tile.write_bytes(graded(path))
    (tmp_path / "2012.vrt").write_text(together(maps))
    with rasterio.open(tmp_path / "2012.vrt") as whole:
        assert whole.nodata == 0 and whole.descriptions == ("grade",)
        left, top = whole.transform.c, whole.transform.f
        known = 0
        for tile in tiles:
            with rasterio.open(tile) as part:
                grades = part.read(1)
                column = round((part.transform.c - left) / part.transform.a)
                row = round((part.transform.f - top) / part.transform.e)
                shades = [dataset.colormap(1) for dataset in (whole, part)]
            assert all(shades[0][grade] == shades[1][grade] for grade in range(6))
            found = whole.read(1)[row : row + grades.shape[0], column : column + grades.shape[1]]
            np.testing.assert_array_equal(found, grades)
            known += int(np.count_nonzero(grades))
        assert known == np.count_nonzero(whole.read(1)) > 0


@pytest.mark.slow
def test_changing_to_tiles_and_back_leaves_one_form(study: Callable[..., Path]) -> None:
    run = studies.run(study("change", False), until="write").out
    for by_tile in (True, False):
        studies.run(study("change", by_tile), until="write")
        assert (run / "rsei/nation/2012.vrt").exists() is by_tile
        assert (run / "rsei/nation/2012.tif").exists() is not by_tile


@pytest.mark.slow
def test_order_of_tasks_and_height_of_strips(
    nation: Path, study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tasks of each wave in an order of chance, and strips of a few rows."""
    each, chance = Alone.each, random.Random(5)

    def shuffled(crew: Alone, tasks: Iterable[Task], store: Store, stop: Stop) -> Iterator[Any]:
        order = list(tasks)
        chance.shuffle(order)
        yield from each(crew, order, store, stop)

    monkeypatch.setattr(Alone, "each", shuffled)
    monkeypatch.setattr("rsei.engine.run.composites.CompositeTask.rows", 3)
    monkeypatch.setattr("rsei.engine.run.areatasks.ROWS", 4)
    assert hashes(studies.run(study("order", True)).out) == hashes(nation)


def test_large_areas_are_by_tile_unless_told(
    study: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = study("auto", False).read_text().replace("by_tile = false\n", "")
    file = study("auto", False)
    file.write_text(text)
    assert not survey(studies.load(file)).places[0].by_tile
    monkeypatch.setattr("rsei.engine.run.places.LARGE", 500)
    (place,) = survey(studies.load(file)).places
    assert place.by_tile and [part.tile for part in place.parts] == list(TILES)
    inner = sum(part.window.size for part in place.parts)
    assert inner == place.window.size and place.count(SINUSOIDAL_500M) <= inner


def test_tiles_without_a_pixel_of_the_area_are_left_out(study: Callable[..., Path]) -> None:
    settings = studies.load(study("corner", True))
    x, y = SINUSOIDAL_500M.bounds(Window(12000, 64800, 1, 1))[::3]
    lon, lat = carrier(SINUSOIDAL, "OGC:CRS84").transform(x, y)
    area = settings.area[0].model_copy(
        update={"boundary": None, "bounds": (lon - 0.05, lat - 0.05, lon + 0.002, lat + 0.05)}
    )
    extents = {tile: tile_window(tile) & CORNER for tile in TILES}
    (place,), _ = places(settings.model_copy(update={"area": (area,)}), SINUSOIDAL_500M, extents)
    for part in place.parts:
        assert part.window in place.window and part.tile in TILES


def test_an_area_may_be_a_list_of_tiles(granules: Path, tmp_path: Path) -> None:
    area = 'name = "Two"\ntiles = ["h26v04", "h27v04"]\nby_tile = true'
    (place,) = survey(studies.load(written(tmp_path, granules, area=area))).places
    assert [part.tile for part in place.parts] == ["h26v04", "h27v04"]
    assert all(part.window == tile_window(part.tile) & CORNER for part in place.parts)
