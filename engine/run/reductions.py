# SPDX-License-Identifier: Apache-2.0
"""Stage ``reduce``: from moments to limits, components and direction."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.area import EpochPca, area_pca
from ..index.pca import ConstantIndicator, Limits, NothingValid, require_pixels, require_widths
from ..index.rsei import Agreement, project
from ..index.scopes import Group, groups
from ..index.summaries import INDICATORS, Summary
from .areatasks import HISTOGRAMS, AreaTask, exact_percentiles, fields_of_an_area
from .records import pca_record, summary
from .store import Draft, Key, Store
from .survey import Place, Survey
from .tasks import need

ALGORITHM = 1
"""Version of this stage: raised when its results change."""


@dataclass(frozen=True)
class ReduceTask(AreaTask):
    """Limits, components and direction of every epoch of one area."""

    stage = "reduce"
    files = ()
    write = 0

    @property
    def name(self) -> str:
        """The area."""
        return self.slug

    @property
    def inputs(self) -> tuple[str, ...]:
        """The composites of every epoch and part."""
        named = (part.named(epoch) for epoch in self.epochs for part in self.parts)
        return tuple(f"composite {name}" for name in named)

    @property
    def read(self) -> int:
        """Bytes: the rasters are read again only for percentiles and correlations."""
        passes = 2 * (self.settings.percentages is not None) + self._correlated
        return passes * len(self.epochs) * self.place.pixels * 24

    held = HISTOGRAMS

    @property
    def memory(self) -> int:
        """Bytes of a strip of all layers, and of the histograms."""
        return self.strip + self.held

    @property
    def _correlated(self) -> bool:
        return self.settings.reference is not None

    def key(self, store: Store) -> Key:
        """The composites, and how they become one index."""
        inputs = {name: need(store, *name.split(" ", 1)).key for name in self.inputs}
        return Key(self.stage, self.name, ALGORITHM, self.how(), inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Reduce kilobytes; raises as ``reduced``."""
        draft.payload |= self.reduced(store)

    def reduced(self, store: Store) -> dict[str, Any]:
        """The first pass as JSON values; epochs without a usable pixel are left out and named.

        Raises NothingValid or ConstantIndicator where no epoch is left.
        """
        every = {epoch: summary_of(self.place, store, epoch) for epoch in self.epochs}
        lost = self._lost(every)
        kept = {epoch: one for epoch, one in every.items() if epoch not in lost}
        if not kept or self.settings.reference in lost:
            raise lost[self.settings.reference or min(lost)]
        limits = self._percentiles(store, tuple(kept))
        area = self.place.area.name
        args = kept, self.settings, self.tables, limits
        found = area_pca(*args, area=area)
        if self._correlated:
            found = area_pca(*args, correlations=self._correlations(store, found), area=area)
        return {
            "epochs": {
                str(epoch): pca_record(one, area, epoch, self.settings)
                for epoch, one in found.items()
            },
            "lost": {str(epoch): str(error) for epoch, error in lost.items()},
            "warnings": [
                f"epoch {epoch}: {notice}" for epoch, one in found.items() for notice in one.notices
            ],
        }

    def _lost(self, every: Mapping[int, Summary]) -> dict[int, NothingValid | ConstantIndicator]:
        """Epochs whose own pixels cannot be normalised, and why."""
        lost: dict[int, NothingValid | ConstantIndicator] = {}
        for epoch, one in every.items():
            where = f"{self.place.area.name}, epoch {epoch}"
            try:
                require_pixels(one, where)
                if self.settings.normalisation == "epoch":
                    require_widths(Limits(one.minima(), one.maxima()), where)
            except (NothingValid, ConstantIndicator) as error:
                lost[epoch] = error
        return lost

    def _percentiles(
        self, store: Store, epochs: tuple[int, ...]
    ) -> dict[Group, NDArray[np.float64]] | None:
        if self.settings.percentages is None:
            return None
        wanted = {group for group in groups(self.settings, epochs).values() if group}
        return {group: self._percentiles_of(store, group) for group in sorted(wanted)}

    def _percentiles_of(self, store: Store, group: Group) -> NDArray[np.float64]:
        def layers() -> Iterator[tuple[Any, Any]]:
            for epoch in group:
                for _, indicators, reason in self.strips(store, epoch):
                    yield indicators[: len(INDICATORS)], reason

        return exact_percentiles(layers, self.settings.percentages or (0, 100))

    def _correlations(self, store: Store, found: Mapping[int, EpochPca]) -> dict[int, float]:
        """Correlation of each epoch's component, canonical, with the reference epoch's."""
        anchor = self.settings.reference
        if anchor is None or anchor not in found:
            return {}
        return {
            epoch: self._agreement(store, found, epoch, anchor).correlation() for epoch in found
        }

    def _agreement(
        self, store: Store, found: Mapping[int, EpochPca], epoch: int, anchor: int
    ) -> Agreement:
        pairs = zip(self._canonical(store, found, epoch), self._canonical(store, found, anchor))
        parts = [Agreement.of(one, other) for one, other in pairs]
        total = parts[0]
        for part in parts[1:]:
            total += part
        return total

    def _canonical(self, store: Store, found: Mapping[int, EpochPca], epoch: int) -> Iterator[Any]:
        how = replace(found[epoch], sign=1).projection
        for _, indicators, reason in self.strips(store, epoch):
            yield project(indicators, reason, how)[0]


def summary_of(place: Place, store: Store, epoch: int) -> Summary:
    """The pixels of all parts of an area and epoch. Raises Missing where one is not made yet."""
    markers = (need(store, "composite", part.named(epoch)) for part in place.parts)
    return reduce(add, (summary(marker.payload["summary"]) for marker in markers))


def reduce_tasks(survey: Survey, device: str) -> tuple[ReduceTask, ...]:
    """The tasks of stage ``reduce``, by area."""
    return tuple(ReduceTask(**fields_of_an_area(survey, place, device)) for place in survey.places)
