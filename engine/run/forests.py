# SPDX-License-Identifier: Apache-2.0
"""The random forest of each area, and the drivers' ranking over all areas."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..analysis.effects import accumulated_local_effects, partial_dependence
from ..analysis.forest import BLANK, TRAIN, Forest, ForestSettings, Grow, forest, tuning
from ..analysis.gpu_trees import grown_on_gpu
from ..analysis.importance import ranking
from ..analysis.shapley import require_shap, shap_table
from ..analysis.trees import Put, grown
from ..report.tables import TABLES
from ..report.tabular import read
from ..sources.arrays import write_arrays
from ..sources.geotiff import Form, write_cog
from .devices import home
from .driving import table_files, write_tables
from .layers import Ground, grounds
from .store import Draft, Key, Store
from .survey import Survey
from .tasks import need

ALGORITHM = 1
"""Version of the forests: raised when their results change."""

ALE_ROWS, PD_ROWS = 1000, 100
"""Most pixels that effects are asked of: each goes down every tree 40 times a driver, or 21."""

Number = TypeVar("Number", np.float32, np.int64)

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
        """Bytes of the trees, which hold a node and a half for each pixel, and of the map."""
        return self._rows * 12 * self.settings.trees + self.ground.window.size * 12

    @property
    def memory(self) -> int:
        """Bytes of the trees while they grow, of their votes, and of what judges them."""
        return self._rows * self.settings.trees * 150 + self.ground.count * 200 + (1 << 29)

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
        pixels = read(store.folder / f"store/drivers/{self.slug}/drivers.parquet", "drivers")
        pixels = pixels.assign(split=pixels["split"].astype(object).fillna(BLANK))
        grow, engine = _engine(self.device)
        put = home(self.device).asarray
        found = forest(pixels, names, self.settings, area, put, grow)
        complete = pixels[pixels["split"] != BLANK]
        values = complete[list(names)].to_numpy(np.float32)
        predict = partial(found.trees.predict, put=put)
        frames = tables_of(found) | {
            "tuning": self._tuning(pixels, names, grow, put),
            "ale": accumulated_local_effects(predict, spread(values, ALE_ROWS), names),
            "partial_dependence": partial_dependence(predict, spread(values, PD_ROWS), names),
            "shap": self._shap(found, complete),
        }
        write_tables(draft, self, frames, area)
        write_arrays(draft.paths[self.model], found.trees.arrays() | self._origin())
        write_map(draft.paths[self.map], found.maps, self.ground, MAPS)
        draft.payload["engine"] = engine

    def _tuning(
        self, pixels: pd.DataFrame, names: Sequence[str], grow: Grow, put: Put
    ) -> pd.DataFrame:
        """The table of other forests; empty where none are asked for, or none can be judged so."""
        wanted = self.settings.tuning_mtry and self.settings.tuning_trees
        if not wanted or grow is not grown:
            return pd.DataFrame(columns=TABLES["tuning"].names)
        return tuning(pixels, names, self.settings, self.ground.place.area.name, put)

    def _shap(self, found: Forest, complete: pd.DataFrame) -> pd.DataFrame:
        """The table of SHAP values; empty where none are asked for."""
        if not self.settings.shap:
            return pd.DataFrame(columns=TABLES["shap"].names)
        names = list(found.trees.drivers)
        places = spread(np.arange(len(complete)), self.settings.shap)
        learnt = complete.loc[complete["split"] == TRAIN, names].to_numpy(np.float32)
        return shap_table(found.trees, complete.iloc[places], learnt)

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
        "moran": found.moran,
        "predictions": found.maps,
    }


def spread(values: NDArray[Number], most: int) -> NDArray[Number]:
    """At most ``most`` rows, evenly spread over all.

    >>> spread(np.arange(10, dtype=np.float32), 4).tolist()
    [0.0, 3.0, 6.0, 9.0]
    """
    if len(values) <= most:
        return values
    return values[np.rint(np.linspace(0, len(values) - 1, most)).astype(int)]


def write_map(path: Path, pixels: pd.DataFrame, ground: Ground, bands: Sequence[str]) -> None:
    """Write columns of ``pixels``, with x and y, as bands of a COG on the drivers' grid."""
    lattice, window = ground.lattice, ground.window
    columns = np.rint((pixels["x"] - lattice.left) / lattice.dx - 0.5).astype(int) - window.left
    rows = np.rint((lattice.top - pixels["y"]) / lattice.dy - 0.5).astype(int) - window.top
    layers = np.full((len(bands), *window.shape), np.nan, np.float32)
    layers[:, rows, columns] = pixels[list(bands)].to_numpy(np.float32).T
    write_cog(path, layers, lattice, window, Form(tuple(bands), units=("1",) * len(bands)))


def ranked(importance: pd.DataFrame) -> pd.DataFrame:
    """The drivers over all areas of the table ``importance``."""
    parts = {str(area): rows for area, rows in importance.groupby("area")}
    return ranking(parts) if parts else pd.DataFrame(columns=TABLES["ranking"].names)


def forest_tasks(survey: Survey, device: str) -> tuple[ForestTask, ...]:
    """The forest of each area; none where the study asks for none."""
    settings = survey.study.forest
    return tuple(ForestTask(ground, settings, device) for ground in grounds(survey) if settings)
