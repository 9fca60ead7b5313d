# SPDX-License-Identifier: Apache-2.0
"""A landscape whose ecological quality is known: what the simulated satellites look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray

from .grids import RADIUS, SINUSOIDAL, SINUSOIDAL_500M, Window
from .simulated_noise import Field, fractal, key, nodes, spread
from .simulated_region import METRIC, Region, area_km2, carried, grown, points, share

REACH_KM = 5.0
"""Distance from a mine at which quality stops rising, km: the truth that rings must find."""

NEAR = 0.40
"""Loss of quality at a mine's edge; it falls in a straight line to none at ``REACH_KM``."""

THRESHOLD_KM2 = 1.5
"""Size from which a larger mine is no worse inside, km²: the truth that mine sizes must find."""

PIT = (0.02, 0.38)
"""Further loss inside a mine: of the smallest, and what is added up to ``THRESHOLD_KM2``."""

PIT_SHARE = 0.25
"""Share of pit from which a pixel counts as wholly disturbed: roads and dumps go further."""

WEIGHTS: Mapping[str, float] = {
    "dem": 0.027,
    "gdp": -0.056,
    "prec": 0.048,
    "pm25": -0.030,
}
"""Change of quality with each driver's score, the most important driver first.

Height works besides, and so comes first of them: high up are forests and cooler air.
"""

BY_IMPORTANCE = ("dism", *WEIGHTS, "minea")
"""Drivers that quality depends on, the most important first, as forests must find them.

Distance to mines works by ``NEAR``, and the share of mines by ``PIT``, inside of them alone.
"""

WITHOUT_EFFECT = ("slope", "co2", "ntl", "elec")
"""Drivers that quality does not depend on; they come after all others."""


@dataclass(frozen=True)
class World:
    """The landscape in a window of the 500 m sinusoidal lattice; a field is (h, w) float32."""

    window: Window
    region: Region = field(default_factory=Region, repr=False)
    seed: int = 0

    def noise(self, name: str, *spacings: int) -> Field:
        """A random field of this world, mean 0 and sd 1."""
        return fractal(key(self.seed, name), self.window, spacings)

    @cached_property
    def lonlat(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitude and latitude of the pixel centres, degrees."""
        x, y = SINUSOIDAL_500M.x(self.window), SINUSOIDAL_500M.y(self.window)
        latitude = np.degrees(y / RADIUS)
        longitude = np.degrees(x[None, :] / (RADIUS * np.cos(y / RADIUS))[:, None])
        return longitude, np.broadcast_to(latitude[:, None], longitude.shape)

    @cached_property
    def near(self) -> Region:
        """What of the region can matter here."""
        longitude, latitude = self.lonlat
        return self.region.around(longitude.min(), latitude.min(), longitude.max(), latitude.max())

    @cached_property
    def land(self) -> Field:
        """Share of land."""
        if self.near.land is None:
            return np.ones(self.window.shape, np.float32)
        return share(carried(self.near.land, "EPSG:4326", SINUSOIDAL), self.window, 4)

    @cached_property
    def river(self) -> Field:
        """Share of inland water."""
        if self.near.rivers is None:
            return np.zeros(self.window.shape, np.float32)
        rivers = share(carried(self.near.rivers, "EPSG:4326", SINUSOIDAL), self.window, 4)
        return np.minimum(rivers, self.land)

    @cached_property
    def water(self) -> Field:
        """Share of water, of the sea and inland."""
        return 1 - self.land + self.river

    @cached_property
    def inland(self) -> Field:
        """0 at the coast to 1 far from it; 1 without a coast."""
        if self.near.land is None:
            return np.ones(self.window.shape, np.float32)
        step = 4
        outer = nodes(self.window, step)
        rows, columns = (np.arange(outer.top, outer.bottom), np.arange(outer.left, outer.right))
        x = SINUSOIDAL_500M.left + columns * step * SINUSOIDAL_500M.dx
        y = SINUSOIDAL_500M.top - rows * step * SINUSOIDAL_500M.dy
        land = carried(self.near.land, "EPSG:4326", METRIC)
        grid = np.meshgrid(x, y)
        places = points(grid[0], grid[1], SINUSOIDAL)
        shapely.prepare(land)
        coast = carried(self.near.coast, "EPSG:4326", METRIC)
        if coast.is_empty:
            return (self.land > 0.5).astype(np.float32)
        far = shapely.distance(places, coast) * shapely.intersects(land, places)
        return spread((1 - np.exp(-far / 22e3)).astype(np.float32), self.window, step)

    @cached_property
    def dem(self) -> Field:
        """Height above the sea, m."""
        relief = np.abs(self.noise("relief", 48, 24, 12)) + 0.35 * self.noise("rough", 10, 5)
        height = 40 + 850 * self.near.hills * np.maximum(relief + 0.1, 0) * self.inland**1.5
        return (height * np.clip(self.land * 2 - 1, 0, 1)).astype(np.float32)

    @cached_property
    def town(self) -> Field:
        """How much of a town a place is, 0 … 1."""
        out = np.zeros(self.window.shape, np.float32)
        longitude, latitude = self.lonlat
        ragged = np.exp(0.35 * self.noise("town", 8, 4))
        for east, north, radius in self.near.towns:
            dx = np.radians(longitude - east) * np.cos(np.radians(north)) * RADIUS / 1e3
            dy = np.radians(latitude - north) * RADIUS / 1e3
            away = np.hypot(dx, dy) / (radius * ragged)
            out = np.maximum(out, np.exp(-(away**2)).astype(np.float32))
        return out

    @cached_property
    def mine_distance(self) -> Field:
        """Distance to the nearest mine's outline, km, in ``METRIC``; no more than ``REACH_KM``."""
        out = np.full(self.window.shape, REACH_KM, np.float32)
        longitude, latitude = self.lonlat
        for mine in self.near.mines:
            west, south, east, north = mine.bounds
            margin = np.degrees(1.5e3 * REACH_KM / RADIUS)
            wide = margin / np.cos(np.radians(north))
            near = (latitude > south - margin) & (latitude < north + margin)
            near &= (longitude > west - wide) & (longitude < east + wide)
            if near.any():
                places = points(longitude[near], latitude[near], "EPSG:4326")
                km = shapely.distance(places, carried(mine, "EPSG:4326", METRIC)) / 1e3
                out[near] = np.minimum(out[near], km)
        return out

    @cached_property
    def drivers(self) -> Mapping[str, Field]:
        """Each driver that a raster shows, as a standard score.

        Those without effect vary over shorter distances than those with one: a forest knows places
        by smooth fields, and would find in them what it cannot explain otherwise.
        """
        town = self.town
        return {
            "dem": 1.8 * np.tanh((self.dem - 330) / 300),
            "gdp": 0.85 * self.noise("gdp", 14, 7) + 2.6 * town,
            "prec": self.noise("prec", 16, 8),
            "pm25": self.noise("pm25", 15, 8) + 0.5 * town,
            "co2": self.noise("co2", 6, 3) + 0.5 * town,
            "ntl": self.noise("ntl", 5, 2) + 0.5 * town,
            "elec": self.noise("elec", 4, 2) + 0.4 * town,
        }

    @cached_property
    def standing(self) -> Field:
        """Quality without mines: what the drivers and chance make of a place."""
        quality = 0.77 + 0.006 * self.noise("chance", 12, 6)
        for name, weight in WEIGHTS.items():
            quality += np.float32(weight) * self.drivers[name]
        return quality.astype(np.float32)

    def pit(self, year: int) -> tuple[Field, Field]:
        """Share of open pit, and the loss of quality that it brings, in one year."""
        bare = np.zeros(self.window.shape, np.float32)
        loss = np.zeros(self.window.shape, np.float32)
        for mine in self.near.mines:
            shape = carried(grown(mine, extent(year)), "EPSG:4326", SINUSOIDAL)
            near = SINUSOIDAL_500M.bounding(*shape.bounds) & self.window
            if near.size:
                where, part = near.slices(self.window), share(shape, near, 16)
                depth = PIT[0] + PIT[1] * min(area_km2(mine) / THRESHOLD_KM2, 1.0)
                bare[where] = np.minimum(bare[where] + part, 1)
                loss[where] = np.maximum(loss[where], depth * np.minimum(part / PIT_SHARE, 1))
        return bare, loss

    def quality(self, year: int) -> Field:
        """The latent ecological quality, 0 … 1."""
        return self.state(year)[0]

    def state(self, year: int) -> tuple[Field, Field]:
        """The latent ecological quality, 0 … 1, and the share of open pit, in one year."""
        bare, inside = self.pit(year)
        near = 1 - self.mine_distance / np.float32(REACH_KM)
        quality = self.standing - NEAR * extent(year) * near - inside
        quality += 0.0015 * (year - 2012) + 0.006 * self.noise(f"year {year}", 20, 10)
        return np.clip(quality, 0.01, 0.99), bare


def extent(year: int) -> float:
    """How far the mining has come, 0.35 in 2001 to 1 in 2020.

    >>> round(extent(2001), 3), extent(2020)
    (0.35, 1.0)
    """
    return float(np.clip(0.35 + 0.65 * (year - 2001) / 19, 0.35, 1.0))
