# SPDX-License-Identifier: Apache-2.0
"""Layers, tables and forests of a ground take no more memory than they say; strips do not show."""

import json
import subprocess
import sys
from pathlib import Path
from unittest.mock import patch

import large_ground
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsei.engine.run import rasterlayers
from rsei.engine.run.driver_settings import DriverLayers, DriverRaster
from rsei.engine.run.driving import layers_of
from rsei.engine.run.layers import PROGRAM
from rsei.engine.run.store import Store
from rsei.engine.run.tasks import carry_out
from rsei.engine.sources.resampling import Method

PROC = Path("/proc/self/clear_refs")

BESIDE = 1 << 27
"""Bytes that a task may take beside its pixels: kernels compiled, groups of rows, GDAL's blocks."""


@pytest.mark.slow
@pytest.mark.skipif(not PROC.exists(), reason="the peak of a process is known on Linux alone")
def test_no_task_takes_more_memory_than_it_says(tmp_path: Path) -> None:
    """Of 360,000 pixels; each task also alone, without the program that is most of it."""
    command = [sys.executable, large_ground.__file__, str(tmp_path), "600"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = {name: said for name, *said in map(json.loads, done.stdout.splitlines())}
    assert len(found) == 4
    for name, (plan, before, most) in found.items():
        assert most <= plan, (name, plan, most)
        assert most - before <= plan - PROGRAM + BESIDE, (name, plan, before, most)


SIDE = 37


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rasters of a small ground: off its grid, on it, and of twelve months."""
    made = tmp_path_factory.mktemp("ground")
    large_ground.raster(made / "off.tif", SIDE, 1, 370.0)
    large_ground.raster(made / "on.tif", SIDE, 2, 0.0)
    for month in range(1, 13):
        large_ground.raster(made / f"m{month:02d}.tif", SIDE, month, 10.0 * month)
    return made


def chosen(folder: Path) -> list[DriverLayers]:
    """A layer that comes to the grid in each way."""
    ways: tuple[Method, ...] = ("nearest", "bilinear", "average", "sum")
    off = [DriverRaster(raster=str(folder / "off.tif"), resampling=way) for way in ways]
    one = [*off, DriverRaster(raster=str(folder / "on.tif"), units="km")]
    months = DriverRaster(months=str(folder / "m{month:02d}.tif"), reduce="mean")
    return [DriverLayers(prec=months), *(DriverLayers(dem=way) for way in one)]


@settings(max_examples=2, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.integers(5, 40))
@pytest.mark.parametrize(
    "which", [0, *(pytest.param(which, marks=pytest.mark.slow) for which in range(1, 6))]
)
def test_strips_of_a_layer_do_not_show(rows: int, which: int, folder: Path, tmp_path: Path) -> None:
    layer = chosen(folder)[which]
    task = layers_of(large_ground.ground(folder, SIDE, layer), "cpu")[0]
    found = []
    for size in (rows, 256):
        store = Store(tmp_path / f"{size}-{len(list(tmp_path.iterdir()))}")
        with patch.object(rasterlayers, "ROWS", size):
            marker = carry_out(task, store).marker
        found.append(((store.folder / task.files[0]).read_bytes(), marker.payload))
    assert found[0] == found[1]
