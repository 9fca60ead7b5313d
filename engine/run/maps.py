"""Stage ``write``: the maps of the index."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..index.pca import NothingValid
from ..index.rsei import Projected, final_limits, scaled
from ..index.scopes import Group
from ..sources.geotiff import Form, write_cog
from .areatasks import ROWS, AreaTask, fields_of_an_area
from .devices import on_host
from .projections import ProjectTask, project_tasks
from .records import extremes
from .store import Draft, Key, Store
from .survey import Survey
from .tasks import Missing, committed, need

ALGORITHM = 1
"""Version of this stage: raised when its results change."""


@dataclass(frozen=True)
class WriteTask(AreaTask):
    """The RSEI of one area and epoch, as a COG."""

    epoch: int
    """The epoch."""

    projections: tuple[ProjectTask, ...]
    """The projections of the area: the scale may be of all its epochs."""

    stage = "write"

    @property
    def name(self) -> str:
        """Area and epoch."""
        return f"{self.slug}/{self.epoch}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The area's components, and the epoch's projection."""
        own = [task for task in self.projections if self.epoch in task.chosen]
        return (f"reduce {self.slug}", *(f"project {task.name}" for task in own))

    @property
    def files(self) -> tuple[str, ...]:
        """The map."""
        return (f"rsei/{self.name}.tif",)

    @property
    def read(self) -> int:
        """Bytes of the indicators."""
        return self.window.size * 24

    @property
    def write(self) -> int:
        """Bytes of the map."""
        return self.window.size * 4

    @property
    def memory(self) -> int:
        """Bytes of the map, thrice as it is packed, and of a strip."""
        return self.window.size * 12 + ROWS * self.window.width * 60

    def key(self, store: Store) -> Key:
        """The components, and every projection that the scale is made of."""
        markers = {task.name: committed(task, store) for task in self.projections}
        inputs = {f"project {name}": one.key for name, one in markers.items() if one}
        if not set(self.inputs) <= {f"reduce {self.slug}", *inputs}:
            raise Missing(f"project {self.name} is not made yet")
        settings = self.how() | {"epoch": self.epoch}
        return Key(self.stage, self.name, ALGORITHM, settings, inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Project, scale and write."""
        reduced = need(store, "reduce", self.slug).payload
        if str(self.epoch) not in reduced["epochs"]:
            raise NothingValid(reduced["lost"][str(self.epoch)])
        limits = self._limits(store)
        own = next(task for task in self.projections if self.epoch in task.chosen)
        rows = [on_host(values) for values, _, _ in own.rsei0(store, reduced, self.epoch)]
        index, below, above = scaled(np.concatenate(rows), limits)
        write_cog(draft.paths[self.files[0]], index[None], self.lattice, self.window, self._form())
        draft.valid_pixels = int(np.isfinite(index).sum())
        draft.payload |= {"limits": list(limits), "below": below, "above": above}

    def _form(self) -> Form:
        tags = {
            "area": self.place.area.name,
            "epoch": str(self.epoch),
            "normalisation": self.settings.normalisation,
            "pca": self.settings.pca,
            "direction": self.settings.direction,
        }
        return Form(("rsei",), units=("1",), tags=tags)

    def _limits(self, store: Store) -> tuple[float, float]:
        """RSEI0 that becomes 0 and 1."""
        projected: dict[int, Projected] = {}
        fixed: dict[Group, NDArray[np.float64]] = {}
        for task in self.projections:
            marker = committed(task, store)
            if marker is None:
                continue
            for epoch, one in marker.payload["epochs"].items():
                projected[int(epoch)] = Projected(extremes(one), one["count"])
            for group, low_high in marker.payload["percentiles"]:
                fixed[tuple(group)] = np.array(low_high)
        return final_limits(projected, self.settings, self.tables, fixed)[self.epoch]


def write_tasks(survey: Survey, device: str) -> tuple[WriteTask, ...]:
    """The tasks of stage ``write``, by area and epoch."""
    projections = project_tasks(survey, device)
    return tuple(
        WriteTask(
            **fields_of_an_area(survey, place, device),
            epoch=epoch,
            projections=tuple(task for task in projections if task.place == place),
        )
        for place in survey.places
        for epoch in survey.study.epochs
    )
