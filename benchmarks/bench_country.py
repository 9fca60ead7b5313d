# SPDX-License-Identifier: Apache-2.0
"""A country's bookkeeping: every task of 22 tiles and 24 years, on 60 x 60 pixels of each tile.

The real command runs every stage on simulated granules, so what is timed is what tasks cost beside
their pixels: names, headers, checksums, keys, markers, tables, figures. A nation by tiles, three
provinces and ten cities are areas of the one run. Memory is the sum of what the command's processes
hold, twice: resident, as each of them sees it, looked at ten times a second; and proportional, with
pages that several share counted once as a cgroup of Slurm does, looked at once a second.

    python benchmarks/bench_country.py FOLDER [--tiles 22] [--years 24] [--json FILE]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
from measured import keep

from rsei.engine.run.machine import processor
from rsei.engine.sources.grids import LONLAT, SINUSOIDAL_500M, Window, carrier, tile_window
from rsei.engine.sources.simulate import World, season_dates, write_granules

TILES = (
    *("h23v04", "h23v05", "h24v04", "h24v05", "h24v06", "h25v03", "h25v04", "h25v05", "h25v06"),
    *("h26v03", "h26v04", "h26v05", "h26v06", "h27v04", "h27v05", "h27v06", "h28v05", "h28v06"),
    *("h28v07", "h29v05", "h29v06", "h27v03"),
)
"""Tiles of China and its seas' rims."""

PRODUCTS = ("MOD09A1.061", "MOD13A1.061", "MOD11A2.061")

SIDE = 60
"""Pixels of 500 m along a side of what is simulated of a tile."""

RSEI = "from rsei.cli.main import app; app()"


def window(tile: str) -> Window:
    """The middle of a tile."""
    whole = tile_window(tile)
    offset = (whole.height - SIDE) // 2
    return Window(whole.top + offset, whole.left + offset, SIDE, SIDE)


def simulate(folder: Path, tiles: tuple[str, ...], years: range) -> float:
    """Write every granule; seconds. What exists is kept."""
    begun = time.perf_counter()
    for tile in tiles:
        world = World(window(tile), seed=3)
        for product in PRODUCTS:
            write_granules(folder / tile, product, world, season_dates(product, years))
    return time.perf_counter() - begun


def area(name: str, **settings: Any) -> str:
    lines = [f'name = "{name}"', *(f"{key} = {json.dumps(v)}" for key, v in settings.items())]
    return "[[area]]\n" + "\n".join(lines) + "\n"


def bounds(tile: str) -> list[float]:
    """West, south, east and north of a box within what is simulated of a tile."""
    left, bottom, right, top = SINUSOIDAL_500M.bounds(window(tile))
    x, y = (left + right) / 2, (bottom + top) / 2
    corners = carrier(SINUSOIDAL_500M.crs, LONLAT).transform([x - 5e3, x + 5e3], [y - 5e3, y + 5e3])
    (west, east), (south, north) = corners
    return [float(one) for one in (min(west, east), south, max(west, east), north)]


def study(folder: Path, granules: Path, tiles: tuple[str, ...], years: range) -> Path:
    """The study of a nation, of provinces and of cities."""
    epochs = [*range(years[0] + 1, years[-1])]
    areas = [area("Nation", tiles=list(tiles), by_tile=True)]
    for number in range(3):
        areas.append(
            area(f"Province {number}", tiles=tiles[3 * number : 3 * number + 3], by_tile=True)
        )
    areas += [area(f"City {number}", bounds=bounds(tile)) for number, tile in enumerate(tiles[:10])]
    text = (
        f'[study]\nname = "country"\nout = "run"\nepochs = {epochs}\n\n'
        f'[granules]\npath = "{granules}"\n\n' + "\n".join(areas)
    )
    file = folder / "study.toml"
    file.write_text(text)
    return file


def watched(*command: str) -> dict[str, float]:
    """Seconds, seconds of processors, and most bytes of memory of a command."""
    begun, before = time.perf_counter(), os.times()
    child = subprocess.Popen([sys.executable, "-c", RSEI, *command], stdout=subprocess.DEVNULL)
    process, resident, proportional, looks = psutil.Process(child.pid), 0, 0, 0
    while child.poll() is None:
        with suppress(psutil.Error):  # one may end while it is looked at
            every = [process, *process.children(recursive=True)]
            resident = max(resident, sum(one.memory_info().rss for one in every))
            if looks % 10 == 0:  # the kernel walks all pages for it
                proportional = max(proportional, sum(one.memory_full_info().pss for one in every))
        looks += 1
        time.sleep(0.1)
    # Of every process that has ended by now: workers too, which looks from outside may miss.
    after = os.times()
    spent = sum(after[2:4]) - sum(before[2:4])
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: expected exit code 0, found {child.returncode}")
    return {
        "seconds": round(time.perf_counter() - begun, 1),
        "cpu_seconds": round(spent, 1),
        "peak_mib": round(resident / (1 << 20)),
        "peak_pss_mib": round(proportional / (1 << 20)),
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tiles", type=int, default=len(TILES))
    parser.add_argument("--years", type=int, default=24)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    tiles, years = TILES[: chosen.tiles], range(2001, 2001 + chosen.years)
    granules = chosen.folder.absolute() / "granules"
    simulate(granules, tiles, years)
    file = study(chosen.folder.absolute(), granules, tiles, years)
    shutil.rmtree(file.parent / "run", ignore_errors=True)
    result: dict[str, Any] = {
        "machine": f"{processor()}, {psutil.cpu_count()} cores",
        "load_before": round(os.getloadavg()[0], 1),
        "tiles": len(tiles),
        "years": len(years),
        "workers": chosen.workers,
        "granules": sum(1 for _ in granules.rglob("*.hdf")),
    }
    result["plan"] = watched("plan", str(file))
    result["run"] = watched("run", str(file), "--workers", str(chosen.workers))
    result["run_again"] = watched("run", str(file), "--workers", str(chosen.workers))
    result["status"] = watched("status", str(file.parent / "run"))
    log = (file.parent / "run/log.jsonl").read_text().splitlines()
    stages = [line for line in map(json.loads, log) if line["event"] == "stage" and line["done"]]
    result["tasks"] = sum(line["done"] for line in stages)
    result["stages"] = [
        {name: line[name] for name in ("stage", "done", "seconds", "busy_seconds")}
        for line in stages
    ]
    result["ms_a_task"] = round(1000 * result["run"]["seconds"] / result["tasks"], 1)
    print(json.dumps(result, indent=2))
    keep(result, chosen.json)


if __name__ == "__main__":
    main()
