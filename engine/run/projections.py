# SPDX-License-Identifier: Apache-2.0
"""Stage ``project``: what the final scale of an index is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.pca import NothingValid
from ..index.rsei import Projected, final_limits, scaled
from ..index.scopes import Group, Scope, final_groups
from .areatasks import HISTOGRAMS, AreaTask, exact_percentiles, fields_of_an_area
from .devices import on_host
from .records import pixels_record
from .reductions import ReduceTask
from .store import Draft, Key, Store
from .survey import Place, Survey
from .tasks import need

ALGORITHM = 1
"""Version of this stage: raised when its results change."""


@dataclass(frozen=True)
class ProjectTask(AreaTask):
    """What the final scale of some epochs is made of: one of them, or all for percentiles."""

    chosen: tuple[int, ...]
    """The epochs it projects."""

    stage = "project"
    files = ()
    write = 0

    @property
    def name(self) -> str:
        """Area, and epoch or ``all``; and the tile of a part."""
        return self.place.named(self.chosen[0] if len(self.chosen) == 1 else "all")

    @property
    def inputs(self) -> tuple[str, ...]:
        """The area's components."""
        return (f"reduce {self.slug}",)

    @property
    def read(self) -> int:
        """Bytes of the indicators; three times for percentiles."""
        passes = 1 if self.settings.percentages is None else 3
        return passes * len(self.chosen) * self.place.pixels * 24

    held = HISTOGRAMS

    @property
    def memory(self) -> int:
        """Bytes of a strip, and of the histograms."""
        return self.strip + self.held

    def key(self, store: Store) -> Key:
        """The components."""
        inputs = {self.inputs[0]: need(store, "reduce", self.slug).key}
        settings = {"epochs": list(self.chosen)}
        return Key(self.stage, self.name, ALGORITHM, settings, inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Project every pixel, and keep the extremes and the percentiles.

        Raises NothingValid for the only epoch, where it has no usable pixel.
        """
        reduced = need(store, "reduce", self.slug).payload
        kept = [epoch for epoch in self.chosen if str(epoch) in reduced["epochs"]]
        if not kept:
            raise NothingValid(reduced["lost"][str(self.chosen[0])])
        found = {epoch: self.projected(store, reduced, epoch) for epoch in kept}
        draft.payload["epochs"] = {
            str(epoch): pixels_record(one.extremes) | {"count": one.count}
            for epoch, one in found.items()
        }
        draft.payload["percentiles"] = [
            [list(group), low_high.tolist()]
            for group, low_high in self.percentiles(store, reduced, kept).items()
        ]

    def projected(self, store: Store, reduced: Mapping[str, Any], epoch: int) -> Projected:
        """What the scale of one epoch is made of."""
        total: Projected | None = None
        for _, _, part in self.rsei0(store, reduced, epoch):
            total = total + part if total else part
        if total is None:
            raise RuntimeError("expected at least one strip")
        return total

    def percentiles(
        self, store: Store, reduced: Mapping[str, Any], kept: list[int]
    ) -> dict[Group, NDArray[np.float64]]:
        """The percentiles that the settings ask for, of each group of epochs; none otherwise."""
        if self.settings.percentages is None:
            return {}
        wanted = {group for group in final_groups(self.settings, kept, self.tables).values()}
        found = {}
        for group in sorted(group for group in wanted if group):

            def layers(group: Group = group) -> Iterator[tuple[Any, Any]]:
                for epoch in group:
                    for values, reason, _ in self.rsei0(store, reduced, epoch):
                        yield values[None], reason

            found[group] = exact_percentiles(layers, self.settings.percentages)
        return found


def index_under(
    task: ReduceTask, store: Store, scope: Scope
) -> Iterator[tuple[int, Place, NDArray[np.float32]]]:
    """Epoch, part and RSEI, (h, w), of an area, had limits and components another scope.

    In memory, from the committed indicators: for comparison only, nothing is written.
    """
    settings = task.settings.model_copy(update={"normalisation": scope, "pca": scope})
    reduced = replace(task, settings=settings).reduced(store)
    kept = [int(epoch) for epoch in reduced["epochs"]]
    shared = {field.name: getattr(task, field.name) for field in fields(AreaTask)}
    one = ProjectTask(**shared | {"settings": settings}, chosen=tuple(kept))
    projected = {epoch: one.projected(store, reduced, epoch) for epoch in kept}
    fixed = one.percentiles(store, reduced, kept)
    limits = final_limits(projected, settings, task.tables, fixed)
    for epoch in kept:
        for part in one.parts:
            alone = replace(one, place=part)
            rows = [on_host(values) for values, _, _ in alone.rsei0(store, reduced, epoch)]
            yield epoch, part, scaled(np.concatenate(rows), limits[epoch])[0]


def project_tasks(survey: Survey, device: str) -> tuple[ProjectTask, ...]:
    """The tasks of stage ``project``: by area, epoch and part; by area for percentiles."""
    epochs = survey.study.epochs
    together = survey.study.rsei.percentages is not None
    return tuple(
        ProjectTask(**fields_of_an_area(survey, part, device), chosen=group)
        for place in survey.places
        for group in ([epochs] if together else [(epoch,) for epoch in epochs])
        for part in ((place,) if together else place.parts)
    )
