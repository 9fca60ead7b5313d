# SPDX-License-Identifier: Apache-2.0
"""A saved forest on the pixels of another area or year."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.forest import applied
from ..analysis.trees import Trees
from ..analysis.validation import Errors, Scores
from ..report.pixels import PixelTable
from ..report.tables import TABLES
from ..report.tabular import read_parts, write_parts
from ..sources.areas import slug
from ..sources.arrays import read_arrays
from ..sources.errors import InputError, StudyError
from .canvas import write_map
from .layers import Ground, grounds
from .pipeline import recorded
from .reading import load
from .store import Store
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
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(study.study.out)
    return tuple(_applied(origin, path, ground, folder) for ground in grounds(survey(study, store)))


def _applied(origin: Origin, path: Path, ground: Ground, folder: Path) -> Application:
    """Predict one area, whose pixels are among those in ``path``."""
    area = ground.place.area
    _require_drivers(origin.trees, path, area.name)
    errors, blank = Errors(), 0

    def made() -> Iterator[pd.DataFrame]:
        nonlocal blank
        for rows in _pixels(path, area.name):
            found = predictions(origin.trees, rows)
            guess = found["predicted"].to_numpy(np.float64)
            errors.add(rows["rsei"].to_numpy(np.float64), guess)
            blank += int(np.isnan(guess).sum())
            yield found

    table, map_ = folder / f"{area.slug}.parquet", folder / f"{area.slug}.tif"
    write_parts(table, "predictions", made())
    write_map(map_, ground, PixelTable(table), ("predicted", "residual"))
    return Application(area.name, errors.scores, blank, table, map_)


def _pixels(path: Path, area: str) -> Iterator[pd.DataFrame]:
    """The rows of one area of the table of drivers in ``path``, part by part."""
    for part in read_parts(path, "drivers"):
        rows = part[part["area"] == area]
        if len(rows):
            yield rows


def _require_drivers(trees: Trees, path: Path, area: str) -> None:
    """Raises InputError without any pixel, or for drivers of which the area has nothing."""
    found = [rows[list(trees.drivers)].notna().any() for rows in _pixels(path, area)]
    if not found:
        raise InputError(f"{path}: expected pixels of {area}, found none; run it again")
    known = pd.concat(found, axis=1).any(axis=1)
    lacking = [name for name in trees.drivers if not known[name]]
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
