"""Stage ``analyse``: what the index says of each area, and the tables of the run."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from ..analysis.change import Trend, difference
from ..analysis.stacks import Stack
from ..report.tables import TABLES
from ..report.tabular import write
from ..sources.geotiff import Form, read_geotiff, write_cog
from ..sources.grids import Lattice
from .areatables import Analysis
from .outlines import cover_files
from .projections import index_under
from .reductions import ReduceTask, reduce_tasks
from .store import Draft, Key, Store
from .study import AnalysisSettings
from .survey import Place, Survey
from .tasks import fingerprints, need

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
