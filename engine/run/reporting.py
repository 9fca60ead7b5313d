# SPDX-License-Identifier: Apache-2.0
"""Stage ``report``: figures, page, catalogue and README, from what the run has committed."""

import csv
import gc
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..report import figures, guide, stac, stac_index, vectors
from ..report.findings import Findings, sites
from ..report.page import page
from ..report.published import fingerprint
from ..report.rasters import for_a_gis
from ..sources.errors import InputError, StudyError
from .journal import QUARANTINE
from .ledger import ledger
from .orders import Progress
from .store import Draft, Key, Store
from .survey import Survey
from .tasks import Task, need
from .upkeep import RUN, expect_run

ALGORITHM = 2
"""Version of this stage: raised when what it writes changes."""

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

    stage = "report"
    inputs = (TABLES,)
    read = 0
    write = 0
    memory = 1 << 29

    name = ""
    """The artefact within the stage."""

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

    kinds: tuple[str, ...] = figures.KINDS
    """Files of each figure."""

    @property
    def name(self) -> str:  # type: ignore[override]
        """The area."""
        return f"figures/{self.slug}"

    @property
    def files(self) -> tuple[str, ...]:
        """The figure that every area has; which others there are depends on its tables."""
        return tuple(f"figures/{self.slug}/maps.{kind}" for kind in figures.KINDS)

    def make(self, store: Store, draft: Draft) -> None:
        """Draw each figure, and put beside each map what a GIS is to show.

        Raises InputError for an area without any map.
        """
        found = findings(store, whole=False)
        site = next((one for one in found.sites if one.slug == self.slug), None)
        if site is None:
            raise InputError(f"{self.slug}: expected a map of at least one epoch, found none")
        folder = f"figures/{self.slug}"
        with quick_collections():
            names = _put(store, draft, folder, figures.of_an_area(found, site, self.kinds))
        for name, data in for_a_gis(site):
            store.also(draft, name, data)
        withdrawn(store, folder, figures.OF_AN_AREA, names)
        draft.payload["figures"] = sorted(names)


@dataclass(frozen=True)
class RunFiguresTask(ReportTask):
    """The figures of the run as a whole."""

    kinds: tuple[str, ...] = figures.KINDS
    """Files of each figure."""

    name = "figures"
    files = tuple(f"figures/flow.{kind}" for kind in figures.KINDS)
    """The figure that every run has."""

    def make(self, store: Store, draft: Draft) -> None:
        """Draw each figure that the run has reason for."""
        found = findings(store, whole=False)
        with quick_collections():
            names = _put(store, draft, "figures", figures.of_the_run(found, self.kinds))
        withdrawn(store, "figures", figures.OF_THE_RUN, names)
        draft.payload["figures"] = sorted(names)


@dataclass(frozen=True)
class CatalogueTask(ReportTask):
    """The catalogue of the run's rasters, and what it found of places as layers for a GIS."""

    name = "catalogue"
    files = ()

    def make(self, store: Store, draft: Draft) -> None:
        """Describe each raster, and write each layer that there is reason for."""
        found = findings(store, whole=False)
        if found.sites:
            self._catalogue(store, found)
        for name, layer in vectors.files(found):
            if layer is not None:
                store.also(draft, name, layer)
            elif (store.folder / name).is_file():
                store.disk.remove(store.folder / name)

    def _catalogue(self, store: Store, found: Findings) -> None:
        stored = {
            name: stac.Committed(one.sha256, one.size)
            for stage in ("composite", "write")
            for marker in store.markers(stage)
            for name, one in marker.files.items()
        }
        files = stac.catalogue(found, stored)
        files["stac/items.parquet"] = stac_index.index(files)
        store.put_all({store.folder / name: data for name, data in files.items()})


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
        found = findings(store)
        draft.paths[PAGE].write_bytes(page(found))
        draft.paths[README].write_bytes(guide.readme(found))
        draft.payload["areas"] = [site.slug for site in found.sites]


@contextmanager
def quick_collections() -> Iterator[None]:
    """Leave what is there now to itself when Python looks for objects that nobody holds.

    A figure is made of many thousands, so it looks often: among them and all that was imported it
    took a sixth of the time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()  # of the figures alone: later they would be among all the rest, and stay
        gc.unfreeze()


def _put(store: Store, draft: Draft, folder: str, drawings: Iterable[figures.Drawn]) -> set[str]:
    """Write the files of figures, those that the draft awaits to it; names of the figures."""
    names, others = set(), {}
    for drawn in drawings:
        names.add(drawn.sketch.name)
        for kind, data in drawn.files.items():
            name = f"{folder}/{drawn.sketch.name}.{kind}"
            if name in draft.paths:
                draft.paths[name].write_bytes(data)
            else:
                others[store.folder / name] = data
    store.put_all(others)
    return names


def withdrawn(
    store: Store, folder: str, sketches: Sequence[figures.Sketch], kept: set[str]
) -> None:
    """Remove figures of an earlier run that this one has no reason to draw."""
    for sketch in sketches:
        for kind in (*figures.KINDS, figures.PDF) if sketch.name not in kept else ():
            path = store.folder / folder / f"{sketch.name}.{kind}"
            if path.is_file():
                store.disk.remove(path)


def figure_tasks(survey: Survey, device: str) -> tuple[Task, ...]:
    """All that needs no figures: the first wave of the stage."""
    return drawing_tasks([place.area.slug for place in survey.places])


def drawing_tasks(slugs: Sequence[str], kinds: tuple[str, ...] = figures.KINDS) -> tuple[Task, ...]:
    """The figures of each area and of the run, and its catalogue."""
    areas = (FiguresTask(slug, kinds) for slug in slugs)
    return (CatalogueTask(), *areas, RunFiguresTask(kinds))


def page_tasks(survey: Survey, device: str) -> tuple[PageTask, ...]:
    """The page: the second wave, since it shows the figures."""
    return (PageTask(),)


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
    kinds = (*figures.KINDS, figures.PDF) if pdf else figures.KINDS
    tasks = (*drawing_tasks([site.slug for site in found.sites], kinds), PageTask())
    progress.begin("report", len(tasks), 0)
    for task in tasks:
        with store.writing(task.key(store), task.files) as draft:
            task.make(store, draft)
        progress.advance("report", 1, 0)
    return folder / PAGE
