# SPDX-License-Identifier: Apache-2.0
"""What mines are to each pixel of the drivers' grid: how far, and how much of what is around."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..analysis.drivers import NearMines, mine_share, near_mines, sea
from ..sources.errors import InputError
from ..sources.vectors import read as read_vectors
from .layers import ALGORITHM, PROGRAM, LayerTask
from .outlines import mines_of
from .store import Draft, Key, Store

PIXEL = 72
"""Bytes of a pixel of the grid with its margin: twice the ways, as whole numbers, whether it is
free, share and sea. Of 4 million pixels 63 were measured at most, beside the program."""

WAYS = 64
"""Bytes of a pixel of that grid on a GPU: its way as an int64 and a corner's, what it is to a way,
and the lists of what is chosen. By their count, as no GPU was at hand."""

BEAMS = 1 << 24
"""Bytes of beams that wait there: three times what there is room for at first."""


@dataclass(frozen=True)
class MineLayers(LayerTask):
    """Distance to the nearest mine round the coast, and the share of mines around."""

    layer = "mines"
    drivers = ("dism", "minea")

    @property
    def least(self) -> int:
        """Bytes that a GPU has to have at a time, as a way may lead anywhere; none without one."""
        return self.ground.padded.size * WAYS + BEAMS if self.device == "cuda" else 0

    @property
    def memory(self) -> int:
        """Bytes of the ways on the grid with its margin, which go round the coast at any length."""
        return self.ground.padded.size * PIXEL + PROGRAM

    def key(self, store: Store) -> Key:
        """The polygons and the grid."""
        paths = [self.ground.place.settings.mines, self.ground.place.settings.coast]
        prints = {
            kind: self._prints([path], store)
            for kind, path in zip(("mines", "coast"), paths, strict=True)
            if path
        }
        inputs = {f"{kind} {name}": one for kind, of in prints.items() for name, one in of.items()}
        return Key(self.stage, self.name, ALGORITHM, self.ground.key(), inputs)

    def make(self, store: Store, draft: Draft) -> None:
        """Find the ways; none, and no share, where only other areas of the file have mines near.

        Raises InputError where no mine, or no land, is near otherwise.
        """
        ground, area = self.ground, self.ground.place.area.name
        with self.named("area.mines"):
            mines = mines_of(ground.place)
        share = mine_share(mines.shapes, mines.crs, ground.lattice, ground.padded)
        blocked = self._blocked()
        far = not mines.inside and not share.any()
        if far:
            near = NearMines(np.full_like(share, np.nan), share, 0)
        else:
            near = near_mines(share, blocked, ground.lattice, area, self.put)
        inner = ground.window.slices(ground.padded)
        self._keep(draft, [(ground.window, np.stack([near.dism[inner], near.minea[inner]]))])
        cut_off = 0 if far else int((np.isnan(near.dism) & ~blocked)[inner][ground.inside].sum())
        if cut_off:
            draft.payload["warnings"] = [
                f"{area}: {cut_off} pixels on land have no way to a mine round "
                f"{ground.place.settings.coast}; their distance is missing, and they are left out"
            ]
        draft.payload["unreachable"] = cut_off
        draft.payload["resampling"] = "made"
        draft.payload["source"] = Path(str(ground.place.settings.mines)).name

    def _blocked(self) -> NDArray[np.bool_]:
        """The sea, (h, w) of the grid with its margin."""
        ground, path = self.ground, self.ground.place.settings.coast
        if path is None:
            return np.zeros(ground.padded.shape, bool)
        with self.named("area.coast"):
            coast = read_vectors(path, polygons=False)
        shapes = np.asarray(coast.frame.geometry.values, dtype=object)
        blocked = sea(shapes, coast.frame.crs.to_wkt(), ground.lattice, ground.padded)
        if blocked[ground.window.slices(ground.padded)][ground.inside].all():
            raise InputError(
                f"{ground.place.area.name}: {path}: expected land in the area, found none in its "
                f"{int(ground.inside.sum())} pixels; area.coast takes land polygons or coast lines"
            )
        return blocked
