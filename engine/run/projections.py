"""Stages ``reduce``, ``project`` and ``write``: from moments to components, scales and maps."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.area import EpochPca, Projection, area_pca
from ..index.limits import Detail, Histogram, percentiles
from ..index.pca import ConstantIndicator, Limits, NothingValid, require_pixels, require_widths
from ..index.rsei import Agreement, Projected, RseiSettings, final_limits, project, scaled
from ..index.scopes import FixedTables, Group, Scope, final_groups, groups
from ..index.summaries import INDICATORS, Summary
from ..sources.fixed import numbers
from ..sources.geotiff import Form, read_geotiff, write_cog
from ..sources.grids import Lattice, Window
from .devices import home, on_host
from .records import extremes, pca_record, pixels_record, summary
from .store import Draft, Key, Store
from .survey import Place, Survey
from .tasks import Missing, committed, need

ALGORITHM = {"reduce": 1, "project": 1, "write": 1}
"""Versions of the stages: raised when their results change."""

ROWS = 512
"""Rows of an indicators file taken at a time."""


@dataclass(frozen=True)
class AreaTask:
    """What the three stages share: one area, and how its index is made."""

    place: Place
    """The area."""

    epochs: tuple[int, ...]
    """Every epoch of the study."""

    settings: RseiSettings
    """How four indicators become one."""

    tables: FixedTables
    """The tables of scope ``fixed``."""

    lattice: Lattice
    """The study's grid."""

    device: str
    """Where to calculate: ``cpu`` or ``cuda``."""

    @property
    def slug(self) -> str:
        """The area in paths."""
        return self.place.area.slug

    @property
    def window(self) -> Window:
        """The area's rectangle."""
        return self.place.window

    def how(self) -> dict[str, Any]:
        """The settings as they enter a key: a table by its numbers, not by its path."""
        written = self.settings.model_dump(mode="json", exclude={"limits_table", "loadings_table"})
        limits = {name: list(pair) for name, pair in self.tables.limits.items()}
        return written | {"limits_table": limits, "loadings_table": dict(self.tables.loadings)}

    def strips(
        self, store: Store, epoch: int
    ) -> Iterator[tuple[Window, NDArray[np.float32], NDArray[np.uint8]]]:
        """Indicators, (5, h, w), and reason, (h, w), 0 where valid, of an epoch, from the top."""
        path = store.folder / "indicators" / self.slug / f"{epoch}.tif"
        xp = home(self.device)
        for strip in self.window.strips(ROWS):
            layers = read_geotiff(path, self.lattice, strip)
            reason = (layers[-1] != 1).astype(np.uint8)
            yield strip, xp.asarray(np.ascontiguousarray(layers[:-1])), xp.asarray(reason)


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
        """The composites of every epoch."""
        return tuple(f"composite {self.slug}/{epoch}" for epoch in self.epochs)

    @property
    def read(self) -> int:
        """Bytes: the rasters are read again only for percentiles and correlations."""
        passes = 2 * (self.settings.percentages is not None) + self._correlated
        return passes * len(self.epochs) * self.window.size * 24

    @property
    def memory(self) -> int:
        """Bytes of a strip of all layers, and the histograms."""
        return ROWS * self.window.width * 60 + 4 * 65536 * 8 * 4

    @property
    def _correlated(self) -> bool:
        return self.settings.reference is not None

    def key(self, store: Store) -> Key:
        """The composites, and how they become one index."""
        inputs = {name: need(store, *name.split(" ", 1)).key for name in self.inputs}
        return Key(self.stage, self.name, ALGORITHM[self.stage], self.how(), inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Reduce kilobytes; raises as ``reduced``."""
        draft.payload |= self.reduced(store)

    def reduced(self, store: Store) -> dict[str, Any]:
        """The first pass as JSON values; epochs without a usable pixel are left out and named.

        Raises NothingValid or ConstantIndicator where no epoch is left.
        """
        every = {
            epoch: summary(need(store, "composite", f"{self.slug}/{epoch}").payload["summary"])
            for epoch in self.epochs
        }
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


def exact_percentiles(layers: Any, wanted: tuple[float, float]) -> NDArray[np.float64]:
    """Percentiles of all the strips that ``layers()`` gives, (k, 2), in two passes over them."""
    histogram: Histogram | None = None
    for values, reason in layers():
        part = Histogram.of(values, reason)
        histogram = histogram + part if histogram else part
    if histogram is None:
        raise RuntimeError("expected at least one strip")
    bins = histogram.bins(wanted)
    detail: Detail | None = None
    for values, reason in layers():
        part_ = Detail.of(values, reason, bins)
        detail = detail + part_ if detail else part_
    if detail is None:
        raise RuntimeError("expected the same strips again")
    return percentiles(histogram, detail, wanted)


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
        """Area, and epoch or ``all``."""
        return f"{self.slug}/{self.chosen[0] if len(self.chosen) == 1 else 'all'}"

    @property
    def inputs(self) -> tuple[str, ...]:
        """The area's components."""
        return (f"reduce {self.slug}",)

    @property
    def read(self) -> int:
        """Bytes of the indicators; three times for percentiles."""
        passes = 1 if self.settings.percentages is None else 3
        return passes * len(self.chosen) * self.window.size * 24

    @property
    def memory(self) -> int:
        """Bytes of a strip."""
        return ROWS * self.window.width * 60

    def key(self, store: Store) -> Key:
        """The components."""
        inputs = {self.inputs[0]: need(store, "reduce", self.slug).key}
        settings = {"epochs": list(self.chosen)}
        return Key(self.stage, self.name, ALGORITHM[self.stage], settings, inputs)

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

    def rsei0(self, store: Store, reduced: Mapping[str, Any], epoch: int) -> Iterator[Any]:
        """RSEI0, (h, w), of each strip, its reason and what its scale is made of."""
        record = reduced["epochs"][str(epoch)]
        how = Projection(tuple(record["weights"]), tuple(record["offsets"]))
        for strip, indicators, reason in self.strips(store, epoch):
            values, part = project(indicators, reason, how, (strip.top, strip.left))
            yield values, reason, part

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
        return Key(self.stage, self.name, ALGORITHM[self.stage], settings, inputs)

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


def index_under(task: ReduceTask, store: Store, scope: Scope) -> dict[int, NDArray[np.float32]]:
    """The RSEI of an area's epochs, (h, w) each, had limits and components another scope.

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
    found = {}
    for epoch in kept:
        rows = [on_host(values) for values, _, _ in one.rsei0(store, reduced, epoch)]
        found[epoch] = scaled(np.concatenate(rows), limits[epoch])[0]
    return found


def _common(survey: Survey, place: Place, device: str) -> dict[str, Any]:
    study = survey.study
    return {
        "place": place,
        "epochs": study.epochs,
        "settings": study.rsei,
        "tables": fixed_tables(study.rsei),
        "lattice": survey.lattice,
        "device": device,
    }


def fixed_tables(settings: RseiSettings) -> FixedTables:
    """The tables that the settings name, read; raises StudyError."""
    limits, loadings = {}, {}
    if settings.limits_table and settings.normalisation == "fixed":
        rows = numbers(Path(settings.limits_table), ("indicator", "min", "max"))
        limits = {name: (low, high) for name, (low, high) in rows.items()}
    if settings.loadings_table and settings.pca == "fixed":
        found = numbers(Path(settings.loadings_table), ("indicator", "loading"))
        loadings = {name: value for name, (value,) in found.items()}
    return FixedTables(limits, loadings)


def reduce_tasks(survey: Survey, device: str) -> tuple[ReduceTask, ...]:
    """The tasks of stage ``reduce``, by area."""
    return tuple(ReduceTask(**_common(survey, place, device)) for place in survey.places)


def project_tasks(survey: Survey, device: str) -> tuple[ProjectTask, ...]:
    """The tasks of stage ``project``: by area and epoch; by area for percentiles."""
    epochs = survey.study.epochs
    together = survey.study.rsei.percentages is not None
    chosen = [epochs] if together else [(epoch,) for epoch in epochs]
    return tuple(
        ProjectTask(**_common(survey, place, device), chosen=group)
        for place in survey.places
        for group in chosen
    )


def write_tasks(survey: Survey, device: str) -> tuple[WriteTask, ...]:
    """The tasks of stage ``write``, by area and epoch."""
    projections = project_tasks(survey, device)
    return tuple(
        WriteTask(
            **_common(survey, place, device),
            epoch=epoch,
            projections=tuple(task for task in projections if task.place == place),
        )
        for place in survey.places
        for epoch in survey.study.epochs
    )
