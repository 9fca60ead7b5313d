# SPDX-License-Identifier: Apache-2.0
"""Stage ``write``: the maps of the index."""

from dataclasses import dataclass

import numpy as np

from ..index.pca import NothingValid
from ..index.rsei import scaled
from ..sources.geotiff import Form, write_cog
from ..sources.virtual import virtual
from .areatasks import AreaTask, fields_of_an_area
from .devices import on_host
from .projections import ProjectTask, project_tasks
from .store import Draft, Key, Store
from .survey import Place, Survey
from .tasks import Missing, committed, need

ALGORITHM = 1
"""Version of this stage: raised when its results change."""

FORM = Form(("rsei",), units=("1",))
"""What a map of the index holds."""


@dataclass(frozen=True)
class WriteTask(AreaTask):
    """The RSEI of one area and epoch, or of their part in one tile, as a COG."""

    epoch: int
    """The epoch."""

    own: ProjectTask
    """The projection of these pixels."""

    stage = "write"

    @property
    def name(self) -> str:
        """Area and epoch, and the tile of a part."""
        return self.place.named(self.epoch)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The area's components, the epoch's projection, and the scale."""
        return f"reduce {self.slug}", f"project {self.own.name}", f"project {self.slug}/scale"

    @property
    def files(self) -> tuple[str, ...]:
        """The map."""
        return (f"rsei/{self.name}.tif",)

    @property
    def read(self) -> int:
        """Bytes of the indicators."""
        return self.place.pixels * 24

    @property
    def write(self) -> int:
        """Bytes of the map."""
        return self.place.pixels * 4

    @property
    def held(self) -> int:
        """Bytes of the map, thrice as it is packed."""
        return self.place.pixels * 12

    @property
    def memory(self) -> int:
        """Bytes of the map and of a strip."""
        return self.strip + self.held

    def key(self, store: Store) -> Key:
        """The components, the projection and the scale."""
        own = committed(self.own, store)
        if own is None:
            raise Missing(f"project {self.own.name} is not made yet")
        inputs = {f"project {self.own.name}": own.key}
        settings = self.how() | {"epoch": self.epoch, "limits": self._limits(store)}
        return Key(self.stage, self.name, ALGORITHM, settings, inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Project, scale and write."""
        reduced = need(store, "reduce", self.slug).payload
        if str(self.epoch) not in reduced["epochs"]:
            raise NothingValid(reduced["lost"][str(self.epoch)])
        low, high = self._limits(store)
        rows = [on_host(values) for values, _, _ in self.rsei0(store, reduced, self.epoch)]
        index, below, above = scaled(np.concatenate(rows), (low, high))
        place = self.lattice, self.place.window
        write_cog(draft.paths[self.files[0]], index[None], *place, self._form())
        if not self.place.tile:  # an earlier run may have written the area by tiles
            store.disk.remove(store.folder / f"rsei/{self.name}.vrt")
        draft.valid_pixels = int(np.isfinite(index).sum())
        draft.payload |= {"limits": [low, high], "below": below, "above": above}

    def _form(self) -> Form:
        tags = {
            "area": self.place.area.name,
            "epoch": str(self.epoch),
            "normalisation": self.settings.normalisation,
            "pca": self.settings.pca,
            "direction": self.settings.direction,
        }
        return Form(FORM.names, units=FORM.units, tags=tags)

    def _limits(self, store: Store) -> list[float]:
        """RSEI0 that becomes 0 and 1. Raises Missing where the scale lacks the epoch."""
        limits = need(store, "project", f"{self.slug}/scale").payload["limits"]
        if str(self.epoch) not in limits:
            raise Missing(f"the scale of {self.name} is not made yet")
        return list(limits[str(self.epoch)])


@dataclass(frozen=True)
class IndexTask:
    """The maps of one area and epoch, which are a file a tile, as one: a virtual raster."""

    place: Place
    """The area."""

    epoch: int
    """The epoch."""

    maps: tuple[WriteTask, ...]
    """The maps."""

    stage = "write"
    read = 0
    write = 0
    memory = 1 << 20

    @property
    def name(self) -> str:
        """Area and epoch."""
        return self.place.named(self.epoch)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The maps."""
        return tuple(f"write {one.name}" for one in self.maps)

    @property
    def files(self) -> tuple[str, ...]:
        """The virtual raster."""
        return (f"rsei/{self.name}.vrt",)

    def key(self, store: Store) -> Key:
        """The maps and their places."""
        inputs = {one.name: need(store, "write", one.name).key for one in self.maps}
        settings = {one.place.tile: list(one.place.window.__dict__.values()) for one in self.maps}
        return Key(self.stage, self.name, ALGORITHM, settings, inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Write where each map lies."""
        sources = {f"{self.epoch}/{one.place.tile}.tif": one.place.window for one in self.maps}
        text = virtual(sources, self.maps[0].lattice, FORM)
        draft.paths[self.files[0]].write_text(text, encoding="utf-8")
        store.disk.remove(store.folder / f"rsei/{self.name}.tif")  # of a run of the whole area


def write_tasks(survey: Survey, device: str) -> tuple[WriteTask, ...]:
    """The tasks of stage ``write``, by area, epoch and part."""
    every = project_tasks(survey, device)
    own = {(task.slug, task.place.tile, epoch): task for task in every for epoch in task.chosen}
    return tuple(
        WriteTask(
            **fields_of_an_area(survey, part, device),
            epoch=epoch,
            own=own.get((part.area.slug, part.tile, epoch)) or own[part.area.slug, "", epoch],
        )
        for place in survey.places
        for epoch in survey.study.epochs
        for part in place.parts
    )


def index_tasks(survey: Survey, device: str) -> tuple[IndexTask, ...]:
    """The virtual rasters of the areas by tile: the second wave of the stage."""
    maps = write_tasks(survey, device)
    return tuple(
        IndexTask(
            place,
            epoch,
            tuple(m for m in maps if m.slug == place.area.slug and m.epoch == epoch),
        )
        for place in survey.places
        if place.by_tile
        for epoch in survey.study.epochs
    )
