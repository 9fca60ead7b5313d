# SPDX-License-Identifier: Apache-2.0
"""Sums of an epoch over the tiles of an area, before anything is bent: a mosaic has no seams."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..index.composite import Partial
from ..sources.grids import Lattice, Window
from ..sources.products import BANDS
from .partialfiles import read_partial
from .store import Store

NAMES: Mapping[str, tuple[str, ...]] = {
    "reflectance": BANDS,
    "greenness": ("ndvi",),
    "heat": ("lst", "view_time"),
}
"""Layers of a partial, by role."""


@dataclass(frozen=True)
class Piece:
    """One committed partial that an epoch is made of."""

    tile: str
    """Its tile."""

    year: int
    """Its year."""

    roles: tuple[str, ...]
    """Roles it holds."""

    window: Window
    """Pixels it holds, of the study's grid."""

    heat_window: Window | None
    """Pixels of its heat, of the grid of 1 km."""

    @property
    def name(self) -> str:
        """The artefact of its stage."""
        return f"{self.tile}/{self.year}"

    def held(self, role: str) -> Window:
        """The pixels of a role, of the role's own grid."""
        return self.heat_window if role == "heat" and self.heat_window else self.window


def mosaic(
    store: Store, pieces: tuple[Piece, ...], role: str, lattice: Lattice, window: Window
) -> Partial:
    """The sums of all years and tiles in ``window``; zero where there is no granule.

    Tiles may overlap by a margin in which they hold nothing, so they are added, not pasted.
    """
    names = NAMES[role]
    sums = np.zeros((len(names), *window.shape), np.int32)
    counts = np.zeros((len(names), *window.shape), np.uint16)
    for piece in pieces:
        shared = piece.held(role) & window
        if role not in piece.roles or not shared.size:
            continue
        part = read_partial(store, piece.tile, piece.year, role, lattice, shared)
        rows, columns = shared.slices(window)
        sums[:, rows, columns] += part[0]
        counts[:, rows, columns] += part[1]
    return Partial(names, sums, counts, 0, {})
