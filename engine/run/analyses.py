"""Stage ``analyse``: what the index says of each area, and the tables of the run."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..analysis.change import Scopes, Trend, changes, contrast, difference, pixel_trends, trends
from ..analysis.densities import densities, peaks
from ..analysis.grades import grades, transitions
from ..analysis.mines import mine_table, size_classes, size_effect
from ..analysis.rings import Rings, breakpoints, ring_fits
from ..analysis.series import latitude_profile, series
from ..analysis.stacks import ALL, Stack, covered_zones, parts_of
from ..analysis.zones import Coverage
from ..report.tables import TABLES
from ..report.tabular import read, write
from ..sources.geotiff import Form, read_geotiff, write_cog
from ..sources.grids import Lattice
from .driving import DriverTask, driver_tasks
from .forests import ForestTask, forest_tasks, ranked
from .outlines import Mines, cover_files, cover_zones, fields_of, mines_of
from .projections import ReduceTask, index_under, reduce_tasks
from .results import TABLES_OF_THE_INDEX, frame
from .store import Draft, Key, Store
from .study import AnalysisSettings
from .survey import Place, Survey
from .tasks import committed, fingerprints, need

ALGORITHM = 1
"""Version of this stage: raised when its results change."""

OF_EVERY_AREA = (
    "series",
    "latitude",
    "densities",
    "peaks",
    "grades",
    "transitions",
    "change",
    "trends",
    "pixel_trends",
)
"""Tables that every area gets."""

OF_MINES = (
    "contrast",
    "rings",
    "ring_fits",
    "breakpoints",
    "mines",
    "size_classes",
    "size_effect",
)
"""Tables of an area with mines."""

Frames = dict[str, pd.DataFrame]


@dataclass(frozen=True)
class AreaAnalysis:
    """The tables of one area, before those of all areas are put together, and its change maps."""

    place: Place
    """The area."""

    epochs: tuple[int, ...]
    """Every epoch of the study."""

    settings: AnalysisSettings
    """Widths, reaches and levels."""

    land_cover: str | None
    """Pattern of the land-cover maps that the study names."""

    reduction: ReduceTask
    """How the area's index was made, so that it can be made under the pooled scope."""

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
        mines = OF_MINES if self.place.settings.mines else ()
        zones = ("zones",) if self.place.settings.zones else ()
        cover = ("land_cover",) if self.land_cover else ()
        return (*OF_EVERY_AREA, *mines, *zones, *cover)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The area's components; an epoch without an index is left out."""
        return (f"reduce {self.place.area.slug}",)

    @property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Epochs that are compared: each with the next, and the first with the last."""
        every = sorted(self.epochs)
        return tuple(sorted({*pairwise(every), *([(every[0], every[-1])] if every[1:] else [])}))

    @property
    def every_pair(self) -> tuple[tuple[int, int], ...]:
        """Any two epochs, the earlier first."""
        return tuple(combinations(sorted(self.epochs), 2))

    @property
    def maps(self) -> dict[str, str]:
        """Rasters it writes, by what they show."""
        slug = self.place.area.slug
        found = {f"{a}-{b}": f"change/{slug}/{a}-{b}.tif" for a, b in self.pairs}
        return found | {"trend": f"trends/{slug}.tif"}

    @property
    def files(self) -> tuple[str, ...]:
        """Its tables, each in a file of its own, and its maps."""
        tables = (f"store/{self.name}/{name}.{TABLES[name].suffix}" for name in self.tables)
        return (*tables, *self.maps.values())

    @property
    def read(self) -> int:
        """Bytes of the maps."""
        return len(self.epochs) * self.place.window.size * 4

    @property
    def write(self) -> int:
        """Bytes of the change maps; the tables are few."""
        return self.place.window.size * 4 * (len(self.pairs) + 4)

    @property
    def memory(self) -> int:
        """Bytes of the maps under two scopes, their mean, and what sorting takes."""
        return (2 * len(self.epochs) + 6) * self.place.window.size * 8

    def key(self, store: Store) -> Key:
        """The maps, the polygons and the settings."""
        inputs = {name: need(store, "write", name).key for name in self._index(store)}
        outlines = self._outlines()
        if outlines:
            prints = fingerprints(sorted(set(outlines)), outlines[0].parent, store, {})
            inputs |= {name: one.sha256 for name, one in prints.items()}
        settings = self.settings.model_dump(mode="json") | {"tables": list(self.tables)}
        return Key(self.stage, self.name, ALGORITHM, settings, inputs)

    def _outlines(self) -> list[Path]:
        named = (self.place.settings.mines, self.place.settings.zones)
        covers = () if self.land_cover is None else cover_files(self.land_cover, self.epochs)
        return [*(path for path in named if path), *covers]

    def _index(self, store: Store) -> list[str]:
        """The area's epochs that have an index, as names of the stage ``write``."""
        slug = self.place.area.slug
        record = need(store, "reduce", slug).payload["epochs"]
        return [f"{slug}/{epoch}" for epoch in sorted(self.epochs) if str(epoch) in record]

    def make(self, store: Store, draft: Draft) -> None:
        """Read the maps, and write each table and the maps of change."""
        stack = self._stack(store)
        analysis = Analysis(self, stack, self._pooled(store))
        for name in self.tables:
            path = draft.paths[f"store/{self.name}/{name}.{TABLES[name].suffix}"]
            write(path, name, getattr(analysis, name)[TABLES[name].names])
        self._write_maps(draft, stack, analysis.trend)
        if self.place.settings.mines:
            draft.payload["warnings"] = list(analysis.mines_found.warnings)
        draft.payload["ring_scale"] = analysis.ring_scale

    def _stack(self, store: Store) -> Stack:
        names = self._index(store)
        paths = [store.folder / "rsei" / f"{name}.tif" for name in names]
        layers = [read_geotiff(path, self.lattice)[0] for path in paths]
        epochs = tuple(int(name.rsplit("/", 1)[1]) for name in names)
        return Stack(
            self.place.area.name, self.lattice, self.place.window, epochs, np.stack(layers)
        )

    def _pooled(self, store: Store) -> Stack | None:
        """The same under the pooled scope; None where the study's own scope is no other."""
        if self.reduction.settings.normalisation != "epoch" or len(self.epochs) < 2:
            return None
        found = index_under(self.reduction, store, "pooled")
        epochs = tuple(sorted(found))
        area = self.place.area.name
        layers = np.stack([found[epoch] for epoch in epochs])
        return Stack(area, self.lattice, self.place.window, epochs, layers)

    def _write_maps(self, draft: Draft, stack: Stack, trend: Trend) -> None:
        place = self.lattice, self.place.window
        for earlier, later in self.pairs:
            path = draft.paths[self.maps[f"{earlier}-{later}"]]
            known = earlier in stack.epochs and later in stack.epochs
            nothing = np.full(self.place.window.shape, np.nan, np.float32)
            layer = difference(stack, earlier, later) if known else nothing
            write_cog(path, layer[None], *place, Form(("difference",), units=("1",)))
        layers = [trend.slope, trend.score, trend.p, trend.q()]
        form = Form(("slope", "score", "p", "q"), units=("1/year", "1", "1", "1"))
        write_cog(
            draft.paths[self.maps["trend"]], np.stack(layers).astype(np.float32), *place, form
        )


@dataclass(frozen=True)
class Analysis:
    """Every table of one area, each made when it is asked for."""

    task: AreaAnalysis
    """What was asked."""

    stack: Stack
    """RSEI of the area through time."""

    pooled: Stack | None
    """The same under the pooled scope."""

    @cached_property
    def mines_found(self) -> Mines:
        """The mines; none where the area has no layer of them."""
        return mines_of(self.task.place)

    @cached_property
    def zones_(self) -> tuple[Any, ...]:
        """The area, its mines and the rest."""
        found = self.mines_found
        return parts_of(self.stack, found.shapes if len(found.shapes) else None, found.crs)

    def _known(self, pairs: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """The pairs of which both epochs have an index."""
        return [pair for pair in pairs if set(pair) <= set(self.stack.epochs)]

    @cached_property
    def series(self) -> pd.DataFrame:
        """Statistics by zone and epoch."""
        return series(self.stack, self.zones_)

    @cached_property
    def latitude(self) -> pd.DataFrame:
        """Profile by latitude."""
        found = self.mines_found
        width = self.task.settings.latitude_width
        return latitude_profile(self.stack, found.inside_shapes, found.crs, width)

    @cached_property
    def densities(self) -> pd.DataFrame:
        """Distribution by zone and epoch."""
        return densities(self.stack, self.zones_)

    @cached_property
    def peaks(self) -> pd.DataFrame:
        """Peaks of the distributions."""
        return peaks(self.stack, self.zones_)

    @cached_property
    def grades(self) -> pd.DataFrame:
        """Grades by zone and epoch."""
        return grades(self.stack, self.zones_)

    @cached_property
    def transitions(self) -> pd.DataFrame:
        """Grades of one epoch by those of another."""
        pairs = self._known(self.task.every_pair)
        return transitions(self.stack, pairs, "five") if pairs else _empty("transitions")

    @cached_property
    def change(self) -> pd.DataFrame:
        """Differences between epochs, and what of them is scaling anew."""
        settings = self.task.reduction.settings
        scopes = Scopes(settings.normalisation, settings.pca)
        pairs = self._known(self.task.every_pair)
        if not pairs:
            return _empty("change")
        return changes(self.stack, self.zones_, pairs, scopes, self.pooled)

    @cached_property
    def trends(self) -> pd.DataFrame:
        """Trends of the zones' means."""
        return trends(self.series)

    @cached_property
    def trend(self) -> Trend:
        """Trend of each pixel."""
        return Trend.of(self.stack)

    @cached_property
    def pixel_trends(self) -> pd.DataFrame:
        """Trends of the pixels, summed up by zone."""
        return pixel_trends(self.stack, self.zones_, self.trend, self.task.settings.alpha)

    @cached_property
    def contrast(self) -> pd.DataFrame:
        """Mines against the area and the rest."""
        return contrast(self.series)

    @cached_property
    def _rings(self) -> Rings:
        found = self.mines_found
        return Rings.of(self.stack, found.shapes, found.crs, self.task.settings.rings)

    @cached_property
    def rings(self) -> pd.DataFrame:
        """RSEI by distance to the mines."""
        return self._rings.table(self.stack)

    @cached_property
    def ring_fits(self) -> pd.DataFrame:
        """Its local regression."""
        return ring_fits(self.rings, self.task.settings.rings.span)

    @cached_property
    def breakpoints(self) -> pd.DataFrame:
        """Where its rise stops."""
        return breakpoints(self.ring_fits)

    @property
    def ring_scale(self) -> list[float] | None:
        """Least and most metres measured for a metre on the ground."""
        return self.mines_found.scale(self.stack, self.task.settings.rings)

    @cached_property
    def mines(self) -> pd.DataFrame:
        """RSEI of each mine."""
        found = self.mines_found
        return mine_table(self.stack, found.inside_shapes, found.crs, found.inside)

    @cached_property
    def size_classes(self) -> pd.DataFrame:
        """Boxes of the mines by size."""
        return size_classes(self.mines)

    @cached_property
    def size_effect(self) -> pd.DataFrame:
        """How the RSEI of a mine goes with its size."""
        return size_effect(self.mines)

    @cached_property
    def zones(self) -> pd.DataFrame:
        """Statistics of the user's own zones; one without a pixel keeps its rows and the reason."""
        shapes, names, crs = fields_of(self.task.place)
        coverage = Coverage.of(shapes, crs, self.stack.lattice, self.stack.window)
        table = series(self.stack, covered_zones(names, coverage))
        reasons = dict(zip(names, coverage.reasons, strict=True))
        return table.assign(reason=table["zone"].map(reasons).replace("", None))

    @cached_property
    def land_cover(self) -> pd.DataFrame:
        """Statistics of each land-cover class, of each epoch's own map."""
        tables = [
            series(self._only(epoch), cover_zones(self.task.land_cover or "", epoch, self.stack))
            for epoch in self.stack.epochs
        ]
        table = pd.concat(tables).rename(columns={"zone": "class"})
        return table[table["epoch"] != ALL]

    def _only(self, epoch: int) -> Stack:
        """The stack of one epoch."""
        return replace(self.stack, epochs=(epoch,), rsei=self.stack.at(epoch)[None])


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=TABLES[name].names)


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
    memory = 1 << 28

    @property
    def files(self) -> tuple[str, ...]:
        """Every table."""
        names = (*TABLES_OF_THE_INDEX, *self._names())
        return tuple(TABLES[name].file for name in names)

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
            ranks = name == "ranking"
            whole = ranked(self._whole(store, "importance")) if ranks else self._whole(store, name)
            write(draft.paths[TABLES[name].file], name, whole)

    def _whole(self, store: Store, name: str) -> pd.DataFrame:
        """A table of all areas."""
        parts = [part for part in self._of_areas(store, name) if len(part)]
        return pd.concat(parts) if parts else _empty(name)

    def _of_areas(self, store: Store, name: str) -> Iterator[pd.DataFrame]:
        for part in self.parts:
            if name in part.tables and committed(part, store):
                path = f"store/{part.name}/{name}.{TABLES[name].suffix}"
                yield read(store.folder / path, name)


def area_tasks(survey: Survey, device: str) -> tuple[AreaAnalysis, ...]:
    """The analysis of each area."""
    study = survey.study
    reductions: Mapping[Place, ReduceTask] = {
        task.place: task for task in reduce_tasks(survey, device)
    }
    return tuple(
        AreaAnalysis(
            place,
            study.epochs,
            study.analysis,
            study.water.land_cover.raster if study.water.land_cover else None,
            reductions[place],
            survey.lattice,
        )
        for place in survey.places
    )


def table_tasks(survey: Survey, device: str) -> tuple[Any, ...]:
    """The tables of the run."""
    makers = (area_tasks, driver_tasks, forest_tasks)
    return (Tables(survey, tuple(task for make in makers for task in make(survey, device))),)
