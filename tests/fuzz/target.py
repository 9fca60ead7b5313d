# SPDX-License-Identifier: Apache-2.0
"""What a target is, and where the small granules of some lie."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from hypothesis.strategies import SearchStrategy

from rsei.engine.sources.grids import SINUSOIDAL_500M, Lattice, Window, tile_window

Inputs = Callable[[Path], SearchStrategy[bytes]]
Act = Callable[[bytes, Path], None]
DAY = date(2022, 6, 10)
TILE = "h27v05"
CORNER = tile_window(TILE, SINUSOIDAL_500M)
WINDOW = Window(CORNER.top, CORNER.left, 20, 30)
METRES = Lattice("EPSG:32632", 500_000, 5_000_000, 500, 500)


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote."""

    inputs: Inputs
    """Spoilt input, made of sound input that is written into a folder."""

    act: Act
    """Reads it; raises RseiError or nothing. The folder is the same, for files."""

    share: float = 1.0
    """Part of the inputs that it is given: some take their time."""


def within(folder: Path, name: str, data: bytes) -> Path:
    """A file of ``data``, alone in a folder of its own."""
    place = folder / "spoilt"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / name).write_bytes(data)
    return place / name
