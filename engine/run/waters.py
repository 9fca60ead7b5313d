# SPDX-License-Identifier: Apache-2.0
"""The first step of stage ``composite`` where Otsu parts water from land in an area by tiles."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from ..index.indicators import LAYERS, WaterSettings, epoch_block
from ..index.water import WaterHistogram
from ..sources.arrays import read_arrays, write_arrays
from .larder import Larder
from .store import Draft, Key, Store
from .survey import Place
from .tasks import need

if TYPE_CHECKING:
    from .composites import CompositeTask

ALGORITHM = 1
"""Version of this step: raised when its results change."""


@dataclass(frozen=True)
class WaterTask:
    """The pixels of one tile and epoch by their MNDWI: a threshold is of all tiles."""

    composite: "CompositeTask"
    """The composite of the same pixels."""

    budget: int
    """Bytes that a strip may take, of the host's memory and of a GPU's."""

    stage = "composite"

    @property
    def name(self) -> str:
        """Area, epoch and tile."""
        return water_name(self.composite.name)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Its partials."""
        return self.composite.partials

    @property
    def files(self) -> tuple[str, ...]:
        """The histogram."""
        return (f"store/{self.name}.npz",)

    @property
    def read(self) -> int:
        """Bytes of sums and counts."""
        return self.composite.read

    @property
    def write(self) -> int:
        """Bytes of the histogram."""
        return 1 << 19

    @property
    def held(self) -> int:
        """Bytes of what lies on the whole window."""
        return self.composite.held

    @property
    def memory(self) -> int:
        """Bytes while a strip is worked on."""
        return self._cut.memory

    @property
    def _cut(self) -> "CompositeTask":
        """The composite in strips of this budget."""
        return replace(self.composite, budget=self.budget)

    def key(self, store: Store) -> Key:
        """As of the composite, but for the thresholds."""
        settings, inputs = self.composite.made_of(store)
        return Key(self.stage, self.name, ALGORITHM, settings, inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Count."""
        counts = histogram(self._cut, Larder(self.composite, store)).counts
        write_arrays(draft.paths[self.files[0]], {"counts": counts})


def histogram(task: "CompositeTask", larder: Larder) -> WaterHistogram:
    """The pixels of a composite by their MNDWI, in a pass of its own."""
    total: WaterHistogram | None = None
    for strip in task.place.window.strips(task.rows):
        block = epoch_block(larder.stock(strip).layers, task.indicators, None)
        part = WaterHistogram.of(block.indicators[LAYERS.index("mndwi")], block.reason == 0)
        total = total + part if total else part
    if total is None:
        raise RuntimeError(f"{task.name}: expected at least one row of pixels")
    return total


def together(names: Sequence[str], store: Store) -> WaterHistogram:
    """The pixels of all tiles, of the tasks ``names``. Raises Missing where one is not made yet."""
    files = [next(iter(need(store, "composite", name).files)) for name in names]
    return reduce(add, (WaterHistogram(read_arrays(store.folder / f)["counts"]) for f in files))


def waters(place: Place, epoch: int, settings: WaterSettings) -> tuple[str, ...]:
    """The tasks that the threshold of water of an area by tiles is of; none without Otsu."""
    if not place.by_tile or settings.mndwi != "otsu":
        return ()
    return tuple(water_name(part.named(epoch)) for part in place.parts)


def water_name(composite: str) -> str:
    """Name of the task that comes before a composite."""
    return f"water/{composite}"
