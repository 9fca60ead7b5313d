# SPDX-License-Identifier: Apache-2.0
"""The last step of stage ``project``: what becomes 0 and 1 in each epoch of an area."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from ..index.rsei import Projected, final_limits
from ..index.scopes import Group
from .areatasks import AreaTask, fields_of_an_area
from .projections import ProjectTask, project_tasks
from .records import extremes, pixels_record
from .store import Draft, Key, Marker, Store
from .survey import Survey
from .tasks import committed, need

ALGORITHM = 1
"""Version of this step: raised when its results change."""


@dataclass(frozen=True)
class ScaleTask(AreaTask):
    """The final scale of every epoch of one area: the scale may be of all its epochs and tiles."""

    projections: tuple[ProjectTask, ...]
    """The projections of the area."""

    stage = "project"
    files = ()
    read = 0
    write = 0
    memory = 1 << 26

    @property
    def name(self) -> str:
        """The area, and ``scale``, which tells shares that one run makes it of all of theirs."""
        return f"{self.slug}/scale"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The area's components: an epoch without a projection is left out."""
        return (f"reduce {self.slug}",)

    def _made(self, store: Store) -> Iterator[tuple[str, Marker]]:
        """The projections that there are."""
        for task in self.projections:
            if marker := committed(task, store):
                yield task.name, marker

    def key(self, store: Store) -> Key:
        """The components, and every projection."""
        inputs = {f"project {name}": marker.key for name, marker in self._made(store)}
        inputs[self.inputs[0]] = need(store, "reduce", self.slug).key
        return Key(self.stage, self.name, ALGORITHM, self.how(), inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Put the extremes of all parts together."""
        parts: dict[int, list[Projected]] = {}
        fixed: dict[Group, NDArray[np.float64]] = {}
        for _, marker in self._made(store):
            for epoch, one in marker.payload["epochs"].items():
                parts.setdefault(int(epoch), []).append(Projected(extremes(one), one["count"]))
            for group, low_high in marker.payload["percentiles"]:
                fixed[tuple(group)] = np.array(low_high)
        projected = {epoch: reduce(add, found) for epoch, found in sorted(parts.items())}
        limits = final_limits(projected, self.settings, self.tables, fixed)
        draft.payload["limits"] = {str(epoch): list(pair) for epoch, pair in limits.items()}
        draft.payload["extremes"] = {
            str(epoch): pixels_record(one.extremes) for epoch, one in projected.items()
        }


def scale_tasks(survey: Survey, device: str) -> tuple[ScaleTask, ...]:
    """The final scale of each area: the second wave of the stage."""
    every = project_tasks(survey, device)
    return tuple(
        ScaleTask(
            **fields_of_an_area(survey, place, device),
            projections=tuple(task for task in every if task.slug == place.area.slug),
        )
        for place in survey.places
    )
