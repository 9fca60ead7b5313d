# SPDX-License-Identifier: Apache-2.0
"""The tables of a run: those of the index, and those of the areas put together."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..report.tables import TABLES
from ..report.tabular import read, read_parts, write, write_parts
from .analyses import AreaAnalysis, area_tasks
from .areatables import empty
from .driving import DriverTask, driver_tasks
from .forests import ForestTask, forest_tasks, ranked
from .layers import PROGRAM
from .results import TABLES_OF_THE_INDEX, frame
from .store import Draft, Key, Store
from .survey import Survey
from .tasks import committed

ALGORITHM = 1
"""Version of this stage: raised when its results change."""


@dataclass(frozen=True)
class Tables:
    """The tables of the run, all areas together."""

    survey: Survey
    """What there is to work on."""

    parts: tuple[AreaAnalysis | DriverTask | ForestTask, ...]
    """The areas' own tables."""

    stage = "analyse"
    name = "tables"
    inputs = ()
    read = 0
    write = 0

    @property
    def files(self) -> tuple[str, ...]:
        """Every table."""
        names = (*TABLES_OF_THE_INDEX, *self._names())
        return tuple(TABLES[name].file for name in names)

    @property
    def memory(self) -> int:
        """Bytes of small tables; with drivers those of the program and groups of their rows, too.

        Of 20 million pixels 570 MiB were measured, and no more would be of others.
        """
        return PROGRAM if any(isinstance(part, DriverTask) for part in self.parts) else 1 << 28

    def _names(self) -> list[str]:
        names = {name for part in self.parts for name in part.tables}
        return sorted(names | ({"ranking"} if "importance" in names else set()))

    def key(self, store: Store) -> Key:
        """Everything that is committed."""
        keys = {
            f"{marker.stage} {marker.name}": marker.key
            for stage in ("partial", "composite", "reduce", "project", "write")
            for marker in store.markers(stage)
        }
        done = {part.name: marker.key for part in self.parts if (marker := committed(part, store))}
        days = [[name, day.isoformat(), *rest] for name, day, *rest in self.survey.coverage()]
        return Key(self.stage, self.name, ALGORITHM, {"coverage": days}, keys | done)

    def make(self, store: Store, draft: Draft) -> None:
        """Write the tables of the index, and put those of the areas together."""
        for name in TABLES_OF_THE_INDEX:
            write(draft.paths[TABLES[name].file], name, frame(name, store, self.survey))
        for name in self._names():
            if TABLES[name].suffix == "parquet":
                write_parts(draft.paths[TABLES[name].file], name, self._rows(store, name))
                continue
            ranks = name == "ranking"
            whole = ranked(self._whole(store, "importance")) if ranks else self._whole(store, name)
            write(draft.paths[TABLES[name].file], name, whole)

    def _whole(self, store: Store, name: str) -> pd.DataFrame:
        """A table of all areas."""
        parts = [part for part in self._of_areas(store, name) if len(part)]
        return pd.concat(parts) if parts else empty(name)

    def _of_areas(self, store: Store, name: str) -> Iterator[pd.DataFrame]:
        for path in self._files(store, name):
            yield read(path, name)

    def _rows(self, store: Store, name: str) -> Iterator[pd.DataFrame]:
        """The rows of a table of pixels, which may be too large to hold, area by area."""
        for path in self._files(store, name):
            yield from read_parts(path, name)

    def _files(self, store: Store, name: str) -> Iterator[Path]:
        """The files of a table, in the order of the areas' names."""
        for part in sorted(self.parts, key=_area_of):
            if name in part.tables and committed(part, store):
                yield store.folder / f"store/{part.name}/{name}.{TABLES[name].suffix}"


def _area_of(part: AreaAnalysis | DriverTask | ForestTask) -> str:
    """Name of the area that the tables are of."""
    place = part.place if isinstance(part, AreaAnalysis) else part.ground.place
    return place.area.name


def table_tasks(survey: Survey, device: str) -> tuple[Any, ...]:
    """The tables of the run."""
    makers = (area_tasks, driver_tasks, forest_tasks)
    tasks = tuple(task for make in makers for task in make(survey, device))
    return (Tables(survey.on_paper(), tasks),)
