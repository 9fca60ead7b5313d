# SPDX-License-Identifier: Apache-2.0
"""What the stages of one area share: its index's settings, and the strips of its indicators."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..index.area import Projection
from ..index.limits import Detail, Histogram, percentiles
from ..index.rsei import RseiSettings, project
from ..index.scopes import FixedTables
from ..sources.fixed import numbers
from ..sources.geotiff import read_geotiff
from ..sources.grids import Lattice, Window
from .devices import home
from .store import Store
from .survey import Place, Survey

ROWS = 512
"""Most rows of an indicators file taken at a time."""

PIXEL = 130
"""Bytes of a pixel of a strip, on either side, at most: where two epochs are correlated, of each of
which the last strip is there while the next is projected. A test measures it."""

HISTOGRAMS = 1 << 25
"""Bytes of the histograms of percentiles, which are as large for one row as for a nation."""


@dataclass(frozen=True)
class AreaTask:
    """What the three stages share: one area, and how its index is made."""

    place: Place
    """The area, or its part in one tile."""

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

    budget: int
    """Bytes that a strip may take, of the host's memory and of a GPU's."""

    @property
    def slug(self) -> str:
        """The area in paths."""
        return self.place.area.slug

    def how(self) -> dict[str, Any]:
        """The settings as they enter a key: a table by its numbers, not by its path."""
        written = self.settings.model_dump(mode="json", exclude={"limits_table", "loadings_table"})
        limits = {name: list(pair) for name, pair in self.tables.limits.items()}
        return written | {"limits_table": limits, "loadings_table": dict(self.tables.loadings)}

    @property
    def parts(self) -> tuple[Place, ...]:
        """What of the area is worked on."""
        return self.place.parts

    @property
    def widest(self) -> int:
        """Columns of its widest raster."""
        return max(part.window.width for part in self.parts)

    @property
    def rows(self) -> int:
        """Rows of a strip, so that the budget holds; no result depends on them."""
        return max(1, min(ROWS, self.budget // (self.widest * PIXEL)))

    @property
    def strip(self) -> int:
        """Bytes of a strip."""
        return min(self.rows, self.tallest) * self.widest * PIXEL

    @property
    def tallest(self) -> int:
        """Rows of its tallest raster."""
        return max(part.window.height for part in self.parts)

    def strips(
        self, store: Store, epoch: int
    ) -> Iterator[tuple[Window, NDArray[np.float32], NDArray[np.uint8]]]:
        """Indicators, (5, h, w), and reason, (h, w), 0 where valid, of an epoch, from the top."""
        xp = home(self.device)
        for part in self.parts:
            path = store.folder / f"indicators/{part.named(epoch)}.tif"
            for strip in part.window.strips(self.rows):
                layers = read_geotiff(path, self.lattice, strip)
                reason = (layers[-1] != 1).astype(np.uint8)
                yield strip, xp.asarray(np.ascontiguousarray(layers[:-1])), xp.asarray(reason)

    def rsei0(self, store: Store, reduced: Mapping[str, Any], epoch: int) -> Iterator[Any]:
        """RSEI0, (h, w), of each strip, its reason and what its scale is made of."""
        record = reduced["epochs"][str(epoch)]
        how = Projection(tuple(record["weights"]), tuple(record["offsets"]))
        for strip, indicators, reason in self.strips(store, epoch):
            values, part = project(indicators, reason, how, (strip.top, strip.left))
            yield values, reason, part


def fields_of_an_area(survey: Survey, place: Place, device: str) -> dict[str, Any]:
    """What every task of an area is made with, by field of ``AreaTask``."""
    study = survey.study
    return {
        "place": place,
        "epochs": study.epochs,
        "settings": study.rsei,
        "tables": fixed_tables(study.rsei),
        "lattice": survey.lattice,
        "device": device,
        "budget": study.compute.block_bytes(device) // 2,
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
