"""Seven cities and eight epochs from committed partials: composite to tables.

    RSEI_TEST_DATA=... python benchmarks/bench_cities.py [--json FILE]

The boundaries of the study's seven cities (``RSEI_TEST_DATA/cities``), every tile they need, the
24 years 2000 to 2023. Partials hold simulated sums: rough surfaces, a fifth of the counts missing.
Everything after them is the product's own: composites, indicators, PCA, maps, analysis, tables.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from rsei.engine.index.composite import Partial
from rsei.engine.run.mosaics import NAMES
from rsei.engine.run.partials import FILES, heat_window, write_partial
from rsei.engine.run.pipeline import WAVES
from rsei.engine.run.reading import valid
from rsei.engine.run.store import Key, Store
from rsei.engine.run.survey import Place, Shelf, Survey
from rsei.engine.run.tasks import carry_out
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


def layer(rng: np.random.Generator, role: str, window: Window, base: Any) -> Partial:
    """A partial of rough surfaces: no two pixels alike, a fifth of the observations missing."""
    names, dates = NAMES[role], 8 if role == "greenness" else 16
    shape = (len(names), *window.shape)
    counts = rng.binomial(dates, 0.5, shape).astype(np.uint8)
    counts[:, rng.random(window.shape) < 0.02] = 0
    relief = base[: window.height, : window.width]
    middle = np.array(STORED[role])[:, None, None] * (1 + 0.05 * relief)
    value = middle * (1 + 0.02 * rng.standard_normal(shape))
    return Partial(names, (value * counts).astype(np.int32), counts, dates, {})


def commit(store: Store, shelf: Shelf, rng: np.random.Generator, base: Any) -> None:
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
            write_partial(paths, layer(rng, role, window, base), lattice, window)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    default = Path(__file__).parents[2] / "shared" / "data"
    places = cities(Path(os.environ.get("RSEI_TEST_DATA", default)))
    rng = np.random.default_rng(0)
    base = scenes.rough(2600, 2.8, rng)
    with tempfile.TemporaryDirectory() as folder:
        survey = surveyed(places, Path(folder))
        store = Store(Path(folder))
        begun = time.perf_counter()
        for shelf in survey.shelves.values():
            commit(store, shelf, rng, base)
        made = time.perf_counter() - begun
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds: dict[str, float] = {}
        cpu = time.process_time()
        for stage, make in WAVES[1:]:
            begun = time.perf_counter()
            for task in make(survey, "cpu"):
                carry_out(task, store)
            seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - begun
        cpu = time.process_time() - cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        size = sum(path.stat().st_size for path in Path(folder).rglob("*.tif"))
    pixels = sum(place.window.size for place in places)
    report = {
        "cities": len(places),
        "epochs": len(EPOCHS),
        "partials": len(survey.shelves),
        "pixels_of_rectangles": pixels,
        "seconds": seconds,
        "wall_s": sum(seconds.values()),
        "cpu_s": cpu,
        "peak_mib": peak / 1024,
        "peak_before_mib": before / 1024,
        "disk_mb": size / 1e6,
        "load": os.getloadavg()[0],
        "cores": os.cpu_count(),
    }
    print(
        f"{len(places)} cities, {len(EPOCHS)} epochs, {len(survey.shelves)} partials ({made:.0f} s)"
    )
    for stage, time_ in seconds.items():
        print(f"{stage:<10} {time_:7.2f} s")
    print(f"in all {report['wall_s']:.1f} s wall, {cpu:.1f} s CPU; peak {peak / 1024:.0f} MiB")
    if chosen.json:
        chosen.json.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
