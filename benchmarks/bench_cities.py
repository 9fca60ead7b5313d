# SPDX-License-Identifier: Apache-2.0
"""Seven cities and eight epochs from committed partials: composite to tables.

    RSEI_TEST_DATA=... python benchmarks/bench_cities.py [--json FILE]

The boundaries of the study's seven cities (``RSEI_TEST_DATA/cities``), every tile they need, the
24 years 2000 to 2023. Partials hold simulated sums: rough surfaces, a fifth of the counts missing.
Everything after them is the product's own, up to the tables: composites, indicators, PCA, maps,
analysis. Figures and page are left out.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from measured import keep

from rsei.engine.index.composite import Partial
from rsei.engine.run.cluster import Alone
from rsei.engine.run.machine import processor
from rsei.engine.run.mosaics import NAMES
from rsei.engine.run.orders import Stop
from rsei.engine.run.partialfiles import FILES, write_partial
from rsei.engine.run.partials import heat_window
from rsei.engine.run.pipeline import WAVES
from rsei.engine.run.reading import valid
from rsei.engine.run.store import Key, Store
from rsei.engine.run.survey import Place, Shelf, Survey
from rsei.engine.run.tasks import Done
from rsei.engine.sources import simulated_stack as scenes
from rsei.engine.sources.areas import areas, window_of
from rsei.engine.sources.catalogues import Catalogue
from rsei.engine.sources.grids import (
    SINUSOIDAL_1KM,
    SINUSOIDAL_500M,
    Window,
    tile_window,
    tiles,
)
from rsei.kernels.launch import cores

EPOCHS = [2001, 2004, 2007, 2010, 2013, 2016, 2019, 2022]
YEARS = range(2000, 2024)
STORED = {
    "reflectance": (900, 2600, 500, 800, 2900, 2200, 1300),
    "greenness": (6000,),
    "heat": (15100, 105),
}
"""Typical stored values of each layer of a partial."""


def cities(folder: Path) -> tuple[Place, ...]:
    """The study's cities, on the MODIS grid."""
    found = []
    for path in sorted((folder / "cities").glob("*.geojson")):
        (area,) = areas(path, path.stem)
        window = window_of(area, SINUSOIDAL_500M)
        settings = study({"name": path.stem, "boundary": str(path)}, Path("run")).area[0]
        found.append(Place(area, settings, window, tuple(tiles(window))))
    return tuple(found)


def study(area: dict[str, Any], out: Path) -> Any:
    """The study of one area with the settings of the seven cities."""
    sections = {
        "study": {"name": "cities", "out": str(out), "epochs": EPOCHS},
        "granules": {"path": "granules"},
        "area": [area],
    }
    return valid(sections, Path("study.toml"))


@cache
def noise() -> tuple[Any, Any, Any]:
    """Relief, grain and chances of which every layer takes another cut: drawing is slow."""
    rng = np.random.default_rng(0)
    grain = rng.standard_normal((4000, 4000), np.float32)
    counts = rng.binomial(16, 0.5, (4000, 4000)).astype(np.uint8)
    return scenes.rough(2600, 2.8, rng), grain, counts


def layer(rng: np.random.Generator, role: str, window: Window) -> Partial:
    """A partial of rough surfaces: no two pixels alike, a part of the observations missing."""
    names = NAMES[role]
    relief, grain, drawn = noise()
    here = slice(0, window.height), slice(0, window.width)
    shape = (len(names), *window.shape)
    counts, sums = np.empty(shape, np.uint8), np.empty(shape, np.int32)
    for b, middle in enumerate(STORED[role]):
        top, left = rng.integers(0, 4000 - 2600, 2)
        cut = slice(top, top + window.height), slice(left, left + window.width)
        counts[b] = drawn[cut] // (2 if role == "greenness" else 1)
        value = middle * (1 + np.float32(0.05) * relief[here] + np.float32(0.02) * grain[cut])
        sums[b] = value * counts[b]
    return Partial(names, sums, counts, 8 if role == "greenness" else 16, {})


def commit(store: Store, shelf: Shelf, rng: np.random.Generator) -> None:
    """A partial as its stage would leave it."""
    name = f"{shelf.tile}/{shelf.year}"
    folder = f"store/partials/{name}"
    files = [f"{folder}/{file}" for role in FILES for file in FILES[role]]
    with store.writing(Key("partial", name, 1, {}, {}), files) as draft:
        for role in FILES:
            heat = heat_window(shelf.window, SINUSOIDAL_500M, SINUSOIDAL_1KM)
            window = heat if role == "heat" and heat else shelf.window
            lattice = SINUSOIDAL_1KM if role == "heat" else SINUSOIDAL_500M
            paths = [draft.paths[f"{folder}/{file}"] for file in FILES[role]]
            write_partial(paths, layer(rng, role, window), lattice, window)
        draft.payload |= {"losses": {}, "granules": {}, "bad": []}


def surveyed(places: tuple[Place, ...], out: Path) -> Survey:
    """The survey of a study whose granules have all been read."""
    shelves = {}
    for tile in sorted({tile for place in places for tile in place.tiles}):
        needed = [p.window & tile_window(tile) for p in places if tile in p.tiles]
        window = needed[0]
        for other in needed[1:]:
            window |= other
        for year in YEARS:
            granules: dict[str, Any] = {role: () for role in FILES}
            shelves[tile, year] = Shelf(tile, year, window, granules)
    whole = study({"name": "a", "bounds": [0, 0, 1, 1]}, out)
    nothing = Catalogue((), (), (), ())
    return Survey(whole, SINUSOIDAL_500M, SINUSOIDAL_1KM, places, shelves, nothing, (), ())


def carried_out(folder: Path, places: tuple[Place, ...]) -> dict[str, Any]:
    """What the stages after the partials take, up to the tables, as a run carries them out."""
    survey, store = surveyed(places, folder), Store(folder)
    budget = survey.study.compute.memory_bytes
    seconds: dict[str, float] = {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    cpu = time.process_time()
    for stage, make in WAVES[1:]:
        if stage == "report":
            break
        begun = time.perf_counter()
        for one in Alone(cores(), budget).each(make(survey, "cpu"), store, Stop()):
            assert isinstance(one, Done), one
        seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - begun
    return {
        "seconds": seconds,
        "wall_s": sum(seconds.values()),
        "cpu_s": time.process_time() - cpu,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "peak_of_imports_mib": before,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    parser.add_argument("--stages", type=Path, help="only the stages, on partials made there")
    chosen = parser.parse_args()
    default = Path(__file__).parents[2] / "shared" / "data"
    places = cities(Path(os.environ.get("RSEI_TEST_DATA", default)))
    if chosen.stages:
        print(json.dumps(carried_out(chosen.stages, places)))
        return
    with tempfile.TemporaryDirectory() as folder:
        survey, store = surveyed(places, Path(folder)), Store(Path(folder))
        begun, rng = time.perf_counter(), np.random.default_rng(0)
        for shelf in survey.shelves.values():
            commit(store, shelf, rng)
        made = time.perf_counter() - begun
        # In a process of its own: this one has grown by what it simulated.
        command = [sys.executable, __file__, "--stages", folder]
        found = json.loads(subprocess.run(command, check=True, stdout=-1, text=True).stdout)
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.tif"))
    report = {
        "machine": processor(),
        "cities": len(places),
        "epochs": len(EPOCHS),
        "partials": len(survey.shelves),
        "pixels_of_rectangles": sum(place.window.size for place in places),
        **found,
        "disk_mb": size / 1e6,
        "load": os.getloadavg()[0],
        "cores": cores(),
    }
    print(f"{len(places)} cities, {len(EPOCHS)} epochs, {len(survey.shelves)} partials")
    print(f"partials made in {made:.0f} s")
    for stage, time_ in found["seconds"].items():
        print(f"{stage:<10} {time_:7.2f} s")
    print(
        f"in all {found['wall_s']:.1f} s wall, {found['cpu_s']:.1f} s CPU; peak "
        f"{found['peak_mib']:.0f} MiB"
    )
    keep(report, chosen.json)


if __name__ == "__main__":
    main()
