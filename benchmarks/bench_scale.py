# SPDX-License-Identifier: Apache-2.0
"""One tile and year at its real size, through the real command: what a country is projected from.

Forty granules of 2400 x 2400 pixels (1200 x 1200 of heat), the products' own format, run to maps
and tables on one core. Their scenes are simulated over a quarter of the tile's side and laid side
by side: the noise, and so the size of the files, is that of a whole scene. ``scale.py`` writes the
page from the result.

    python benchmarks/bench_scale.py FOLDER [--json FILE]
"""

import argparse
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))
from bench_country import PRODUCTS, area, watched
from measured import keep

from rsei.engine.run.machine import processor
from rsei.engine.sources.grids import Window, tile_window
from rsei.engine.sources.simulate import World, season_dates
from rsei.engine.sources.simulated_granules import Header, product_form, write_granule
from rsei.engine.sources.simulated_scenes import Scene
from rsei.engine.sources.simulated_surface import Surface

TILE, YEAR, TIMES = "h27v05", 2019, 4


def write_all(folder: Path) -> int:
    """Write the granules of the tile and year; their number. Files that exist are kept."""
    whole = tile_window(TILE)
    side = whole.height // TIMES
    world = World(Window(whole.top, whole.left, side, side), seed=3)
    surface, number = Surface.of(world, YEAR), 0
    for product in PRODUCTS:
        lattice = product_form(product[:7]).lattice
        for date in season_dates(product, [YEAR]):
            header = Header(product, date, tile_window(TILE, lattice))
            number += 1
            if not (folder / header.file_name).exists():
                layers = Scene(world, surface, product, date).layers()
                write_granule(folder, header, {k: laid_out(v) for k, v in layers.items()})
    return number


def laid_out(layer: NDArray[Any]) -> NDArray[Any]:
    """A layer of the whole tile; neighbours are shifted, or packing would see them repeat."""
    step = layer.shape[0] // TIMES
    row = np.hstack([np.roll(layer, k * step, axis=0) for k in range(TIMES)])
    return np.ascontiguousarray(np.vstack([row] * TIMES))


def size(folder: Path) -> int:
    """Bytes of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    folder = chosen.folder.absolute()
    granules, run = folder / "granules", folder / "run"
    number = write_all(granules)
    shutil.rmtree(run, ignore_errors=True)
    file = folder / "study.toml"
    file.write_text(
        f'[study]\nname = "tile"\nout = "run"\nepochs = [{YEAR}]\n\n'
        f'[granules]\npath = "granules"\nreach = 0\n\n{area("Tile", tiles=[TILE], by_tile=True)}'
    )
    os.environ["RSEI_THREADS"] = "1"
    for path in granules.iterdir():
        path.read_bytes()  # into the page cache
    load = os.getloadavg()[0]
    stages = {}
    for stage in ("partial", "composite", "reduce", "project", "write", "analyse", "report"):
        stages[stage] = watched("run", str(file), "--until", stage)
    stages["nothing"] = watched("run", str(file), "--until", "partial")
    result: dict[str, Any] = {
        "machine": f"{processor()}, {psutil.cpu_count()} cores",
        "load_before": round(load, 1),
        "granules": number,
        "granule_bytes": size(granules),
        "pixels": tile_window(TILE).size,
        "stages": stages,
        "bytes": {
            name: size(run / part)
            for name, part in {
                "partial": "store/partials",
                "composite": "composites",
                "indicators": "indicators",
                "rsei": "rsei",
                "trends": "trends",
            }.items()
        },
    }
    print(json.dumps(result, indent=2))
    keep(result, chosen.json)


if __name__ == "__main__":
    main()
