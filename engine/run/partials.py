# SPDX-License-Identifier: Apache-2.0
"""Stage ``partial``: each granule is read once, into the exact sums of its tile and year."""

import functools
import os
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.composite import GreennessSum, HeatSum, Partial, ReflectanceSum
from ..index.quality import Policy
from ..sources.catalogues import ROLES
from ..sources.errors import GranuleError, told_beside
from ..sources.granules import Granule, read
from ..sources.grids import Lattice, Window
from ..sources.products import BANDS, products
from .blocks import PAGEABLE
from .devices import marked, on_host
from .partialfiles import FILES, write_partial
from .store import Draft, Key, Store
from .streaming import Layout, Stacks, streamed
from .survey import Shelf, Survey
from .tasks import fingerprints

ALGORITHM = 1
"""Version of this stage: raised when its results change."""

BATCH = 4
"""Dates read and added at a time, where there is room: the kernel adds four in one pass."""

LAYERS: Mapping[str, tuple[str, ...]] = {
    "reflectance": (*BANDS, "state", "qc"),
    "greenness": ("ndvi", "vi", "reliability"),
    "heat": ("lst", "lst_qc", "view_time"),
}
"""Layers that are read of each role's product."""

SUMS: Mapping[str, type[Any]] = {
    "reflectance": ReflectanceSum,
    "greenness": GreennessSum,
    "heat": HeatSum,
}
"""What adds the dates of each role."""

PIXEL = {"reflectance": 35, "greenness": 8, "heat": 4}
"""Bytes that a partial holds for a pixel of 500 m, by role."""


@dataclass(frozen=True)
class PartialTask:
    """The sums of one tile and year."""

    shelf: Shelf
    """Its granules, and the window they are cut to."""

    policy: Policy
    """Which observations may be used."""

    season: Mapping[str, Any]
    """First and last day and membership, as JSON values: part of the key."""

    lattice: Lattice
    """The study's grid."""

    coarse: Lattice | None
    """The grid of the heat product."""

    folder: Path
    """The granule folder, to which the names of files are relative."""

    skip: bool
    """Whether a damaged granule is left out; it ends the run otherwise."""

    budget: int
    """Bytes of memory it may take."""

    device: str = "cpu"
    """Where to add: ``cpu`` or ``cuda``."""

    stage = "partial"

    @property
    def name(self) -> str:
        """Tile and year."""
        return f"{self.shelf.tile}/{self.shelf.year}"

    inputs = ()

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of which there are granules."""
        return tuple(role for role in ROLES if role in self.shelf.granules)

    @property
    def files(self) -> tuple[str, ...]:
        """Its rasters, by role."""
        names = (file for role in self.roles for file in FILES[role])
        return tuple(f"store/partials/{self.name}/{file}" for file in names)

    @cached_property
    def read(self) -> int:
        """Bytes of its granules."""
        return sum(path.stat().st_size for path in self.shelf.files if path.exists())

    @property
    def write(self) -> int:
        """Bytes of its sums and counts."""
        return self.shelf.window.size * sum(PIXEL[role] for role in self.roles)

    @property
    def memory(self) -> int:
        """Two batches of stored layers at whole granule size, and the sums."""
        return self._sums + self.batch * self._date

    @property
    def batch(self) -> int:
        """Dates read and added at a time, so that the budget holds."""
        return max(1, min(BATCH, (self.budget - self._sums) // self._date))

    @property
    def _sums(self) -> int:
        return self.shelf.window.size * 2 * PIXEL["reflectance"]

    @property
    def _date(self) -> int:
        """Bytes of a date: while it is read, and while the one before is added."""
        return self.shelf.window.size * 2 * max(stored_bytes(role) for role in self.roles)

    def window(self, role: str) -> Window:
        """The window of the role's own grid; of heat with a margin, so that it can be bent."""
        heat = heat_window(self.shelf.window, self.lattice, self.coarse)
        return heat if role == "heat" and heat else self.shelf.window

    def key(self, store: Store) -> Key:
        """The bytes of the granules, the policy, the season and the window."""
        prints = fingerprints(self.shelf.files, self.folder, store, self._known(store))
        settings = {
            "season": dict(self.season),
            "quality": self.policy.model_dump(mode="json"),
            "window": list(self.shelf.window.__dict__.values()),
            "on_bad_granule": "skip" if self.skip else "error",
        }
        inputs = {name: print_.sha256 for name, print_ in prints.items()}
        return Key(self.stage, self.name, ALGORITHM, settings, inputs)

    def _known(self, store: Store) -> Mapping[str, Any]:
        marker = store.marker(self.stage, self.name)
        found = marker.payload.get("granules", {}) if marker else {}
        return found if isinstance(found, dict) else {}

    def make(self, store: Store, draft: Draft) -> None:
        """Add every date of every role, and write the sums."""
        prints = fingerprints(self.shelf.files, self.folder, store, self._known(store))
        draft.payload |= {
            "granules": {name: print_.__dict__ for name, print_ in prints.items()},
            "observations": {},
            "losses": {},
            "bad": [],
        }
        for role in self.roles:
            with PAGEABLE.lent(SUMS[role].room(self.window(role).shape)) as memory:
                self._make(role, draft, memory)

    def _make(self, role: str, draft: Draft, memory: NDArray[np.uint8]) -> None:
        partial, bad = self.added(role, memory)
        draft.payload["observations"][role] = partial.observations
        draft.payload["losses"][role] = dict(partial.losses)
        draft.payload["bad"] += bad
        paths = [draft.paths[f"store/partials/{self.name}/{file}"] for file in FILES[role]]
        lattice = self.coarse if role == "heat" and self.coarse else self.lattice
        with marked("write"):
            write_partial(paths, partial, lattice, self.window(role))
        if draft.valid_pixels is None:
            draft.valid_pixels = int(np.count_nonzero(partial.counts[0]))

    def added(
        self, role: str, memory: NDArray[np.uint8] | None = None
    ) -> tuple[Partial, list[dict[str, str]]]:
        """The sums of a role's dates, and the granules that were left out.

        Where the cores add, the sums lie in ``memory``, if that is given.
        """
        window = self.window(role)
        total = SUMS[role](window.shape, self.policy, memory)
        bad: list[dict[str, str]] = []
        other = swapped(self.shelf.granules[role])
        with closing(self.batches(role, window, bad, self.device)) as batches:
            for layers in batches:
                if len(layers[0]):
                    with marked("mask and add"):
                        total.add(*layers, other_order=other)
        return on_host(total.partial()), bad

    def batches(
        self, role: str, window: Window, bad: list[dict[str, str]], device: str
    ) -> Generator[list[Any]]:
        """Stacks of up to ``batch`` dates on ``device``, each good until the next is asked for."""
        granules, dates = self.shelf.granules[role], self.batch
        fills = [
            functools.partial(self._stacked, role, granules[i : i + dates], window, bad)
            for i in range(0, len(granules), dates)
        ]
        yield from streamed(fills, layout(role, granules, dates, window), device)

    def _stacked(
        self,
        role: str,
        granules: Sequence[Granule],
        window: Window,
        bad: list[dict[str, str]],
        stacks: Stacks,
    ) -> Stacks:
        def decode(date: int) -> None:
            with marked("decode"):
                read(granules[date], LAYERS[role], window, layers_of(stacks, role, date))

        # Of HDF4, two at a time: when the last layers of one leave a core idle, the next are there.
        # The dates of a NetCDF file lie in common slabs, which two would unpack twice.
        together = 2 if all(granule.sources[0].format == "hdf4" for granule in granules) else 1
        jobs = [_readers(together).submit(decode, date) for date in range(len(granules))]
        wait(jobs)  # all of them: none may write into the stacks once these are left
        good = []
        for date, (job, granule) in enumerate(zip(jobs, granules, strict=True)):
            try:
                job.result()
            except GranuleError as error:
                if not self.skip:
                    raise
                path = granule.files[0]
                reason = told_beside(path, str(error))
                bad.append({"path": os.path.relpath(path, self.folder), "reason": reason})
            else:
                good.append(date)
        for place, date in enumerate(good):
            if place < date:  # in the place of those left out
                for stack in stacks.values():
                    stack[place] = stack[date]
        return {name: stack[: len(good)] for name, stack in stacks.items()}


@cache
def _readers(together: int) -> ThreadPoolExecutor:
    """Threads that decode; kept, because starting them costs as much as a small granule."""
    return ThreadPoolExecutor(together, "granule")


def heat_window(window: Window, lattice: Lattice, coarse: Lattice | None) -> Window | None:
    """The pixels of 1 km that ``window`` needs, with a margin for bilinear resampling."""
    return coarse.covering(window, lattice, margin=1) if coarse else None


def stored_bytes(role: str) -> int:
    """Bytes of one pixel and date of a role's layers, as stored."""
    product = next(one for one in products().values() if one.role == role)
    return sum(np.dtype(product.layer(name).dtype).itemsize for name in LAYERS[role])


def swapped(granules: Sequence[Granule]) -> bool:
    """Whether their bytes are read the other way round, as HDF4 stores them: nothing is swapped."""
    return all(granule.sources[0].format == "hdf4" for granule in granules)


def layout(role: str, granules: Sequence[Granule], dates: int, window: Window) -> Layout:
    """Place for ``dates`` of a role: bands together, words apart, as the sums take them."""
    product, other = products()[granules[0].product], swapped(granules)

    def place(name: str, *between: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
        dtype = np.dtype(product.layer(name).dtype)
        shape = (min(dates, len(granules)), *between, *window.shape)
        return shape, dtype.newbyteorder(">") if other else dtype

    if role == "reflectance":
        return {"bands": place("red", len(BANDS)), "state": place("state"), "qc": place("qc")}
    return {name: place(name) for name in LAYERS[role]}


def layers_of(stacks: Mapping[str, NDArray[Any]], role: str, date: int) -> dict[str, NDArray[Any]]:
    """Where each layer of one date goes."""
    if role != "reflectance":
        return {name: stack[date] for name, stack in stacks.items()}
    bands = {name: stacks["bands"][date, i] for i, name in enumerate(BANDS)}
    return bands | {name: stacks[name][date] for name in ("state", "qc")}


def partial_tasks(survey: Survey, device: str) -> tuple[PartialTask, ...]:
    """The tasks of this stage, by tile and year."""
    study = survey.study
    season = study.granules.calendar.model_dump(mode="json")
    return tuple(
        PartialTask(
            shelf,
            study.quality,
            season,
            survey.lattice,
            survey.coarse,
            study.granules.path,
            study.granules.on_bad_granule == "skip",
            study.compute.block_bytes(device),
            device,
        )
        for shelf in survey.shelves.values()
    )
