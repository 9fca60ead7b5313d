# SPDX-License-Identifier: Apache-2.0
"""The demo's place: a coast, a river, towns and mines that nobody has mined, across a tile seam."""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from .grids import RADIUS, SINUSOIDAL, SINUSOIDAL_500M, Window
from .simulated_noise import fractal, key, uniform
from .simulated_region import Region, area_km2, transformer

CORNER = Window(11936, 65180, 0, 0)
"""Where the rows and columns of this file start."""

DEMO_WINDOW = Window(11940, 65186, 112, 124)
"""The demo's pixels, 57 x 52 km by the gulf of Bohai at 40° north: h27v04 above, h27v05 below.

Along the slant of the sinusoidal grid here, so the city is a strip from south-west to north-east.
"""

DEMO_SEED = 6
"""Of 120 landscapes tried, the one in which chance hides the known truth least."""

SIZES_KM2 = (
    *(0.36, 0.17, 0.23, 0.31, 0.77, 0.44, 0.14, 0.12),
    *(0.91, 0.58, 1.15, 0.05, 1.35, 0.07, 0.10, 0.53),
    *(0.70, 0.64, 0.20, 0.48, 0.84, 0.40, 0.27, 0.97),
    *(1.6, 1.9, 2.3, 2.9, 3.6, 4.4, 5.2, 6.0),
)
"""Areas of the mines, km², by their names; several in each of the study's five size classes.

The order is one in which chance does not put the small ones, or the large, on the better land.
"""

APART_DEGREES = 0.03
"""Least distance between two mines, 2.5 km to 3.3 km: they lie singly, the large and the small.

So the share of mines around a place tells little of how near the nearest one is.
"""

BANK_DEGREES = 0.006
"""Least distance between a mine and the river: 500 m."""

MINED = 0.9
"""Share of the window's rows, from the north, in which there are mines."""

FAR = 300
"""How far the drawn coast goes beyond the window, pixels: past the 50 km that distances look."""


@dataclass(frozen=True)
class DemoPlace:
    """The demo's landscape and the polygons that its study names; all in EPSG:4326."""

    region: Region
    boundary: shapely.Polygon
    areas_km2: tuple[float, ...]
    """Area of each mine."""


def demo_place(seed: int = DEMO_SEED) -> DemoPlace:
    """The demo's coast, river, towns, mines and city boundary."""
    land, city = _land(seed), _boundary(seed)
    rivers = _river(seed)
    mines = _mines(seed, (land & city) - shapely.buffer(rivers, BANK_DEGREES))
    towns = _lonlat(np.array([[93.0, 60.0], [47.0, 96.0]]))
    region = Region(
        mines=mines,
        land=land,
        rivers=rivers,
        towns=[(towns[0, 0], towns[0, 1], 5.5), (towns[1, 0], towns[1, 1], 2.6)],
    )
    return DemoPlace(region, city, tuple(map(area_km2, mines)))


def _lonlat(pixels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Longitude and latitude of (column, row) counted from ``CORNER``, (n, 2)."""
    left, _, _, top = SINUSOIDAL_500M.bounds(CORNER)
    x = left + pixels[:, 0] * SINUSOIDAL_500M.dx
    y = top - pixels[:, 1] * SINUSOIDAL_500M.dy
    return np.column_stack(transformer(SINUSOIDAL, "EPSG:4326").transform(x, y))


def _wiggle(seed: int, name: str, start: int, count: int, *spacings: int) -> NDArray[np.float64]:
    """A smooth random line, sd 1, (count,)."""
    line = fractal(key(seed, name), Window(start, 0, count, 1), spacings, roughness=0.55)
    return line[:, 0].astype(np.float64)


def _land(seed: int) -> BaseGeometry:
    """Land west of a wiggling coast with a bay."""
    rows = np.arange(-FAR, 120 + FAR, dtype=np.float64)
    column = 119 + 4.5 * _wiggle(seed, "coast", -FAR, len(rows), 40, 18, 8, 4)
    column -= 22 * np.exp(-(((rows - 84) / 6) ** 2))
    coast = np.column_stack((column, rows))
    west = np.array([[-FAR, rows[-1]], [-FAR, rows[0]]])
    return shapely.make_valid(shapely.Polygon(_lonlat(np.vstack((coast, west)))))


def _river(seed: int) -> BaseGeometry:
    """A river from the western hills to the sea, wider towards its mouth."""
    column = np.arange(-20, 132, dtype=np.float64)
    middle = 34 + 0.28 * column + 3.5 * _wiggle(seed, "river", -20, len(column), 24, 12, 5)
    half = 0.22 + 0.5 * np.clip(column / 110, 0, 1) ** 2
    banks = (np.column_stack((column, middle - half)), np.column_stack((column, middle + half)))
    return shapely.make_valid(shapely.Polygon(_lonlat(np.vstack((banks[0], banks[1][::-1])))))


def _boundary(seed: int) -> shapely.Polygon:
    """The city: a rounded rectangle with a winding edge, a strip of sea included."""
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    edge = (np.abs(np.cos(angle)) ** 5 + np.abs(np.sin(angle)) ** 5) ** -0.2
    edge *= 1 + 0.03 * _wiggle(seed, "boundary", 0, 240, 12, 5)
    column, row = 68 + 58 * edge * np.cos(angle), 60 + 51 * edge * np.sin(angle)
    return shapely.Polygon(_lonlat(np.column_stack((column, row))))


def _mines(seed: int, ground: BaseGeometry) -> list[shapely.Polygon]:
    """Outlines of ``SIZES_KM2`` on ``ground``, the largest placed first, none near another."""
    chosen: list[shapely.Polygon] = []
    for number, area in sorted(enumerate(SIZES_KM2), key=lambda pair: -pair[1]):
        for attempt in range(400):
            mine = _outline(seed, number, attempt, area)
            alone = all(shapely.distance(mine, other) > APART_DEGREES for other in chosen)
            if alone and shapely.contains(ground, mine):
                chosen.append(mine)
                break
    return chosen


def _outline(seed: int, number: int, attempt: int, area: float) -> shapely.Polygon:
    """One attempt at a mine: a lobed outline of ``area`` km² somewhere."""
    draw = [uniform(seed, "mine", number, attempt, part) for part in range(4)]
    column = DEMO_WINDOW.left - CORNER.left + draw[0] * DEMO_WINDOW.width
    row = DEMO_WINDOW.top - CORNER.top + draw[1] * MINED * DEMO_WINDOW.height
    east, north = _lonlat(np.array([[column, row]]))[0]
    angle = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    lobes = 1 + 0.22 * np.cos(2 * angle + 6 * draw[2]) + 0.12 * np.cos(3 * angle + 6 * draw[3])
    lobes += 0.05 * np.cos(7 * angle + 6 * draw[0])
    size = np.degrees(1e3 / RADIUS)
    outline = shapely.Polygon(
        np.column_stack(
            (
                east + size * lobes * np.cos(angle) / np.cos(np.radians(north)),
                north + size * lobes * np.sin(angle),
            )
        )
    )
    side = np.sqrt(area / area_km2(outline))
    return shapely.affinity.scale(outline, side, side, origin=(east, north))
