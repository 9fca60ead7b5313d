# SPDX-License-Identifier: Apache-2.0
"""What a perfect instrument would see of a landscape: reflectance and temperature of a season."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .simulated_noise import Field, key, octets, uniform
from .simulated_world import World

SPECTRA: Mapping[str, tuple[float, ...]] = {
    "forest": (0.022, 0.330, 0.017, 0.040, 0.300, 0.145, 0.058),
    "crop": (0.045, 0.390, 0.030, 0.075, 0.365, 0.225, 0.105),
    "soil": (0.130, 0.215, 0.068, 0.098, 0.285, 0.310, 0.260),
    "urban": (0.150, 0.205, 0.115, 0.135, 0.240, 0.265, 0.245),
    "pit": (0.205, 0.250, 0.150, 0.178, 0.285, 0.300, 0.270),
    "sea": (0.024, 0.014, 0.036, 0.042, 0.008, 0.005, 0.003),
    "river": (0.065, 0.045, 0.048, 0.075, 0.016, 0.010, 0.006),
}
"""Surface reflectance of pure surfaces, b1 … b7. Source: typical of spectral libraries, rounded."""


SEASON = range(153, 274, 8)
"""Days of the year on which the 8-day periods of June to September start."""

GREENING = 0.07
"""Amplitude of the season's course of vegetation, share of cover."""


def day_of(year: int, day: int) -> dt.date:
    """The date of a day of the year, counted from 1."""
    return dt.date(year, 1, 1) + dt.timedelta(day - 1)


def course(date: dt.date) -> float:
    """The season's course, -1 … 1, whose mean over ``SEASON`` is 0; it peaks in early August."""
    shape = np.cos(2 * np.pi * (np.asarray(SEASON) - 215) / 240)
    day = date.timetuple().tm_yday
    return float(np.cos(2 * np.pi * (day - 215) / 240) - shape.mean())


@dataclass(frozen=True)
class Surface:
    """What a perfect instrument would see, averaged over one season."""

    reflectance: Field
    """Surface reflectance, b1 … b7, (7, h, w)."""

    greening: Field
    """What more vegetation, in place of soil, would add to the reflectance, (7, h, w)."""

    lst: Field
    """Daytime land surface temperature at 10:42, K, (h, w)."""

    @classmethod
    def of(cls, world: World, year: int) -> "Surface":
        """The surface of ``world``: shares of pure surfaces that follow its quality."""
        quality, bare = world.state(year)
        urban = _step(7 * (world.town - 0.38) + 0.9 * world.noise("street", 4))
        plants, ground = _plants(world), _ground(urban, bare)
        greening = plants - ground
        land = ground + greening * np.clip(0.06 + 0.94 * quality, 0, 1)
        dry = 1 + 0.035 * world.noise("moisture", 12, 6)
        land[4:] *= dry
        land[6] *= dry
        heat = 311.5 - 15 * (quality - 0.5) + 1.6 * urban + 1.2 * bare - 0.003 * world.dem
        heat = heat + 0.6 * world.noise("heat", 14, 7) + 0.8 * (uniform("warm", year) - 0.5)
        wet = world.water
        land += (_waters(world) - land) * wet
        return cls(land, greening * (1 - wet), (heat + (297.5 - heat) * wet).astype(np.float32))

    def on(self, date: dt.date, band: int) -> Field:
        """Surface reflectance of one band on a day of the season, (h, w); bands count from 1."""
        more = np.float32(GREENING * course(date))
        return self.reflectance[band - 1] + more * self.greening[band - 1]


def _plants(world: World) -> Field:
    """Reflectance under full vegetation: forest on the heights, a patchwork of fields below."""
    forest = _step((world.dem - 260) / 60 + 0.9 * world.noise("forest", 16, 8, 4))
    grain = octets(key(world.seed, "grain"), world.window)[..., 0].astype(np.float32) / 127.5 - 1
    tone = 1 + (1 - 0.6 * forest) * (0.05 * world.noise("parcel", 4) + 0.05 * grain)
    return _blend("crop", "forest", forest) * tone


def _ground(urban: Field, bare: Field) -> Field:
    """Reflectance without vegetation: soil, town, and open pits."""
    ground = _blend("soil", "urban", urban)
    return ground + (_spectrum("pit") - ground) * bare


def _waters(world: World) -> Field:
    """Reflectance of the water there is: clear in the sea, turbid in the river."""
    river = np.zeros_like(world.water)
    np.divide(world.river, world.water, out=river, where=world.water > 0)
    return _blend("sea", "river", river)


def _step(value: Field) -> Field:
    """A smooth step from 0 to 1 about 0."""
    return (1 / (1 + np.exp(-3 * value))).astype(np.float32)


def _spectrum(name: str) -> Field:
    """One of ``SPECTRA``, (7, 1, 1)."""
    return np.asarray(SPECTRA[name], np.float32)[:, None, None]


def _blend(first: str, second: str, part: Field) -> Field:
    """Two spectra mixed pixel by pixel, (7, h, w)."""
    return _spectrum(first) + (_spectrum(second) - _spectrum(first)) * part
