# SPDX-License-Identifier: Apache-2.0
"""What a folder of granules holds: each granule, and what is missing, replaced or bad."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import GranuleError, GridError
from .grids import Lattice, Window
from .located import Source
from .products import products

ROLES = ("reflectance", "greenness", "heat")
"""Roles of products that a study uses; they share one grid and one collection."""


@dataclass(frozen=True, slots=True)
class Granule:
    """One date of one product in one tile."""

    product: str
    """Short name, such as ``MOD09A1``."""

    collection: str
    """Three digits, such as ``061``; empty where the files do not say."""

    tile: str
    """``hXXvYY``, or the name of the 500 m lattice of other input."""

    date: date
    """Start of its period."""

    produced: str | None
    """Production time, year to second; None where the files do not say."""

    lattice: Lattice
    """The lattice of this product's pixels."""

    window: Window
    """The pixels it covers, of that lattice."""

    sources: tuple[Source, ...]
    """Where each layer lies."""

    fine: Lattice
    """The 500 m lattice of its tile, on which a study is made."""

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled: a class with slots looks for its fields, ten times as long."""
        return type(self), tuple(getattr(self, name) for name in self.__slots__)

    @property
    def files(self) -> tuple[Path, ...]:
        """Its files, each once."""
        return tuple(dict.fromkeys(source.path for source in self.sources))

    def source(self, layer: str) -> Source:
        """Where a layer lies. Raises GranuleError where the granule lacks it."""
        for source in self.sources:
            if source.layer == layer:
                return source
        stored = products()[self.product].layer(layer).stored
        found = ", ".join(source.stored for source in self.sources)
        raise GranuleError(
            f"{self.files[0]}: expected the layer {stored} of {self.product} of {self.date}, "
            f"found {found}; add its file"
        )


@dataclass(frozen=True)
class BadGranule:
    """A file that promises a granule and cannot be used."""

    path: Path
    """The file."""

    reason: str
    """What is wrong with it, and how to put it right."""


@dataclass(frozen=True)
class Catalogue:
    """What a folder holds."""

    granules: tuple[Granule, ...]
    """Usable granules, by product, tile and date."""

    skipped: tuple[Path, ...]
    """Files of no known product."""

    replaced: tuple[tuple[Path, Path], ...]
    """Duplicates: the file that is not read, and the one read in its place."""

    bad: tuple[BadGranule, ...]
    """Files that cannot be used."""

    @property
    def lattice(self) -> Lattice:
        """The 500 m lattice that all granules of a study share.

        Raises GridError where there are several unrelated ones, GranuleError where there is none.
        """
        found = {
            granule.fine: granule
            for granule in self.granules
            if products()[granule.product].role in ROLES
        }
        if not found:
            raise GranuleError("expected granules of a product that a study uses, found none")
        (first, one), *others = found.items()
        for lattice, other in others:
            raise GridError(
                f"expected granules on one grid, found {one.files[0]} on {first.dx:.9g} pixels "
                f"from ({first.left:.3f}, {first.top:.3f}) and {other.files[0]} on "
                f"{lattice.dx:.9g} pixels from ({lattice.left:.3f}, {lattice.top:.3f}); "
                "request all layers with one grid, or run one study for each"
            )
        return first

    def of(self, product: str, tile: str | None = None) -> tuple[Granule, ...]:
        """The granules of a product, in the order of dates; of one tile where it is named."""
        return tuple(
            granule
            for granule in self.granules
            if granule.product == product and tile in (None, granule.tile)
        )

    @property
    def tiles(self) -> tuple[str, ...]:
        """The tiles of all granules that a study uses, sorted."""
        used = (one for one in self.granules if products()[one.product].role in ROLES)
        return tuple(sorted({granule.tile for granule in used}))

    def presence(
        self, product: str, dates: Sequence[date], tiles: Sequence[str] | None = None
    ) -> NDArray[np.bool_]:
        """Whether there is a granule, (dates, tiles) bool; by default of every tile."""
        held = {(granule.date, granule.tile) for granule in self.of(product)}
        tiles = self.tiles if tiles is None else tiles
        present = [[(day, tile) in held for tile in tiles] for day in dates]
        return np.array(present, bool).reshape(len(dates), len(tiles))

    def missing(
        self, product: str, dates: Sequence[date], tiles: Sequence[str] | None = None
    ) -> tuple[tuple[date, str], ...]:
        """Date and tile of each granule that was expected and is not there."""
        tiles = self.tiles if tiles is None else tiles
        absent = np.argwhere(~self.presence(product, dates, tiles))
        return tuple((dates[row], tiles[column]) for row, column in absent)
