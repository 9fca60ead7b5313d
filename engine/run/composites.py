# SPDX-License-Identifier: Apache-2.0
"""Stage ``composite``: sums of an epoch's years to indicators, one mask, and their moments."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...kernels.moments import MOST_PIXELS
from ..index.indicators import IndicatorSettings, UserRaster, WaterSettings, epoch_block
from ..index.summaries import Summary
from ..sources.catalogues import ROLES
from ..sources.grids import Lattice
from ..sources.patterns import expand, of_year
from ..sources.rasterfiles import split
from .bands import COMPOSITE, INDICATED, composite_bands, forms, indicator_bands
from .larder import Larder
from .mosaics import Piece
from .partials import heat_window
from .records import record
from .store import Draft, Key, Store
from .strips import StripWriter
from .survey import Place, Survey
from .tasks import fingerprints, need
from .waters import WaterTask, histogram, together, waters

ALGORITHM = 1
"""Version of this stage: raised when its results change."""

PIXEL = 220
"""Bytes that one pixel takes at most while it is worked on: sums, counts, layers and results."""

NEAR = 4
"""Pixels around a part from which its heat may come: two of the grid of 1 km."""


@dataclass(frozen=True)
class CompositeTask:
    """Composite, indicators and moments of one area and epoch, or of their part in one tile."""

    place: Place
    """The area, or its part."""

    epoch: int
    """The epoch."""

    years: tuple[int, ...]
    """Years it is the mean of."""

    months: tuple[int, ...]
    """Months of the season."""

    pieces: tuple[Piece, ...]
    """Partials it is made of."""

    indicators: IndicatorSettings
    """Where each indicator comes from."""

    water: WaterSettings
    """What counts as water."""

    written: Mapping[str, Any]
    """The settings as the user wrote them, paths and all: part of the key."""

    lattice: Lattice
    """The study's grid."""

    coarse: Lattice | None
    """The grid of the heat product."""

    budget: int
    """Bytes that a strip may take, of the host's memory and of a GPU's."""

    device: str = "cpu"
    """Where to calculate: ``cpu`` or ``cuda``."""

    waters: tuple[str, ...] = ()
    """Of a part, the tasks that its threshold of water is of, where Otsu finds it."""

    stage = "composite"

    @property
    def name(self) -> str:
        """Area and epoch, and the tile of a part."""
        return self.place.named(self.epoch)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Its partials, and what its threshold of water is of."""
        return (*self.partials, *(f"composite {name}" for name in self.waters))

    @property
    def partials(self) -> tuple[str, ...]:
        """Its partials."""
        return tuple(f"partial {piece.name}" for piece in self.pieces)

    @property
    def files(self) -> tuple[str, str]:
        """The composite, and the indicators."""
        return f"composites/{self.name}.tif", f"indicators/{self.name}.tif"

    @property
    def read(self) -> int:
        """Bytes of sums and counts, before compression."""
        return self.place.window.size * 47 * len(self.years)

    @property
    def write(self) -> int:
        """Bytes of its layers."""
        return self.place.window.size * 4 * (len(COMPOSITE) + len(INDICATED))

    @property
    def held(self) -> int:
        """Bytes of what lies on the whole window: the user's rasters."""
        return self.place.window.size * 9

    @property
    def memory(self) -> int:
        """Bytes while a strip is worked on."""
        return self.rows * self._row + self.held

    @property
    def rows(self) -> int:
        """Rows of a strip, so that the budget holds."""
        most = MOST_PIXELS // self.place.window.width
        return max(1, min(self.place.window.height, self.budget // self._row, most))

    @property
    def _row(self) -> int:
        return self.place.window.width * PIXEL

    @property
    def needs_bands(self) -> bool:
        """Whether reflectance is needed at all."""
        return bool(self.indicators.bands(self.water.mndwi != "off"))

    @cached_property
    def rasters(self) -> dict[str, tuple[str, ...]]:
        """Files of the user, by the layer they give; raises RasterError where one is missing."""
        found = {
            name: expand(source.raster, self.epoch, self.years, self.months)
            for name, source in self.indicators.sources.items()
            if isinstance(source, UserRaster)
        }
        if self.water.land_cover:
            found["land_cover"] = (of_year(self.water.land_cover.raster, self.epoch)[0],)
        return found

    def key(self, store: Store) -> Key:
        """What it is made of, and what its threshold of water is of."""
        settings, inputs = self.made_of(store)
        inputs |= {f"composite {one}": need(store, "composite", one).key for one in self.waters}
        return Key(self.stage, self.name, ALGORITHM, settings, inputs)

    def made_of(self, store: Store) -> tuple[dict[str, Any], dict[str, str]]:
        """Settings and boundary; and keys of the partials and sums of the user's rasters."""
        marker = store.marker(self.stage, self.name)
        known = marker.payload.get("rasters", {}) if marker else {}
        prints = fingerprints(self._files(), self._folder, store, known)
        inputs = {
            f"partial {one.name}": need(store, "partial", one.name).key for one in self.pieces
        }
        inputs |= {name: print_.sha256 for name, print_ in prints.items()}
        settings = {
            "indicators": self.written.get("indicators", {}),
            "water": self.written.get("water", {}),
            "years": list(self.years),
            "boundary": self.place.digest,
            "window": list(self.place.window.__dict__.values()),
        }
        return settings, inputs

    def _files(self) -> list[Path]:
        return sorted({split(one)[0] for group in self.rasters.values() for one in group})

    @property
    def _folder(self) -> Path:
        """To what the names of rasters are relative: the folder they have in common."""
        files = self._files()
        return files[0].parent if files else Path()

    def make(self, store: Store, draft: Draft) -> None:
        """Write composite and indicators strip by strip, and keep what they come to."""
        known = fingerprints(self._files(), self._folder, store, {})
        larder = Larder(self, store)
        threshold = self._threshold(larder)
        args = self.lattice, self.place.window
        tags = {"area": self.place.area.name, "epoch": str(self.epoch)}
        files = zip(self.files, forms(tags))
        writers = [StripWriter(draft.paths[file], *args, form) for file, form in files]
        total: Summary | None = None
        with writers[0], writers[1]:
            for strip in self.place.window.strips(self.rows):
                stock = larder.stock(strip)
                block = epoch_block(stock.layers, self.indicators, threshold)
                total = total + block.summary if total else block.summary
                writers[0].write(strip, composite_bands(block, stock))
                writers[1].write(strip, indicator_bands(block))
        if total is None:
            raise RuntimeError(f"{self.name}: expected at least one row of pixels")
        draft.valid_pixels = total.count
        draft.payload |= {
            "summary": record(total),
            "threshold": threshold,
            "view_time": larder.view_time,
            "rasters": {name: print_.__dict__ for name, print_ in known.items()},
            "warnings": self.warnings(),
        }

    def _threshold(self, larder: "Larder") -> float | None:
        """The MNDWI above which a pixel is water, which Otsu finds in a pass of its own."""
        if self.water.mndwi == "off":
            return None
        if self.water.mndwi != "otsu":
            return float(self.water.mndwi)
        if self.waters:
            return together(self.waters, larder.store).threshold()
        return histogram(self, larder).threshold()

    def warnings(self) -> list[str]:
        """What the result has to be read with."""
        if not self.water.land_cover:
            return []
        warning = of_year(self.water.land_cover.raster, self.epoch)[1]
        return [warning] if warning else []


def composite_tasks(survey: Survey, device: str) -> tuple[CompositeTask, ...]:
    """The tasks of this stage, by area and epoch."""
    study = survey.study
    pieces = [
        Piece(
            shelf.tile,
            shelf.year,
            tuple(role for role in ROLES if role in shelf.granules),
            shelf.window,
            heat_window(shelf.window, survey.lattice, survey.coarse),
        )
        for shelf in survey.shelves.values()
    ]
    of_tile: dict[str, list[Piece]] = {}
    for piece in pieces:
        of_tile.setdefault(piece.tile, []).append(piece)
    near = {
        (place.area.slug, part.tile): [
            piece
            for tile in place.tiles
            if tile in of_tile and _near(of_tile[tile][0], part)  # its window is of every year
            for piece in of_tile[tile]
        ]
        for place in survey.places
        for part in place.parts
    }
    spans, written = {epoch: study.years(epoch) for epoch in study.epochs}, study.resolved()
    return tuple(
        CompositeTask(
            part,
            epoch,
            years,
            study.granules.calendar.months,
            tuple(piece for piece in near[place.area.slug, part.tile] if piece.year in years),
            study.indicators,
            study.water,
            written,
            survey.lattice,
            survey.coarse,
            study.compute.block_bytes(device) // 2,
            device,
            waters(place, epoch, study.water),
        )
        for place in survey.places
        for epoch, years in spans.items()
        for part in place.parts
    )


def water_tasks(survey: Survey, device: str) -> tuple[WaterTask, ...]:
    """What thresholds of water are of: the first wave of the stage; none without Otsu by tile."""
    if survey.study.water.mndwi != "otsu":
        return ()
    tasks = composite_tasks(survey, device)
    return tuple(WaterTask(task, task.budget) for task in tasks if task.waters)


def _near(piece: Piece, part: Place) -> bool:
    """Whether a part is made of a piece: heat is bent from the neighbours' pixels too."""
    return not part.tile or bool((piece.window & part.window.grown(NEAR)).size)
