# SPDX-License-Identifier: Apache-2.0
"""The random forest of each area, and the drivers' ranking over all areas."""

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..analysis.drivers import DRIVERS
from ..analysis.effects import accumulated_local_effects, partial_dependence
from ..analysis.forest import BLANK, TRAIN, VALID, Forest, ForestSettings, Grow, forest, tuning
from ..analysis.gpu_trees import grown_on_gpu
from ..analysis.importance import least_room, ranking
from ..analysis.shapley import require_shap, shap_table
from ..analysis.trees import Put, grown
from ..report.pixels import PixelTable
from ..report.tables import TABLES
from ..report.tabular import read_parts, write_parts
from ..sources.arrays import write_arrays
from .canvas import COLUMN, PACKING, alike, write_map
from .devices import Way
from .driving import table_files, write_tables
from .layers import PROGRAM, Ground, grounds
from .store import Draft, Key, Store
from .survey import Survey
from .tasks import need

ALGORITHM = 2
"""Version of the forests: raised when their results change."""

ALE_ROWS, PD_ROWS = 1000, 100
"""Most pixels that effects are asked of: each goes down every tree 40 times a driver, or 21."""

WALKED = 1 << 29
"""Most bytes of rows and trees that are walked at a time: more would save nothing."""

MAPS = ("predicted", "residual", "in_sample")
"""Bands of a forest's map."""


@dataclass(frozen=True)
class ForestTask:
    """The forest of one area: its tables, its map, and itself for later use."""

    ground: Ground
    """Where."""

    settings: ForestSettings
    """How it is grown."""

    device: str
    """Where to grow it: ``cpu`` or ``cuda``."""

    budget: int = WALKED
    """Bytes of rows and trees that are walked at a time, of a GPU's memory or the host's."""

    stage = "analyse"
    tables = (
        "forest",
        "importance",
        "stability",
        "bias",
        "block_cv",
        "moran",
        "tuning",
        "ale",
        "partial_dependence",
        "shap",
        "predictions",
    )

    @property
    def slug(self) -> str:
        """The area in paths."""
        return self.ground.place.area.slug

    @property
    def name(self) -> str:
        """The area."""
        return f"forests/{self.slug}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The table of its pixels."""
        return (f"analyse drivers/{self.slug}",)

    @property
    def model(self) -> str:
        """Path, in the run folder, of the saved forest."""
        return f"forests/{self.slug}.npz"

    @property
    def map(self) -> str:
        """Path, in the run folder, of what it predicts."""
        return f"forests/{self.slug}.tif"

    @property
    def files(self) -> tuple[str, ...]:
        """Its tables, each in a file of its own, the forest and its map."""
        return (*table_files(self.name, self.tables), self.model, self.map)

    @property
    def read(self) -> int:
        """Bytes of the table."""
        return self.ground.window.size * 8 * 14

    @property
    def write(self) -> int:
        """Bytes of the trees, a node and a half for each pixel, and of the map, which is copied."""
        return self._rows * 12 * self.settings.trees + self.ground.window.size * 24

    @property
    def held(self) -> int:
        """Bytes of the trees while they grow, of their votes and what judges them; of the map some
        columns, however many it has."""
        columns = self.ground.window.height * COLUMN + PACKING
        return self._rows * (self.settings.trees * 150 + 200) + columns

    @property
    def memory(self) -> int:
        """Bytes of all that, of what is walked at a time, and of the program."""
        return self.held + self.budget + PROGRAM

    @property
    def least(self) -> int:
        """Bytes that a GPU has to have at a time; none where there is none."""
        return least_room(self._rows, len(DRIVERS)) if self.device == "cuda" else 0

    @property
    def _rows(self) -> int:
        """Most pixels that the trees may see."""
        return min(self.ground.count, self.settings.sample or self.ground.count)

    def key(self, store: Store) -> Key:
        """The table and the settings."""
        table = need(store, *self.inputs[0].split(" ", 1))
        settings = self.settings.model_dump(mode="json")
        return Key(self.stage, self.name, ALGORITHM, settings, {"drivers": table.key})

    def make(self, store: Store, draft: Draft) -> None:
        """Grow the forest and judge it.

        Raises InputError for too few pixels, MachineError for SHAP values without their library.
        """
        if self.settings.shap:
            require_shap()
        area = self.ground.place.area.name
        names = tuple(need(store, "analyse", f"drivers/{self.slug}").payload["drivers"])
        path = store.folder / f"store/drivers/{self.slug}/drivers.parquet"
        drawn, complete = sampled(parts_of(path))
        grow, engine = _engine(self.device)
        put = Way(self.device, self.budget)
        found = forest(drawn, names, self.settings, area, put, grow)
        some = Examples.among(complete, (ALE_ROWS, PD_ROWS, self.settings.shap))
        told = PixelTable(draft.paths[f"store/{self.name}/predictions.parquet"])
        rows = found.maps(some.seen(parts_of(path)), put)
        tables = (one.assign(area=area)[TABLES["predictions"].names] for one in rows)
        write_parts(told.path, "predictions", tables)
        predict = partial(found.trees.predict, put=put)
        many, few = (some.at(most)[[*names]].to_numpy(np.float32) for most in (ALE_ROWS, PD_ROWS))
        frames = tables_of(found) | {
            "moran": pd.DataFrame([alike(self.ground, told, "residual").row("residual")]),
            "tuning": self._tuning(drawn, names, grow, put),
            "ale": accumulated_local_effects(predict, many, names),
            "partial_dependence": partial_dependence(predict, few, names),
            "shap": self._shap(found, some, drawn),
        }
        write_tables(draft, self, frames, area)
        write_arrays(draft.paths[self.model], found.trees.arrays() | self._origin())
        write_map(draft.paths[self.map], self.ground, told, MAPS)
        draft.payload["engine"] = engine

    def _tuning(
        self, pixels: pd.DataFrame, names: Sequence[str], grow: Grow, put: Put
    ) -> pd.DataFrame:
        """The table of other forests; empty where none are asked for, or none can be judged so."""
        wanted = self.settings.tuning_mtry and self.settings.tuning_trees
        if not wanted or grow is not grown:
            return pd.DataFrame(columns=TABLES["tuning"].names)
        return tuning(pixels, names, self.settings, self.ground.place.area.name, put)

    def _shap(self, found: Forest, some: "Examples", drawn: pd.DataFrame) -> pd.DataFrame:
        """The table of SHAP values; empty where none are asked for."""
        if not self.settings.shap:
            return pd.DataFrame(columns=TABLES["shap"].names)
        names = list(found.trees.drivers)
        learnt = drawn.loc[drawn["split"] == TRAIN, names].to_numpy(np.float32)
        return shap_table(found.trees, some.at(self.settings.shap), learnt)

    def _origin(self) -> dict[str, NDArray[Any]]:
        """What a saved forest says of where it grew."""
        settings = self.ground.settings
        said = {"area": self.ground.place.area.name, "year": settings.year, "crs": settings.crs}
        said["resolution"] = settings.resolution
        return {name: np.array(value) for name, value in said.items()}


def _engine(device: str) -> tuple[Grow, str]:
    """What grows the trees, and its name: cuML on a GPU where it is installed."""
    if device == "cuda" and importlib.util.find_spec("cuml") is not None:
        return grown_on_gpu, "cuml"
    return grown, "scikit-learn"


def tables_of(found: Forest) -> dict[str, pd.DataFrame]:
    """The tables that come with a forest, by name, without the area."""
    return {
        "forest": found.scores,
        "importance": found.importance,
        "stability": found.stability,
        "bias": found.bias,
        "block_cv": found.block_cv,
    }


def parts_of(path: Path) -> Iterator[pd.DataFrame]:
    """The table of pixels in ``path``, part by part, its ``split`` in words throughout."""
    for part in read_parts(path, "drivers"):
        yield part.assign(split=part["split"].astype(object).fillna(BLANK))


def sampled(parts: Iterable[pd.DataFrame]) -> tuple[pd.DataFrame, int]:
    """The rows that train or validate, and how many are complete."""
    drawn, complete = [], 0
    for part in parts:
        drawn.append(part[part["split"].isin((TRAIN, VALID))])
        complete += int((part["split"] != BLANK).sum())
    return pd.concat(drawn, ignore_index=True), complete


@dataclass(frozen=True)
class Examples:
    """Some complete rows of a table, evenly spread over all."""

    complete: int
    """Number of complete rows."""

    wanted: NDArray[np.int64]
    """Which of them, rising."""

    kept: list[pd.DataFrame]
    """Those that have been seen."""

    @classmethod
    def among(cls, complete: int, most: Iterable[int]) -> Self:
        """Room for as many rows as are asked for at a time, of each number in ``most``."""
        every = np.concatenate([spread(complete, one) for one in most])
        return cls(complete, np.unique(every), [])

    def seen(self, parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Hand on the parts of the table, once their rows that are wanted are kept."""
        first = 0
        for part in parts:
            rows = part[part["split"] != BLANK]
            ends = np.searchsorted(self.wanted, [first, first + len(rows)])
            self.kept.append(rows.iloc[self.wanted[slice(*ends)] - first])
            first += len(rows)
            yield part

    def at(self, most: int) -> pd.DataFrame:
        """At most ``most`` rows."""
        found = pd.concat(self.kept, ignore_index=True)
        return found.iloc[np.searchsorted(self.wanted, spread(self.complete, most))]


def spread(count: int, most: int) -> NDArray[np.int64]:
    """At most ``most`` of ``count`` rows, evenly spread over all.

    >>> spread(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.rint(np.linspace(0, count - 1, min(most, count))).astype(np.int64)


def ranked(importance: pd.DataFrame) -> pd.DataFrame:
    """The drivers over all areas of the table ``importance``."""
    parts = {str(area): rows for area, rows in importance.groupby("area")}
    return ranking(parts) if parts else pd.DataFrame(columns=TABLES["ranking"].names)


def forest_tasks(survey: Survey, device: str) -> tuple[ForestTask, ...]:
    """The forest of each area; none where the study asks for none."""
    study = survey.study
    room = min(WALKED, study.compute.block_bytes(device) // 2)
    if study.forest is None:
        return ()
    return tuple(ForestTask(ground, study.forest, device, room) for ground in grounds(survey))
