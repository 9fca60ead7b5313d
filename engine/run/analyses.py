# SPDX-License-Identifier: Apache-2.0
"""Stage ``analyse``: what the index says of each area, and the tables of the run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from ..analysis.change import Trend, difference
from ..analysis.stacks import Stack
from ..report.tables import TABLES
from ..report.tabular import write
from ..sources.geotiff import Form, write_cog
from ..sources.grids import Lattice
from ..sources.virtual import virtual
from .areatables import Analysis
from .gathered import Layer, gathered, gathered_under_pooled
from .outlines import cover_files
from .reductions import ReduceTask, reduce_tasks
from .store import Draft, Key, Store
from .study import AnalysisSettings
from .survey import Place, Survey
from .tasks import fingerprints, need

ALGORITHM = 2
"""Version of this stage: raised when its results change."""

PIXEL = 120
"""Bytes of a valid pixel beside its index at each epoch: mean, trend, place, area, sorting. Of two
million pixels with mines 92 were measured at most, in the tables of trends; 36 in the rings."""

PACKED = 48
"""Bytes of a pixel of a tile while its map of trends is packed, or its epochs are read."""

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

    budget: int
    """Bytes that a strip under the pooled scope may take, on the host and on a GPU."""

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
        """Rasters it writes, without an ending, by what they show."""
        slug = self.place.area.slug
        found = {f"{a}-{b}": f"change/{slug}/{a}-{b}" for a, b in self.pairs}
        return found | {"trend": f"trends/{slug}"}

    @property
    def files(self) -> tuple[str, ...]:
        """Its tables, each in a file of its own, and its maps."""
        tables = (f"store/{self.name}/{name}.{TABLES[name].suffix}" for name in self.tables)
        rasters = (self._path(name, part) for name in self.maps for part in self.place.parts)
        index = (f"{base}.vrt" for base in self.maps.values() if self.place.by_tile)
        return (*tables, *rasters, *index)

    @property
    def read(self) -> int:
        """Bytes of the maps."""
        return len(self.epochs) * self.place.pixels * 4

    @property
    def write(self) -> int:
        """Bytes of the change maps; the tables are few."""
        return self.place.pixels * 4 * (len(self.pairs) + 4)

    @property
    def held(self) -> int:
        """Bytes of the maps under two scopes, and what sorting and places of pixels take."""
        largest = max(part.window.size for part in self.place.parts)
        return self.place.count(self.lattice) * (8 * len(self.epochs) + PIXEL) + largest * PACKED

    @property
    def memory(self) -> int:
        """Bytes of the maps and of a strip."""
        return self.held + self._cut.strip

    @property
    def _cut(self) -> ReduceTask:
        """The reduction in strips of this budget."""
        return replace(self.reduction, budget=self.budget)

    def key(self, store: Store) -> Key:
        """The maps, the polygons and the settings."""
        names = [part.named(epoch) for epoch in self._known(store) for part in self.place.parts]
        inputs = {name: need(store, "write", name).key for name in names}
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

    def _known(self, store: Store) -> list[int]:
        """The epochs that have an index."""
        record = need(store, "reduce", self.place.area.slug).payload["epochs"]
        return [epoch for epoch in sorted(self.epochs) if str(epoch) in record]

    def make(self, store: Store, draft: Draft) -> None:
        """Read the maps, and write each table and the maps of change."""
        stack = gathered(self.place, self.lattice, self._known(store), store)
        analysis = Analysis(self, stack, self._pooled(store, stack))
        for name in self.tables:
            path = draft.paths[f"store/{self.name}/{name}.{TABLES[name].suffix}"]
            write(path, name, getattr(analysis, name)[TABLES[name].names])
        self._write_maps(draft, stack, analysis.trend)
        if self.place.settings.mines:
            draft.payload["warnings"] = list(analysis.mines_found.warnings)
        draft.payload["ring_scale"] = analysis.ring_scale

    def _pooled(self, store: Store, stack: Stack) -> Stack | None:
        """The same under the pooled scope; None where the study's own scope is no other."""
        if self.reduction.settings.normalisation != "epoch" or len(self.epochs) < 2:
            return None
        return gathered_under_pooled(self._cut, store, stack)

    def _write_maps(self, draft: Draft, stack: Stack, trend: Trend) -> None:
        for earlier, later in self.pairs:
            known = earlier in stack.epochs and later in stack.epochs
            nothing = np.full(stack.shape, np.nan, np.float32)
            layer = difference(stack, earlier, later) if known else nothing
            tags = self._tags() | {"from_epoch": str(earlier), "to_epoch": str(later)}
            form = Form(("difference",), units=("1",), tags=tags)
            self._write_map(draft, f"{earlier}-{later}", [layer], form, stack)
        layers = [trend.slope, trend.score, trend.p, trend.q().astype(np.float32)]
        tags = self._tags() | {"epochs": " ".join(map(str, stack.epochs))}
        form = Form(("slope", "score", "p", "q"), units=("1/year", "1", "1", "1"), tags=tags)
        self._write_map(draft, "trend", layers, form, stack)

    def _tags(self) -> dict[str, str]:
        """Whose map it is, and the scope that its values have a meaning in."""
        settings = self.reduction.settings
        scope = {"normalisation": settings.normalisation, "pca": settings.pca}
        return {"area": self.place.area.name, **scope}

    def _write_map(
        self, draft: Draft, name: str, layers: Sequence[Layer], form: Form, stack: Stack
    ) -> None:
        """Write a map of some layers, a file a part; and the index of the parts."""
        for part in self.place.parts:
            bands = np.stack([stack.raster(layer, part.window) for layer in layers])
            path = draft.paths[self._path(name, part)]
            write_cog(path, bands, self.lattice, part.window, form)
        if self.place.by_tile:
            base = self.maps[name]
            folder = base.rsplit("/", 1)[1]
            sources = {f"{folder}/{part.tile}.tif": part.window for part in self.place.parts}
            text = virtual(sources, self.lattice, form)
            draft.paths[f"{base}.vrt"].write_text(text, encoding="utf-8")

    def _path(self, name: str, part: Place) -> str:
        return self.maps[name] + (f"/{part.tile}" if part.tile else "") + ".tif"


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
            reductions[place].budget,
        )
        for place in survey.places
    )
