# SPDX-License-Identifier: Apache-2.0
"""Stage ``report``: figures, page, catalogue and README, from what the run has committed."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..report.findings import Findings, sites
from ..report.kinds import KINDS, PDF
from ..report.published import fingerprint
from ..sources.errors import StudyError
from .journal import QUARANTINE
from .ledger import ledger
from .orders import Progress
from .store import Draft, Key, Store
from .survey import Place, Survey
from .tasks import Task, need
from .upkeep import RUN, expect_run

ALGORITHM = 3
"""Version of this stage: raised when what it writes changes."""

DRAWING = 1 << 29
"""Bytes of the program with what draws figures."""

PIXEL = 24
"""Bytes of a pixel of a map: its values twice, where it lies, and its places on the picture."""

DRIVEN = 3 << 27
"""Bytes of figures of drivers, of however many pixels: Parquet, groups of rows, and pictures."""

PAGE, README = "report.html", "README.md"
"""What a reader opens first."""

TABLES = "analyse tables"
"""The tables of the run, of which every figure is made."""


def findings(store: Store, whole: bool = True) -> Findings:
    """What the run in the store's folder has found so far.

    Without ``whole`` its record is as the run has begun it: figures of an area need no more, and a
    country has thousands of markers to read.
    Raises StudyError where the folder holds no run.
    """
    expect_run(store)
    record = ledger(store)
    if record is None:
        raise StudyError(f"{store.folder}: expected {RUN}, found none; run the study again")
    versions = {"versions": record["versions"] or dict(store.versions)}
    record = {**record, **versions, **(_committed(store, record) if whole else {})}
    base = (store.folder / (record["study_file"] or "study.toml")).parent
    return Findings(store.folder, record, sites(store.folder, record["settings"], base))


def _committed(store: Store, record: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says only at the end of a run: granules, warnings and those left out."""
    granules: dict[str, Any] = {}
    said, left = list(record["warnings"]), dict(_quarantined(store))
    for marker in store.markers():
        said += [f"{marker.name}: {one}" for one in marker.payload.get("warnings", ())]
        left |= {bad["path"]: bad["reason"] for bad in marker.payload.get("bad", ())}
        if marker.stage == "partial":
            granules |= {
                name: {"size": one["size"], "sha256": one["sha256"]}
                for name, one in marker.payload["granules"].items()
            }
    return {
        "granules": granules,
        "warnings": list(dict.fromkeys(said)),
        "quarantined": sorted(left.items()),
    }


def _quarantined(store: Store) -> Iterator[tuple[str, str]]:
    data = store.disk.read(store.folder / QUARANTINE)
    rows = csv.reader(io.StringIO((data or b"").decode(), newline=""))
    next(rows, None)
    yield from ((row[0], row[1]) for row in rows if len(row) == 2)


@dataclass(frozen=True)
class ReportTask:
    """What the tasks of this stage share: they read results, and write what can be drawn again."""

    pixels: int = field(default=0, kw_only=True)
    """Of the largest raster of the index that is read whole."""

    stage = "report"
    inputs = (TABLES,)
    read = 0
    write = 0

    name = ""
    """The artefact within the stage."""

    @property
    def memory(self) -> int:
        """Bytes of the program, and of a map while it is brought to where it is seen."""
        return DRAWING + self.pixels * PIXEL

    def key(self, store: Store) -> Key:
        """The tables, whose key names everything the run has committed before; its settings."""
        keys = {TABLES: need(store, *TABLES.split(" ", 1)).key}
        settings = (ledger(store) or {}).get("settings", {})
        return Key(self.stage, self.name, ALGORITHM, {"study": _digestible(settings)}, keys)


def _digestible(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that show in a report: not where or with how much memory it ran."""
    return {name: part for name, part in settings.items() if name != "compute"}


@dataclass(frozen=True)
class FiguresTask(ReportTask):
    """The figures of one area."""

    slug: str
    """The area in paths."""

    kinds: tuple[str, ...] = KINDS
    """Files of each figure."""

    driven: bool = False
    """Whether its drivers are drawn."""

    @property
    def memory(self) -> int:
        """Bytes of the maps, and of groups of rows of the drivers' tables, drawn before some."""
        return super().memory + self.driven * DRIVEN

    @property
    def name(self) -> str:  # type: ignore[override]
        """The area."""
        return f"figures/{self.slug}"

    @property
    def files(self) -> tuple[str, ...]:
        """The figure that every area has; which others there are depends on its tables."""
        return tuple(f"figures/{self.slug}/maps.{kind}" for kind in KINDS)

    def make(self, store: Store, draft: Draft) -> None:
        """Draw each figure, and put beside each map what a GIS is to show.

        Raises InputError for an area without any map.
        """
        from . import drawings  # takes a second, and 30 MB, that no other stage needs

        drawings.draw_area(self.slug, self.kinds, store, draft)


@dataclass(frozen=True)
class RunFiguresTask(ReportTask):
    """The figures of the run as a whole."""

    kinds: tuple[str, ...] = KINDS
    """Files of each figure."""

    name = "figures"
    files = tuple(f"figures/flow.{kind}" for kind in KINDS)
    """The figure that every run has."""

    def make(self, store: Store, draft: Draft) -> None:
        """Draw each figure that the run has reason for."""
        from . import drawings

        drawings.draw_run(self.kinds, store, draft)


@dataclass(frozen=True)
class CatalogueTask(ReportTask):
    """The catalogue of the run's rasters, and what it found of places as layers for a GIS."""

    name = "catalogue"
    files = ()

    def make(self, store: Store, draft: Draft) -> None:
        """Describe each raster, and write each layer that there is reason for."""
        from . import drawings

        drawings.describe(store, draft)


@dataclass(frozen=True)
class PageTask(ReportTask):
    """The page, and the README."""

    name = "page"
    files = (PAGE, README)

    def key(self, store: Store) -> Key:
        """As for figures, and the figures themselves."""
        own = super().key(store)
        drawn = {f"report {m.name}": m.key for m in store.markers("report") if m.name != self.name}
        record = ledger(store)
        drawn["published"] = fingerprint(store.folder, record) if record else ""
        return Key(own.stage, own.name, own.algorithm, own.settings, {**own.inputs, **drawn})

    def make(self, store: Store, draft: Draft) -> None:
        """Write both, with whatever figures there are."""
        from . import drawings

        drawings.write_page(store, draft)


def figure_tasks(survey: Survey, device: str) -> tuple[Task, ...]:
    """All that needs no figures: the first wave of the stage."""
    driven = survey.study.drivers is not None
    areas = (
        FiguresTask(place.area.slug, driven=driven, pixels=_largest([place]))
        for place in survey.places
    )
    return (CatalogueTask(), *areas, RunFiguresTask(pixels=_largest(survey.places)))


def drawing_tasks(slugs: Sequence[str], kinds: tuple[str, ...] = KINDS) -> tuple[Task, ...]:
    """The figures of each area and of the run, and its catalogue."""
    areas = (FiguresTask(slug, kinds) for slug in slugs)
    return (CatalogueTask(), *areas, RunFiguresTask(kinds))


def page_tasks(survey: Survey, device: str) -> tuple[PageTask, ...]:
    """The page: the second wave, since it shows the figures."""
    return (PageTask(pixels=_largest(survey.places)),)


def _largest(places: Sequence[Place]) -> int:
    """Pixels of the largest raster of some areas, one of all or one a tile."""
    return max((part.window.size for place in places for part in place.parts), default=0)


def report(folder: Path, progress: Progress, pdf: bool = False) -> Path:
    """Draw the figures of the run in ``folder`` again, and write its page; returns the page.

    With ``pdf`` each figure is drawn as PDF, too.
    Needs neither granules nor the study file; outlines that are gone are left out.
    Raises StudyError where the folder holds no run, or one without tables.
    """
    store = Store(folder)
    found = findings(store)
    if store.marker(*TABLES.split(" ", 1)) is None:
        raise StudyError(f"{folder}: expected the tables of a run, found none; run the study first")
    kinds = (*KINDS, PDF) if pdf else KINDS
    tasks = (*drawing_tasks([site.slug for site in found.sites], kinds), PageTask())
    progress.begin("report", len(tasks), 0)
    for task in tasks:
        with store.writing(task.key(store), task.files) as draft:
            task.make(store, draft)
        progress.advance("report", 1, 0)
    return folder / PAGE
