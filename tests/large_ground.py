# SPDX-License-Identifier: Apache-2.0
"""A large ground with drivers; as a program it makes all of them and says what memory each took.

``python large_ground.py FOLDER SIDE``: a line a task, as JSON: its name, the bytes that were
planned, and those of the whole process: before it, and at most.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import driven
import geopandas as gpd
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray

from rsei.engine.analysis.forest_settings import ForestSettings
from rsei.engine.run.driver_settings import DriverLayers
from rsei.engine.run.driving import DriverTask, layers_of
from rsei.engine.run.forests import ForestTask
from rsei.engine.run.layers import Ground
from rsei.engine.run.store import Key, Store
from rsei.engine.run.study import AreaSettings, DriversSettings
from rsei.engine.run.survey import Place
from rsei.engine.run.tasks import Task, carry_out
from rsei.engine.sources.areas import Area
from rsei.engine.sources.geotiff import Form, write_geotiff
from rsei.engine.sources.grids import Lattice, Window

SIZE = 1000.0
"""Width of a pixel, m."""

YEAR = 2020


def hills(side: int, seed: int) -> NDArray[np.float32]:
    """A surface with some noise and some holes, (side, side)."""
    rng = np.random.default_rng(seed)
    y, x = np.linspace(0, 3 + seed, side, dtype=np.float32)[:, None], np.linspace(0, 4, side)
    made = (np.sin(x) + np.cos(y + x)).astype(np.float32)
    made += rng.standard_normal(made.shape, np.float32) / 8
    made[rng.random(made.shape, np.float32) < 0.02] = np.nan
    return made


def raster(path: Path, side: int, seed: int, shift: float) -> str:
    """Write a surface that reaches four pixels beyond a ground of ``side``, off its grid."""
    place = Affine(SIZE, 0, -4 * SIZE + shift, 0, -SIZE, (side + 4) * SIZE + shift)
    driven.raster(path, hills(side + 8, seed), place)
    return str(path)


def ground(folder: Path, side: int, layers: DriverLayers) -> Ground:
    """A ground of ``side`` by ``side`` pixels, all of which lie in the area; with two mines."""
    edge = side * SIZE
    area = Area("Land", "land", shapely.box(10, 10, edge - 10, edge - 10), driven.CRS)
    mines = [shapely.box(x, x, x + 900, x + 1700) for x in (edge / 5, edge / 2)]
    gpd.GeoDataFrame(geometry=mines, crs=driven.CRS).to_file(folder / "mines.gpkg")
    settings = AreaSettings(name="Land", boundary=folder, mines=folder / "mines.gpkg")
    place = Place(area, settings, Window(-side, 0, side, side), ())
    return Ground(place, DriversSettings(year=YEAR, crs=driven.CRS, resolution=SIZE, layers=layers))


def index(store: Store, here: Ground) -> Lattice:
    """Commit a map of the index on a grid of the same pixels, a quarter of one aside."""
    side, name = here.place.window.width, here.place.named(YEAR)
    lattice = Lattice(driven.CRS, SIZE / 4, SIZE / 4, SIZE, SIZE)
    path = f"rsei/{name}.tif"
    with store.writing(Key("write", name, 1, {}, {}), [path]) as draft:
        values = np.tanh(hills(side, 9) / 4)[None] / 2 + np.float32(0.5)
        write_geotiff(draft.paths[path], values, lattice, here.place.window, Form(("rsei",)))
    return lattice


def tasks(folder: Path, side: int) -> Iterator[Task]:
    """Layers, table and forest, in their order."""
    here = ground(folder, side, DriverLayers(dem=raster(folder / "dem.tif", side, 1, 300.0)))
    lattice, layers = index(Store(folder / "run"), here), layers_of(here, "cpu")
    settings = ForestSettings(trees=20, mtry=2, sample=2000, tuning_mtry=(), folds=2)
    yield from layers
    yield DriverTask(here, layers, settings, lattice)
    yield ForestTask(here, settings, "cpu")


def used(field: str) -> int:
    """Bytes of this process in memory: VmRSS now, VmHWM at most since that was forgotten."""
    status = Path("/proc/self/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith(field))
    return int(line.split()[1]) << 10


def main(folder: Path, side: int) -> None:
    """Carry all tasks out, one after the other."""
    for task in tasks(folder, side):
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak
        before = used("VmRSS")
        carry_out(task, Store(folder / "run"))
        print(json.dumps([task.name, task.memory, before, used("VmHWM")]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
