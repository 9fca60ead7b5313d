# SPDX-License-Identifier: Apache-2.0
"""Write ``scale.md``: a country and the land of the globe, projected from one tile and year.

python benchmarks/bench_scale.py FOLDER --json benchmarks/results/scale.json
python benchmarks/bench_country.py FOLDER --json benchmarks/results/country.json
python benchmarks/scale.py
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsei.engine.run.partials import stored_bytes

HERE = Path(__file__).parent

DATES = {"reflectance": 16, "greenness": 8, "heat": 16}
"""Composites of a season of four months."""

REACH = 3
"""Years that an epoch is the mean of."""

DISK_RATE = 1e9
"""Bytes a second that a shared file system gives a run, an assumption."""

LINK_RATE = 20e9
"""Bytes a second from pinned memory to a GPU over PCIe 4 with 16 lanes, an assumption: 32 GB/s
less a third."""


@dataclass(frozen=True)
class Extent:
    """What is to be mapped."""

    name: str
    tiles: int
    years: int

    @property
    def tile_years(self) -> int:
        """Partials."""
        return self.tiles * self.years

    @property
    def tile_epochs(self) -> int:
        """Maps of a tile: an epoch for each year but the first and the last."""
        return self.tiles * (self.years - 2)


EXTENTS = Extent("China", 22, 24), Extent("Land of the globe", 300, 24)


def results(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((HERE / f"results/{name}.json").read_text())
    return found


def decoded() -> int:
    """Bytes of a tile and year once inflated: what has to go over the link to a GPU."""
    pixels = {"reflectance": 2400**2, "greenness": 2400**2, "heat": 1200**2}
    return sum(DATES[role] * pixels[role] * stored_bytes(role) for role in DATES)


def page() -> Iterator[str]:
    scale = results("scale")
    idle = scale["stages"]["nothing"]["cpu_seconds"]
    cpu = {name: max(0.0, one["cpu_seconds"] - idle) for name, one in scale["stages"].items()}
    yield "# A country, and the land of the globe\n"
    yield "<!-- by benchmarks/scale.py: do not edit -->\n"
    yield "## Measured: one tile and year at its real size\n"
    yield (
        f"{scale['granules']} simulated granules of {scale['pixels'] / 1e6:.2f} million pixels of "
        f"500 m (heat: a quarter), {scale['granule_bytes'] / 1e9:.2f} GB on disk and "
        f"{decoded() / 1e9:.2f} GB inflated, through `rsei run` on one core. Machine: "
        f"{scale['machine']}, load {scale['load_before']:g} before. Seconds are of the processor: "
        "other work ran beside. The start of the program and reading the catalogue, "
        f"{idle:.1f} s, are taken off each stage; what is below a second is within the noise.\n"
    )
    yield "| stage | CPU, s | most memory of the program, MiB |\n|---|---:|---:|"
    for name, one in scale["stages"].items():
        if name != "nothing":
            yield f"| {name} | {cpu[name]:.1f} | {one['peak_mib']} |"
    yield "\nIt leaves on disk:\n"
    yield "| | MB |\n|---|---:|"
    yield from (f"| {name} | {size / 1e6:.0f} |" for name, size in scale["bytes"].items())
    yield from country()
    yield from land()
    yield from projection(scale, cpu)


def country() -> Iterator[str]:
    """What the bookkeeping of a country takes, once it is measured."""
    if not (HERE / "results/country.json").exists():
        return
    country = results("country")
    yield "\n## Measured: the bookkeeping of a country\n"
    run = country["run"]
    own = run["cpu_seconds"] / country["tasks"]
    yield (
        f"{country['tiles']} tiles and {country['years']} years, {country['granules']} granules "
        f"of 60 x 60 pixels, a nation by tiles, three provinces and ten cities, every stage: "
        f"{country['tasks']} tasks with {country['workers']} workers in {run['seconds']:.0f} s, of "
        f"the processor {run['cpu_seconds']:.0f} s. All processes together hold "
        f"{run['peak_mib']} MiB at most as each of them sees it (RSS), and "
        f"{run['peak_pss_mib']} MiB with pages that they share counted once (PSS), as a cgroup of "
        f"Slurm counts them. That is {1000 * own:.0f} ms of processor a task, its few pixels "
        f"and, of the report, its figures included. Machine: {country['machine']}, load "
        f"{country['load_before']:g} before. `rsei plan` took {country['plan']['seconds']:.0f} s "
        f"({country['plan']['cpu_seconds']:.0f} s of the processor), a second run that finds all "
        f"done {country['run_again']['seconds']:.0f} s.\n"
    )
    yield "| stage | tasks | seconds | busy seconds of all workers |\n|---|---:|---:|---:|"
    for one in country["stages"]:
        yield (
            f"| {one['stage']} | {one['done']} | {one['seconds']:.1f} | {one['busy_seconds']:.1f} |"
        )


def land() -> Iterator[str]:
    """What planning and reducing take for the globe, and a task for itself."""
    found, tasks = results("land"), results("bookkeeping")
    yield "\n## Measured: the land of the globe on paper\n"
    yield (
        f"{found['tiles']} tiles and {found['years']} years, {found['granules']} granules whose "
        f"headers are taken as read: {found['tasks']} tasks planned in "
        f"{found['planned_cpu_seconds']:.0f} s of the processor, the moments of all tiles and "
        f"{found['years'] - 2} epochs reduced in {found['reduced_cpu_seconds']:.1f} s, with "
        f"{found['peak_mib']} MiB. Reading the header of a granule took 1 to 2 ms of the processor."
        f"\n\nA task that does nothing takes {tasks['in_process']['fresh_ms']:.1f} ms in one "
        f"process and {tasks['2_workers']['fresh_ms']:.1f} ms with two workers: key, commit and "
        "journal, each file synced to the disk."
    )


def projection(scale: dict[str, Any], cpu: dict[str, float]) -> Iterator[str]:
    own = results("bookkeeping")["2_workers"]["fresh_ms"] / 1000
    yield "\n## Projected, not measured\n"
    yield (
        f"The figures above times tiles and years. An epoch is the mean of {REACH} years, the "
        f"measured one of one: its composite is taken as {REACH} times that. One area that holds "
        "all tiles; provinces that fill it once more double all but the first line. Tables and "
        "figures of the areas are left out: they run once. What a run of many cores waits for on "
        "a shared file system is not known, but for the least time at "
        f"{DISK_RATE / 1e9:g} GB/s.\n"
    )
    rows: dict[str, list[str]] = {}
    for one in EXTENTS:
        hours = {
            "decode and add (partial)": one.tile_years * cpu["partial"] / 3600,
            "composite, indicators": one.tile_epochs * REACH * cpu["composite"] / 3600,
            "project and write": one.tile_epochs * (cpu["project"] + cpu["write"]) / 3600,
            "bookkeeping": (one.tile_years + 3 * one.tile_epochs) * own / 3600,
        }
        total = sum(hours.values())
        read = one.tile_years * scale["granule_bytes"]
        kept = one.tile_years * scale["bytes"]["partial"] + one.tile_epochs * sum(
            scale["bytes"][name] for name in ("composite", "indicators", "rsei")
        )
        copy = one.tile_years * decoded() / LINK_RATE
        inflate = one.tile_years * cpu["partial"]
        cells = {
            "tiles x years": f"{one.tiles} x {one.years}",
            "granules to read, TB": f"{read / 1e12:.1f}",
            "the same at the rate assumed, h": f"{read / DISK_RATE / 3600:.1f}",
            **{f"{name}, core-hours": f"{value:.1f}" for name, value in hours.items()},
            "in all, core-hours": f"{total:.0f}",
            **{f"on {cores} cores, h": f"{total / cores:.1f}" for cores in (16, 64, 256)},
            "run folder, TB": f"{kept / 1e12:.2f}",
            "copied to GPUs, TB": f"{one.tile_years * decoded() / 1e12:.1f}",
            "the same at the rate assumed, GPU-hours": f"{copy / 3600:.2f}",
            "cores that keep one GPU's link full, at most": f"{inflate / copy:.0f}",
        }
        for name, cell in cells.items():
            rows.setdefault(name, []).append(cell)
    yield f"| | {' | '.join(one.name for one in EXTENTS)} |\n|---|{'---:|' * len(EXTENTS)}"
    yield from (f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())
    yield (
        "\nOn a GPU nothing has been measured. The rows of copies say what its link alone would "
        "take, and how many cores would have to inflate and add at the rate measured here to keep "
        "up with it; cores that inflate only, and leave adding to the GPU, are fewer. Inflating "
        "bounds the whole: a GPU can save no more than what is left of the first line without it."
    )


def main() -> None:
    (HERE / "scale.md").write_text("\n".join(page()) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
