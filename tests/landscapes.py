# SPDX-License-Identifier: Apache-2.0
"""A few pixels of the demo on both sides of a tile seam, and their granules read back."""

from functools import cache
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pyhdf.SD import SD

from rsei.engine.sources.grids import Window
from rsei.engine.sources.simulate import World, demo_world, season_dates, write_granules

PRODUCTS = (
    "MOD09A1.061",
    "MOD13A1.061",
    "MOD11A2.061",
    "MYD09A1.006",
    "MYD13A1.006",
    "MYD11A2.061",
)

SEAM = Window(11990, 65230, 20, 24)
"""Ten rows in h27v04 and ten in h27v05."""

Pixels = NDArray[Any]


@cache
def small() -> World:
    """The demo's landscape within ``SEAM``."""
    whole = demo_world()
    return World(SEAM, whole.region, whole.seed)


def write(folder: Path, product: str, world: World, year: int = 2012, count: int = 1) -> list[Path]:
    """The paths of a product's first ``count`` periods of a summer, written."""
    return write_granules(folder, product, world, season_dates(product, [year])[:count])


def layers_of(path: Path) -> dict[str, Pixels]:
    """Every data set of a file, by plain pyhdf."""
    file = SD(str(path))
    return {name: file.select(name)[:] for name in file.datasets()}
