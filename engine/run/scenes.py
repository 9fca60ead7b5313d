# SPDX-License-Identifier: Apache-2.0
"""What the measurement of a machine works on: the stages of a tile and year, each by itself."""

import datetime as dt
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.trend import trend
from ...kernels.zonal import LabelSums, Runs
from ..index.area import Projection
from ..index.composite import Partial, ReflectanceSum
from ..index.indicators import Block, IndicatorSettings, Layers, epoch_block
from ..index.quality import Policy
from ..index.rsei import project
from ..index.season import Season
from ..sources.granules import Granule, catalogue
from ..sources.grids import SINUSOIDAL_500M, Window, tile_window
from ..sources.simulated_granules import Header, write_granule
from ..sources.simulated_stack import rough, stack
from .devices import home
from .machine import memory
from .partials import PartialTask, layout
from .store import Store
from .streaming import Stacks, streamed
from .survey import Shelf
from .tasks import carry_out

TILE, YEAR = "h27v05", 2019

FILES = 4
"""Granules that are simulated; more dates read them again."""

ZONES, EPOCHS = 31, 22
"""Zones of the zonal sums, and layers of the trend: a province, and the study's years."""

BANDS = tuple(f"sur_refl_b0{band}" for band in range(1, 8))
STATE, QC = "sur_refl_state_500m", "sur_refl_qc_500m"

Work = Callable[[], Any]

ON_CORES = "decode, mask and add, on the cores"
"""What a GPU has to be quicker than."""

FROM_HOST = "copy to the GPU", "copy, mask and add"
"""Stages that the way from pinned memory to the GPU bounds."""


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
class Scenes:
    """What the stages work on."""

    task: PartialTask
    """The partial of a tile and year."""

    stacks: Mapping[str, NDArray[Any]]
    """Stored layers of every date, on the host, as HDF4 keeps them."""

    added: Partial
    """Their sums."""

    stored: int
    """Bytes of the granules' files, date by date."""

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
        cores = replace(task, device="cpu")  # the GPU's first go is to be timed
        names = layout("reflectance", granules, task.batch, shelf.window)
        read = cores.batches("reflectance", shelf.window, [], "cpu")
        batches = [[layer.copy() for layer in batch] for batch in read]
        stacks = {
            # Without its type NumPy would turn the bytes, and no run does.
            name: np.concatenate(parts, dtype=parts[0].dtype)
            for name, parts in zip(names, zip(*batches), strict=True)
        }
        added = cores.added("reflectance")[0]
        size = sum(granule.files[0].stat().st_size for granule in granules)
        return cls(task, stacks, added, size, folder / "run", device)

    def stages(self) -> Iterator[tuple[str, int, int, Work]]:
        """Name, bytes, pixels times dates, and work of each stage, in the order of a run."""
        xp = home(self.device)
        pixels, stored = self.task.shelf.window.size, sum(x.nbytes for x in self.stacks.values())
        dates = pixels * len(self.stacks["bands"])
        sums = 7 * pixels * 5
        yield "decode", stored, dates, self._decode
        if self.device == "cuda":
            cores = replace(self.task, device="cpu")
            yield ON_CORES, stored + sums, dates, lambda: cores.added("reflectance")
            copy, copy_and_add = FROM_HOST
            first: dict[int, tuple[int, ...]] = {}
            yield copy, stored, dates, lambda: [None for _ in self._sent(first)]
            then: dict[int, tuple[int, ...]] = {}
            yield copy_and_add, stored, dates, lambda: self._add(self._sent(then))
        held = [xp.asarray(one.view(one.dtype.newbyteorder("="))) for one in self.stacks.values()]
        yield "mask and add", stored + sums, dates, lambda: self._add([held])
        yield "decode, mask and add", stored + sums, dates, lambda: self.task.added("reflectance")
        yield "partial, committed", stored + sums, dates, self._committed
        layers, settings = self._layers(xp), IndicatorSettings(greenness="bands")
        make = partial(epoch_block, layers, settings, 0.0)
        yield "indicators and moments", pixels * (7 * 10 + 5 * 4 + 1), pixels, make
        yield from self._later(xp, make())

    def _sent(self, kept: dict[int, tuple[int, ...]]) -> Iterator[list[Any]]:
        """Every date on its way to the device, as a run sends it, but for the decode.

        ``kept`` says which files a room of pinned memory holds from the last go: to fill it again
        would take longer than to copy it.
        """
        number, together = len(self.stacks["bands"]), self.task.batch
        fills = [
            partial(self._filled, kept, range(first, min(first + together, number)))
            for first in range(0, number, together)
        ]
        forms = {
            name: ((together, *stack.shape[1:]), stack.dtype) for name, stack in self.stacks.items()
        }
        return streamed(fills, forms, self.device)

    def _filled(self, kept: dict[int, tuple[int, ...]], dates: range, room: Stacks) -> Stacks:
        files, place = tuple(date % FILES for date in dates), room["bands"].ctypes.data
        if kept.get(place) != files:
            kept[place] = files
            for name, stack in self.stacks.items():
                room[name][: len(dates)] = stack[dates.start : dates.stop]
        return {name: stack[: len(dates)] for name, stack in room.items()}

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
        for _ in self.task.batches("reflectance", self.task.shelf.window, [], "cpu"):
            pass

    def _add(self, batches: Iterable[list[Any]]) -> ReflectanceSum:
        total = ReflectanceSum(self.task.shelf.window.shape, self.task.policy)
        for layers in batches:
            total.add(*layers, other_order=True)  # as HDF4 keeps them
        return total

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
