# SPDX-License-Identifier: Apache-2.0
"""The demo's study, as it is written."""

import tomllib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from rsei.engine.sources.simulate import (
    DEMO_EPOCHS,
    demo_world,
    write_demo,
)


@pytest.mark.slow
def test_the_demo_is_whole_and_is_not_written_twice(demo: Path) -> None:
    study = tomllib.loads((demo / "study.toml").read_text("utf-8"))
    area = study["area"][0]
    assert all((demo / area[name]).is_file() for name in ("boundary", "mines", "coast"))
    layers = dict(study["drivers"]["layers"])
    months = layers.pop("prec")["months"]
    paths = [*layers.values(), *(months.format(year=2020, month=m) for m in range(1, 13))]
    paths += [study["water"]["land_cover"]["raster"].format(year=y) for y in DEMO_EPOCHS]
    assert all((demo / path).is_file() for path in paths)
    mines = gpd.read_file(demo / "inputs" / "mines.gpkg")
    assert mines.is_valid.all() and len(mines) == 32
    before = written(demo)
    told: list[tuple[int, int]] = []
    write_demo(demo, progress=lambda done, total: told.append((done, total)))
    assert told[-1][0] == told[-1][1] == len(list((demo / "granules").iterdir()))
    assert before == written(demo)
    assert sum(path.stat().st_size for path in before) < 45e6
    _compare_height(demo / "inputs" / "dem.tif")


def written(demo: Path) -> dict[Path, int]:
    """When each file was written that is not of the run."""
    files = [path for path in demo.rglob("*") if path.is_file()]
    return {path: path.stat().st_mtime_ns for path in files if demo / "run" not in path.parents}


def _compare_height(path: Path) -> None:
    """A driver raster shows the world's own field where both are."""
    world = demo_world()
    with rasterio.open(path) as file:
        points = np.column_stack([field[::9, ::9].ravel() for field in world.lonlat])
        seen = np.array([value[0] for value in file.sample(points)])
    assert np.abs(seen - world.dem[::9, ::9].ravel()).mean() < 8
