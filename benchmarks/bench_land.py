# SPDX-License-Identifier: Apache-2.0
"""The land of the globe on paper: 300 tiles and 24 years planned, and their moments reduced.

The granules are those of one simulated tile, said to lie in 300 tiles: planning starts where their
headers are read, at about a millisecond each. The marker of every composite is then written, with
moments of one, and reduced by the run's own task. Seconds of the processor, in one process.

    python benchmarks/bench_land.py FOLDER [--tiles 300] [--json FILE]

FOLDER is that of bench_country.py, whose granules it takes.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import psutil

sys.path.insert(0, str(Path(__file__).parent))
from bench_country import area
from measured import keep

from rsei.engine.run import pipeline, reading, survey
from rsei.engine.run.composites import composite_tasks
from rsei.engine.run.machine import processor
from rsei.engine.run.reductions import reduce_tasks
from rsei.engine.run.store import Key, Store
from rsei.engine.run.tasks import carry_out
from rsei.engine.run.upkeep import RUN
from rsei.engine.sources.catalogues import Catalogue
from rsei.engine.sources.granules import catalogue
from rsei.engine.sources.grids import Window, tile_window

YEARS = range(2001, 2025)

SUMMARY = {
    "ranges": [[-1, 1], [-4, 4], [-1, 1], [150, 450]],
    "count": 3600,
    "sums": [10**12, -(10**12), 3 * 10**11, 2 * 10**11],
    "products": [[10**21 * (2 if i == j else 1) for j in range(4)] for i in range(4)],
    "lowest": [[0.1 * k, 5, 6] for k in range(4)],
    "highest": [[0.1 * k + 1, 7, 8] for k in range(4)],
    "reasons": dict.fromkeys(
        (
            "valid outside no_reflectance no_ndvi no_lst floor mndwi_water land_cover_water "
            "no_wet no_ndbsi out_of_range"
        ).split(),
        3,
    ),
    "water_kept": 0,
}
"""What a composite's marker holds of its pixels."""


def named(count: int) -> list[str]:
    """Tiles north and south of the equator, by columns."""
    return [f"h{h:02d}v{v:02d}" for h in range(36) for v in range(3, 15)][:count]


def elsewhere(one: Catalogue, tiles: list[str]) -> Catalogue:
    """The granules of one tile, in each of ``tiles``."""
    home = tile_window(one.granules[0].tile)

    def moved(granule: Any, tile: str) -> Any:
        size = granule.lattice.dx / granule.fine.dx
        there = tile_window(tile)
        down, across = (round(d / size) for d in (there.top - home.top, there.left - home.left))
        old = granule.window
        window = Window(old.top + down, old.left + across, old.height, old.width)
        return replace(granule, tile=tile, window=window)

    return replace(one, granules=tuple(moved(g, tile) for tile in tiles for g in one.granules))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    found = work()
    return round(time.process_time() - begun, 2), found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiles", type=int, default=300)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    tiles = named(chosen.tiles)
    one = catalogue(next((chosen.folder / "granules").iterdir()))
    everything = elsewhere(one, tiles)
    folder = Path(tempfile.mkdtemp())
    epochs = [*range(YEARS[0] + 1, YEARS[-1])]
    (folder / "study.toml").write_text(
        f'[study]\nname = "land"\nout = "run"\nepochs = {epochs}\n\n[granules]\n'
        f'path = "{(chosen.folder / "granules").absolute()}"\n\n'
        + area("Land", tiles=tiles, by_tile=True)
    )
    try:
        study = reading.load(folder / "study.toml")
        with mock.patch.object(survey, "catalogue", lambda *_: everything):
            planned, plan = timed(lambda: pipeline.plan(study))
            found = survey.survey(study)
        store = Store(folder / "run")
        store.put_json(RUN, {})
        for task in composite_tasks(found, "cpu"):
            with store.writing(Key(task.stage, task.name, 1, {}, {}), ()) as draft:
                draft.payload["summary"] = SUMMARY
        (task,) = reduce_tasks(found, "cpu")
        reduced, done = timed(lambda: carry_out(task, store))
        if set(done.marker.payload["epochs"]) != {str(epoch) for epoch in epochs}:
            raise RuntimeError("expected components of every epoch")
    finally:
        shutil.rmtree(folder)
    result = {
        "machine": f"{processor()}, {psutil.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 1),
        "tiles": len(tiles),
        "years": len(YEARS),
        "granules": len(everything.granules),
        "tasks": sum(stage.tasks for stage in plan.stages),
        "planned_cpu_seconds": planned,
        "reduced_cpu_seconds": reduced,
        "peak_mib": round(psutil.Process().memory_info().rss / (1 << 20)),
    }
    print(json.dumps(result, indent=2))
    keep(result, chosen.json)


if __name__ == "__main__":
    main()
