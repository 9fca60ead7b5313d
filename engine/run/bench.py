# SPDX-License-Identifier: Apache-2.0
"""What a machine does with whole tiles: each stage apart, and decode and calculation together."""

import datetime as dt
import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.launch import cores
from ...kernels.trend import trend
from ...kernels.zonal import LabelSums, Runs
from ..index.area import Projection
from ..index.composite import Partial, ReflectanceSum
from ..index.indicators import Block, IndicatorSettings, Layers, epoch_block
from ..index.quality import Policy
from ..index.rsei import project
from ..index.season import Season
from ..sources.errors import StudyError
from ..sources.granules import Granule, catalogue
from ..sources.grids import SINUSOIDAL_500M, Window, tile_window
from ..sources.simulated_granules import Header, write_granule
from ..sources.simulated_stack import rough, stack
from .devices import choice, gpus, home, memory, processor, settled, versions
from .partials import PartialTask, on_device
from .store import Store
from .survey import Shelf
from .tasks import carry_out

TILE, YEAR = "h27v05", 2019

FILES = 4
"""Granules that are simulated; more dates read them again."""

COPY = 1 << 28
"""Bytes that are copied to measure the memory: beyond every cache."""

ZONES, EPOCHS = 31, 22
"""Zones of the zonal sums, and layers of the trend: a province, and the study's years."""

WORSE = 0.8
"""A stage has become slower where its share of the copy rate is below this times the last one's."""

BANDS = tuple(f"sur_refl_b0{band}" for band in range(1, 8))
STATE, QC = "sur_refl_state_500m", "sur_refl_qc_500m"

Work = Callable[[], Any]


@dataclass(frozen=True)
class BenchOptions:
    """What is measured."""

    side: int = 2400
    """Rows and columns of the tile."""

    dates: int = 16
    """Dates of the season."""

    repeats: int = 3
    """Times that each stage is done, after once to compile; the median counts."""

    device: str = "auto"
    """``cpu``, ``cuda``, or ``auto``: the GPU where there is one."""


@dataclass(frozen=True)
class Timed:
    """One stage."""

    stage: str
    """Its name."""

    size: int
    """Bytes it takes in and gives out at least."""

    pixel_dates: int
    """Pixels times dates, or times layers."""

    seconds: float
    """Median time."""

    copied: float
    """Bytes that this device copies in a second, read and written."""

    @property
    def rate(self) -> float:
        """Bytes in a second."""
        return self.size / self.seconds

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "stage": self.stage,
            "bytes": self.size,
            "seconds": self.seconds,
            "gb_per_s": self.rate / 1e9,
            "mpixel_dates_per_s": self.pixel_dates / self.seconds / 1e6,
            "of_copy": self.rate / self.copied,
        }


def bench(options: BenchOptions, folder: Path) -> dict[str, Any]:
    """Measure every stage on granules made in ``folder``; the machine, its software and the stages.

    Raises MachineError for a GPU that is asked for and not there, StudyError for too small a tile.
    """
    if options.side < 64 or options.side > 2400 or options.dates < 1 or options.repeats < 1:
        raise StudyError(
            "bench: expected a side of 64 to 2400, and one date and repeat or more, found "
            f"{options.side}, {options.dates} and {options.repeats}"
        )
    device = choice(options.device, 1 << 62).device  # type: ignore[arg-type]
    scenes = Scenes.made(options, folder, device)
    xp = home(device)
    copied = 2 * COPY / _median(partial(_copy, *_two(xp)), options.repeats, xp)
    stages = [
        Timed(name, size, pixels, _median(work, options.repeats, xp), copied)
        for name, size, pixels, work in scenes.stages()
    ]
    return {
        "machine": {
            "processor": processor(),
            "cores": cores(),
            "memory": memory(),
            "gpus": [gpu.__dict__ for gpu in gpus()],
        },
        "versions": versions(),
        "options": options.__dict__ | {"device": device},
        "copy_gb_per_s": copied / 1e9,
        "stages": [stage.record() for stage in stages],
    }


def _median(work: Work, repeats: int, xp: Any) -> float:
    """Seconds of ``work``, the device's part included; once before, which compiles."""
    taken = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        work()
        settled(xp)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


def _two(xp: Any) -> tuple[Any, Any]:
    """Two arrays that the device has touched: memory that was never written costs nothing."""
    return tuple(xp.full(COPY // 8, value, np.int64) for value in (1, 2))


def _copy(source: Any, target: Any) -> None:
    """Copy by every core, or by the GPU."""
    if not isinstance(source, np.ndarray):
        target[...] = source
        return
    parts = np.array_split(np.arange(source.size), cores())
    cuts = [slice(part[0], part[-1] + 1) for part in parts if part.size]
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda cut: np.copyto(target[cut], source[cut]), cuts))


@dataclass(frozen=True)
class Scenes:
    """What the stages work on."""

    task: PartialTask
    """The partial of a tile and year."""

    stacks: Mapping[str, NDArray[Any]]
    """Stored layers of every date, on the host, as HDF4 keeps them."""

    added: Partial
    """Their sums."""

    run: Path
    """Folder of the run that commits the partial."""

    device: str
    """Where it is calculated."""

    @classmethod
    def made(cls, options: BenchOptions, folder: Path, device: str) -> "Scenes":
        """Write the granules, unless they are there, and read them once."""
        granules = _granules(folder / f"granules-{options.side}", options)
        shelf = Shelf(TILE, YEAR, _window(options.side), {"reflectance": granules})
        season = Season().model_dump(mode="json")
        budget = (memory() or 8 << 30) // 2
        task = PartialTask(
            shelf, Policy(), season, SINUSOIDAL_500M, None, folder, False, budget, device
        )
        read = task.batches("reflectance", shelf.window, [])
        batches = [{name: layer.copy() for name, layer in batch.items()} for batch in read]
        stacks = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
        return cls(task, stacks, task.added("reflectance")[0], folder / "run", device)

    def stages(self) -> Iterator[tuple[str, int, int, Work]]:
        """Name, bytes, pixels times dates, and work of each stage, in the order of a run."""
        xp = home(self.device)
        pixels, stored = self.task.shelf.window.size, sum(x.nbytes for x in self.stacks.values())
        dates = pixels * len(self.stacks["bands"])
        sums = 7 * pixels * 5
        yield "decode", stored, dates, self._decode
        if self.device == "cuda":
            native = [on_device(layer, xp) for layer in self.stacks.values()]
            yield "copy to the GPU", stored, dates, lambda: [xp.asarray(layer) for layer in native]
        held = [xp.asarray(on_device(layer, xp)) for layer in self.stacks.values()]
        yield "mask and add", stored + sums, dates, partial(self._add, held)
        yield "decode, mask and add", stored + sums, dates, lambda: self.task.added("reflectance")
        yield "partial, committed", stored + sums, dates, self._committed
        layers, settings = self._layers(xp), IndicatorSettings(greenness="bands")
        make = partial(epoch_block, layers, settings, 0.0)
        yield "indicators and moments", pixels * (7 * 10 + 5 * 4 + 1), pixels, make
        yield from self._later(xp, make())

    def _later(self, xp: Any, block: Block) -> Iterator[tuple[str, int, int, Work]]:
        """The stages after the indicators."""
        pixels = self.task.shelf.window.size
        how = Projection((0.4, 0.3, -0.5, -0.7), (0.0,) * 4)
        call = partial(project, block.indicators, block.reason, how)
        yield "index", pixels * (4 * 4 + 1 + 4), pixels, call
        rsei0 = call()[0].reshape(-1)
        side = self.task.shelf.window.width
        labels = np.repeat(np.arange(side) * ZONES // side + 1, side).astype(np.int64)
        runs = Runs.of(labels, ZONES).moved(xp.asarray)
        yield "zonal sums", pixels * 4, pixels, lambda: LabelSums.of(rsei0, runs, 16.0)
        times = xp.arange(EPOCHS, dtype=np.float32)
        values = rsei0[None] + xp.sin(times)[:, None] * rsei0[None, ::-1]
        out = xp.empty((3, pixels), np.float32)
        size = pixels * 4 * (EPOCHS + 3)
        yield "trend", size, pixels * EPOCHS, lambda: trend(values, times, 4, out)

    def _decode(self) -> None:
        for _ in self.task.batches("reflectance", self.task.shelf.window, []):
            pass

    def _add(self, held: list[Any]) -> None:
        total = ReflectanceSum(self.task.shelf.window.shape, self.task.policy)
        total.add(*held)

    def _committed(self) -> None:
        shutil.rmtree(self.run, ignore_errors=True)
        carry_out(self.task, Store(self.run))

    def _layers(self, xp: Any) -> Layers:
        """The sums with heat of a rough surface."""
        shape = self.task.shelf.window.shape
        heat = 300 + 3 * rough(max(shape), 2.8, np.random.default_rng(1))
        return Layers(
            inside=xp.ones(shape, bool),
            rasters={"lst": xp.asarray(heat.astype(np.float32))},
            sums=xp.asarray(self.added.sums),
            counts=xp.asarray(self.added.counts),
        )


def _window(side: int) -> Window:
    whole = tile_window(TILE)
    return Window(whole.top, whole.left, side, side)


def _granules(folder: Path, options: BenchOptions) -> tuple[Granule, ...]:
    """The dates of the season; each file stands for several."""
    number = min(FILES, options.dates)
    if not folder.is_dir() or len(list(folder.glob("*.hdf"))) < number:
        scene = stack(options.side, number)
        for t in range(number):
            day = dt.date(YEAR, 6, 2) + dt.timedelta(8 * t)
            layers = dict(zip(BANDS, scene.bands[t])) | {QC: scene.qc[t], STATE: scene.state[t]}
            write_granule(folder, Header("MOD09A1.061", day, _window(options.side)), layers)
    found = catalogue(folder).granules
    return tuple(found[t % number] for t in range(options.dates))


def report(found: Mapping[str, Any], last: Mapping[str, Any] | None = None) -> str:
    """The figures as a table in Markdown; with an earlier run's shares beside its own."""
    machine, options = found["machine"], found["options"]
    gpu = machine["gpus"][0]["name"] if options["device"] == "cuda" else "no GPU used"
    before = {row["stage"]: row["of_copy"] for row in last["stages"]} if last else {}
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {gpu}; rsei "
        f"{found['versions']['rsei']}, {options['side']} x {options['side']} pixels, "
        f"{options['dates']} dates; copy {found['copy_gb_per_s']:.1f} GB/s",
        "",
        "| stage | MB | ms | GB/s | Mpixel-dates/s | of copy |" + (" before |" if last else ""),
        "|---|--:|--:|--:|--:|--:|" + ("--:|" if last else ""),
    ]
    for row in found["stages"]:
        cells = [
            row["stage"],
            f"{row['bytes'] / 1e6:.0f}",
            f"{row['seconds'] * 1e3:.1f}",
            f"{row['gb_per_s']:.2f}",
            f"{row['mpixel_dates_per_s']:.0f}",
            f"{row['of_copy']:.3f}",
        ]
        if last:
            share = before.get(row["stage"])
            cells.append("-" if share is None else f"{share:.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _overlap(found)])


def _overlap(found: Mapping[str, Any]) -> str:
    """How much of the calculation hides behind the decode."""
    taken = {row["stage"]: row["seconds"] for row in found["stages"]}
    decode, both = taken["decode"], taken["decode, mask and add"]
    apart = decode + taken["mask and add"] + taken.get("copy to the GPU", 0.0)
    return (
        f"decode with calculation takes {both / decode:.2f} times decode alone; one after the "
        f"other would take {apart / decode:.2f}"
    )


def slower(found: Mapping[str, Any], last: Mapping[str, Any]) -> list[str]:
    """Stages whose share of the copy rate fell below ``WORSE`` times that of the ``last`` run."""
    before = {row["stage"]: row["of_copy"] for row in last["stages"]}
    return [
        row["stage"]
        for row in found["stages"]
        if row["stage"] in before and row["of_copy"] < WORSE * before[row["stage"]]
    ]


def put(found: Mapping[str, Any], file: Path) -> None:
    """Write the figures for a later run to be compared with."""
    file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def earlier(file: Path) -> dict[str, Any]:
    """The figures that an earlier run wrote; raises StudyError where the file holds none."""
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        {row["stage"]: row["of_copy"] + 0.0 for row in found["stages"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{file}: expected figures that `rsei bench --json` wrote, found {error}"
        ) from error
    return found
