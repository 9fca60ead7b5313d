"""Stage ``analyse``: what the index says of each area, and the tables of the run."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.series import latitude_profile, series
from ..analysis.stacks import Stack, parts_of
from ..report.tables import TABLES
from ..report.tabular import read, write
from ..sources.geotiff import read_geotiff
from ..sources.grids import Lattice
from .results import TABLES_OF_THE_INDEX, frame
from .store import Draft, Key, Store
from .survey import Place, Survey
from .tasks import committed, need

ALGORITHM = 1
"""Version of this stage: raised when its results change."""

TABLES_OF_AN_AREA = ("series", "latitude")
"""Tables that every area gets."""


@dataclass(frozen=True)
class AreaAnalysis:
    """The tables of one area, before those of all areas are put together."""

    place: Place
    """The area."""

    epochs: tuple[int, ...]
    """Every epoch of the study."""

    lattice: Lattice
    """The study's grid."""

    stage = "analyse"

    @property
    def name(self) -> str:
        """The area."""
        return f"areas/{self.place.area.slug}"

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of its tables."""
        return TABLES_OF_AN_AREA

    @property
    def inputs(self) -> tuple[str, ...]:
        """The area's components; an epoch without an index is left out."""
        return (f"reduce {self.place.area.slug}",)

    @property
    def files(self) -> tuple[str, ...]:
        """Its tables, each in a file of its own."""
        return tuple(f"store/{self.name}/{name}.{TABLES[name].suffix}" for name in self.tables)

    @property
    def read(self) -> int:
        """Bytes of the maps."""
        return len(self.epochs) * self.place.window.size * 4

    @property
    def write(self) -> int:
        """Bytes of the tables, which are few."""
        return 0

    @property
    def memory(self) -> int:
        """Bytes of the maps, their mean, and what sorting takes."""
        return (len(self.epochs) + 4) * self.place.window.size * 8

    def key(self, store: Store) -> Key:
        """The maps."""
        maps = {name: need(store, "write", name).key for name in self._maps(store)}
        return Key(self.stage, self.name, ALGORITHM, {"tables": list(self.tables)}, maps)

    def _maps(self, store: Store) -> list[str]:
        slug = self.place.area.slug
        record = need(store, "reduce", slug).payload["epochs"]
        return [f"{slug}/{epoch}" for epoch in self.epochs if str(epoch) in record]

    def make(self, store: Store, draft: Draft) -> None:
        """Read the maps, and write each table."""
        frames = self._frames(self._stack(store))
        for name, path in zip(self.tables, self.files, strict=True):
            write(draft.paths[path], name, frames[name])

    def _stack(self, store: Store) -> Stack:
        layers = [
            read_geotiff(store.folder / "rsei" / f"{name}.tif", self.lattice)[0]
            for name in self._maps(store)
        ]
        epochs = tuple(int(name.rsplit("/", 1)[1]) for name in self._maps(store))
        area = self.place.area.name
        return Stack(area, self.lattice, self.place.window, epochs, np.stack(layers))

    def _frames(self, stack: Stack) -> dict[str, pd.DataFrame]:
        zones = parts_of(stack, None)
        return {"series": series(stack, zones), "latitude": latitude_profile(stack)}


@dataclass(frozen=True)
class Tables:
    """The tables of the run, all areas together."""

    survey: Survey
    """What there is to work on."""

    areas: tuple[AreaAnalysis, ...]
    """The areas' own tables."""

    stage = "analyse"
    name = "tables"
    inputs = ()
    read = 0
    write = 0
    memory = 1 << 28

    @property
    def files(self) -> tuple[str, ...]:
        """Every table."""
        names = (*TABLES_OF_THE_INDEX, *self._names())
        return tuple(TABLES[name].file for name in names)

    def _names(self) -> list[str]:
        return sorted({name for area in self.areas for name in area.tables})

    def key(self, store: Store) -> Key:
        """Everything that is committed."""
        keys = {
            f"{marker.stage} {marker.name}": marker.key
            for stage in ("partial", "composite", "reduce", "project", "write")
            for marker in store.markers(stage)
        }
        done = {area.name: marker.key for area in self.areas if (marker := committed(area, store))}
        days = [[name, day.isoformat(), *rest] for name, day, *rest in self.survey.coverage()]
        return Key(self.stage, self.name, ALGORITHM, {"coverage": days}, keys | done)

    def make(self, store: Store, draft: Draft) -> None:
        """Write the tables of the index, and put those of the areas together."""
        for name in TABLES_OF_THE_INDEX:
            write(draft.paths[TABLES[name].file], name, frame(name, store, self.survey))
        for name in self._names():
            parts = list(self._parts(store, name))
            whole = pd.concat(parts) if parts else pd.DataFrame(columns=TABLES[name].names)
            write(draft.paths[TABLES[name].file], name, whole)

    def _parts(self, store: Store, name: str) -> Iterator[pd.DataFrame]:
        for area in self.areas:
            if name in area.tables and committed(area, store):
                path = f"store/{area.name}/{name}.{TABLES[name].suffix}"
                yield read(store.folder / path, name)


def area_tasks(survey: Survey, device: str) -> tuple[AreaAnalysis, ...]:
    """The analysis of each area."""
    epochs = survey.study.epochs
    return tuple(AreaAnalysis(place, epochs, survey.lattice) for place in survey.places)


def table_tasks(survey: Survey, device: str) -> tuple[Any, ...]:
    """The tables of the run."""
    return (Tables(survey, area_tasks(survey, device)),)
