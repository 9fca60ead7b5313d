# SPDX-License-Identifier: Apache-2.0
"""Every table of one area, each made when it is asked for."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..analysis.change import Scopes, Trend, changes, contrast, pixel_trends, trends
from ..analysis.densities import densities, peaks
from ..analysis.grades import grades, transitions
from ..analysis.mines import mine_table, size_classes, size_effect
from ..analysis.rings import Rings, breakpoints, ring_fits
from ..analysis.series import latitude_profile, series
from ..analysis.stacks import ALL, Stack, covered_zones, parts_of
from ..report.tables import TABLES
from .outlines import Mines, cover_zones, fields_of, mines_of

if TYPE_CHECKING:
    from .analyses import AreaAnalysis


@dataclass(frozen=True)
class Analysis:
    """Every table of one area, each made when it is asked for."""

    task: "AreaAnalysis"
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
        return parts_of(self.stack, found.shapes if found.inside else None, found.crs)

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
        return transitions(self.stack, pairs, "five") if pairs else empty("transitions")

    @cached_property
    def change(self) -> pd.DataFrame:
        """Differences between epochs, and what of them is scaling anew."""
        settings = self.task.reduction.settings
        scopes = Scopes(settings.normalisation, settings.pca)
        pairs = self._known(self.task.every_pair)
        if not pairs:
            return empty("change")
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
    def _near(self) -> bool:
        """Whether a mine is in the area, or in reach of it."""
        found = self.mines_found
        return bool(found.inside or (len(found.shapes) and (self._rings.labels >= 0).any()))

    @cached_property
    def rings(self) -> pd.DataFrame:
        """RSEI by distance to the mines."""
        return self._rings.table(self.stack) if self._near else empty("rings")

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
        """Least and most metres measured for a metre on the ground; None without mines near."""
        found = self.mines_found
        return found.scale(self.stack, self.task.settings.rings) if self._near else None

    @cached_property
    def mines(self) -> pd.DataFrame:
        """RSEI of each mine."""
        found = self.mines_found
        if not found.inside:
            return empty("mines")
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
        coverage = self.stack.coverage(shapes, crs)
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


def empty(name: str) -> pd.DataFrame:
    """The table ``name`` without a row."""
    return pd.DataFrame(columns=TABLES[name].names)
