# SPDX-License-Identifier: Apache-2.0
"""A saved forest on the pixels of another area or year."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..analysis.forest import applied
from ..analysis.trees import Trees
from ..analysis.validation import Scores
from ..report.tables import TABLES
from ..report.tabular import read, write
from ..sources.areas import slug
from ..sources.arrays import read_arrays
from ..sources.errors import InputError, StudyError
from .forests import write_map
from .layers import grounds
from .pipeline import recorded
from .reading import load
from .study import Study
from .survey import survey


@dataclass(frozen=True)
class Origin:
    """A saved forest, and where it grew."""

    trees: Trees
    """The forest."""

    area: str
    """Area whose pixels it learnt from."""

    year: int
    """Their epoch."""

    crs: str
    """CRS of their grid."""

    resolution: float
    """Size of them, m."""


@dataclass(frozen=True)
class Application:
    """What came of a forest in one area."""

    area: str
    """The area."""

    scores: Scores
    """Agreement with the area's own RSEI."""

    blank: int
    """Pixels without a prediction, for want of a driver."""

    table: Path
    """Its predictions."""

    map: Path
    """Their map: a COG with bands predicted and residual."""


def saved(run: Path, area: str | None) -> Origin:
    """The forest of an area of the run in ``run``; of its only one where no area is named.

    Raises StudyError where the run has none of that area, InputError where it is damaged.
    """
    known = {path.stem: path for path in sorted((run / "forests").glob("*.npz"))}
    wanted = slug(area) if area else next(iter(known), "")
    if wanted not in known or (area is None and len(known) > 1):
        names = ", ".join(known) or "none; run a study with a section [forest] first"
        asked = f"a forest of {area!r}" if area else "one forest, or --area that names one"
        raise StudyError(f"{run}: expected {asked}, found {names}")
    arrays = read_arrays(known[wanted])
    if missing := {"area", "year", "crs", "resolution"} - set(arrays):
        found = f"none of {', '.join(sorted(missing))}"
        raise InputError(
            f"{known[wanted]}: expected a forest that says where it grew, found {found}"
        )
    try:
        origin = str(arrays["area"]), int(arrays["year"]), str(arrays["crs"])
        return Origin(Trees.of_arrays(arrays), *origin, float(arrays["resolution"]))
    except (InputError, TypeError, ValueError) as error:
        raise InputError(f"{known[wanted]}: {error}; run the study again") from error


def target(place: Path) -> Study:
    """The study of a study file, or of a run folder. Raises StudyError for neither."""
    return recorded(place) if place.is_dir() else load(place)


def apply(origin: Origin, study: Study, folder: Path) -> tuple[Application, ...]:
    """Predict every area of ``study``, whose run has made its drivers, and write into ``folder``.

    Raises StudyError where the study has no drivers, others than the forest's pixels, or has not
    been run.
    """
    if study.drivers is None:
        raise StudyError(f"{study.file}: expected a section [drivers], found none")
    if study.drivers.resolution != origin.resolution:
        raise StudyError(
            f"{study.file}: expected drivers.resolution = {origin.resolution:g} as the forest of "
            f"{origin.area} learnt, found {study.drivers.resolution:g}"
        )
    path = study.study.out / TABLES["drivers"].file
    if not path.is_file():
        raise StudyError(f"{path}: expected the drivers' table, found none; run {study.file} first")
    pixels = read(path, "drivers")
    every = []
    for ground in grounds(survey(study)):
        area = ground.place.area
        rows = pixels[pixels["area"] == area.name]
        if rows.empty:
            raise InputError(f"{path}: expected pixels of {area.name}, found none; run it again")
        _require_drivers(origin.trees, rows, area.name)
        found = predictions(origin.trees, rows)
        table, map_ = folder / f"{area.slug}.parquet", folder / f"{area.slug}.tif"
        folder.mkdir(parents=True, exist_ok=True)
        write(table, "predictions", found)
        write_map(map_, found, ground, ("predicted", "residual"))
        observed, predicted = (_numbers(one) for one in (rows["rsei"], found["predicted"]))
        blank = int(np.isnan(predicted).sum())
        scores = Scores.of(observed, predicted)
        every.append(Application(area.name, scores, blank, table, map_))
    return tuple(every)


def _require_drivers(trees: Trees, rows: pd.DataFrame, area: str) -> None:
    """Raises InputError for drivers of the forest of which the area has nothing."""
    lacking = [name for name in trees.drivers if rows[name].isna().all()]
    if lacking:
        raise InputError(
            f"{area}: expected the forest's drivers {', '.join(trees.drivers)}, found no value of "
            f"{', '.join(lacking)}; give them in [drivers.layers], and area.mines"
        )


def predictions(trees: Trees, rows: pd.DataFrame) -> pd.DataFrame:
    """The table ``predictions`` of pixels that the forest has not learnt from."""
    found = applied(trees, rows)
    columns: dict[str, Any] = {
        "area": rows["area"],
        "residual": rows["rsei"] - found["predicted"],
        "in_sample": np.nan,
    }
    return found.assign(**columns)[TABLES["predictions"].names]


def _numbers(column: "pd.Series[Any]") -> NDArray[np.float64]:
    return column.to_numpy(np.float64)
