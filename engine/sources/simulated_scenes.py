# SPDX-License-Identifier: Apache-2.0
"""What the satellites deliver: stored values and quality words of one period over a landscape."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .grids import Window
from .simulated_noise import Field, key, octets
from .simulated_surface import Surface, course
from .simulated_weather import Weather
from .simulated_world import World

Layers = dict[str, NDArray[Any]]

WARMING_K = 2.2
"""Amplitude of the season's course of temperature, K."""

NOISE = (9, 22, 8, 9, 26, 22, 18)
"""Standard deviation of the reflectance, b1 … b7, in stored units of 0.0001."""

NDVI_NOISE = 70
"""Standard deviation of NDVI, in stored units of 0.0001."""

LST_NOISE = 17
"""Standard deviation of LST, in stored units of 0.02 K."""

OPAQUE = 1.1
"""Excess of cloud above which no reflectance is produced."""

CLOUD = (0.70, 0.69, 0.72, 0.71, 0.56, 0.42, 0.29)
SNOW = (0.74, 0.68, 0.77, 0.76, 0.42, 0.13, 0.09)
"""Reflectance of cloud tops and snow, b1 … b7. Source: typical of spectral libraries, rounded."""

CIRRUS_GAIN = (0.0, 0.003, 0.02, 0.05)
"""What none, small, average and high cirrus add to every band."""

BYTE_SD = 73.9
"""Standard deviation of a uniform byte."""

FILL_REFLECTANCE, FILL_QC, FILL_STATE = -28672, 4294967295, 65535


def view_hour(platform: str, year: int) -> float:
    """Local solar time of the day's overpass: Terra's orbit falls back from 2020 on.

    >>> view_hour("MOD", 2012), view_hour("MYD", 2012)
    (10.7, 13.4)
    """
    return 13.4 if platform == "MYD" else 10.7 - 0.15 * max(0, year - 2019)


def seen_lst(surface: Surface, platform: str, year: int) -> Field:
    """LST at the hour of the overpass, K: 1.2 K an hour more than at 10:42."""
    return surface.lst + np.float32(1.2 * (view_hour(platform, year) - 10.7))


@dataclass(frozen=True)
class Scene:
    """One 8- or 16-day period over a world, and the means of its year's season."""

    world: World
    surface: Surface
    product: str
    """ESDT name and collection, such as ``MOD09A1.061``."""

    date: dt.date
    """First day of the period."""

    def layers(self) -> Layers:
        """Stored values by data set name: (h, w) of the world's window, or at 1 km (h/2, w/2)."""
        made: Mapping[str, Callable[[], Layers]] = {
            "09A1": self._reflectance,
            "13A1": self._greenness,
            "11A2": self._heat,
        }
        return made[self.product[3:7]]()

    @property
    def platform(self) -> str:
        """``MOD`` or ``MYD``."""
        return self.product[:3]

    def weather(self, days: int = 0) -> Weather:
        """The sky of the 8 days that start ``days`` later."""
        seed = key(self.world.seed, self.platform)
        return Weather(seed, self.date + dt.timedelta(days), self.world.window)

    @cached_property
    def _octets(self) -> NDArray[np.uint8]:
        """Eight random bytes a pixel."""
        seed = key(self.world.seed, self.product, self.date.toordinal())
        return octets(seed, self.world.window)

    def _reflectance(self) -> Layers:
        """MOD09A1: bands, quality and state words, angles, day of the year."""
        sky = self.weather()
        snow = sky.snow(self.world.dem)
        faults = self._faults()
        opaque = sky.excess > OPAQUE
        veil = np.clip((sky.excess + np.float32(0.15)) / np.float32(0.35), 0, 1)
        veil[sky.adjacent] = 0.04
        through = np.where(sky.shadow, np.float32(0.5), np.float32(1)) * (1 - veil)
        haze = np.asarray(CIRRUS_GAIN, np.float32)[sky.cirrus] * (1 - veil)
        out: Layers = {}
        for band in range(7):
            ground = self.surface.on(self.date, band + 1)
            if snow.any():
                ground[snow] = SNOW[band]
            seen = ground * through + haze + np.float32(CLOUD[band]) * veil
            stored = (seen * np.float32(10000)).astype(np.int16)
            stored += self._noise(NOISE[band], band)
            if band == self._faulty_band:
                stored += np.where(faults == 7, 8 * self._noise(NOISE[band], 0), 0)
                stored += np.where(faults == 8, np.int16(900), np.int16(0))
            np.clip(stored, -100, 16000, out=stored)
            stored[opaque | sky.gap] = FILL_REFLECTANCE
            out[f"sur_refl_b{band + 1:02d}"] = stored
        out["sur_refl_qc_500m"] = self._quality(sky, faults, opaque)
        out["sur_refl_state_500m"] = self._state(sky, snow)
        return {**out, **self._angles(sky)}

    def _noise(self, deviation: float, byte: int) -> NDArray[np.int16]:
        """Uniform noise of one of the pixels' random bytes, in stored units, (h, w)."""
        table = (np.arange(256) - 127.5) * (deviation / BYTE_SD)
        return table.round().astype(np.int16)[self._octets[..., byte]]

    @property
    def _faulty_band(self) -> int:
        """Index of the band with bad detectors: b5 of Terra, b6 of Aqua."""
        return 5 if self.platform == "MYD" else 4

    def _faults(self) -> NDArray[np.uint32]:
        """Quality nibble of the faulty band, (h, w): its detectors' lines, which wander by date.

        Terra as in real files: 0111 on a tenth of the lines, 1000 on a twentieth, 0001 on a few
        pixels of collection 061.
        """
        window = self.world.window
        line = (np.arange(window.top, window.bottom) + 7 * self.date.toordinal() // 8) % 20
        noisy, dead = ((3, 13), (8,)) if self.platform == "MOD" else ((2, 12), (5, 6, 9, 15))
        nibble = np.where(np.isin(line, noisy), 7, np.where(np.isin(line, dead), 8, 0))
        out = np.repeat(nibble[:, None], window.width, axis=1).astype(np.uint32)
        if self.product.endswith("061"):
            out[(out == 0) & (self._octets[..., 7] < 6)] = 1
        return out

    def _quality(
        self, sky: Weather, faults: NDArray[np.uint32], opaque: NDArray[np.bool_]
    ) -> NDArray[np.uint32]:
        """``sur_refl_qc_500m``; one faulty line of four keeps MODLAND 00, as in real files."""
        less = (faults > 1) & (self._octets[..., 7] >= 64) | sky.mixed | sky.cloudy
        word = less.astype(np.uint32)
        word |= faults << np.uint32(2 + 4 * self._faulty_band)
        word |= np.uint32(1 << 30)
        if self.date.toordinal() // 8 % 2:
            word |= np.uint32(1 << 31)
        word[opaque] = np.uint32(2 | sum(15 << (2 + 4 * band) for band in range(7)))
        word[sky.gap] = FILL_QC
        return word

    def _state(self, sky: Weather, snow: NDArray[np.bool_]) -> NDArray[np.uint16]:
        """``sur_refl_state_500m``."""
        cloud = sky.cloudy.astype(np.uint16) + 2 * sky.mixed.astype(np.uint16)
        cloud[(cloud == 0) & (self._octets[..., 7] > 250)] = 3
        aerosol = 1 + (sky.excess > -0.9).astype(np.uint16) + (sky.excess > -0.4)
        aerosol = np.where(sky.cloudy, 0, aerosol).astype(np.uint16)
        word = cloud | sky.shadow.astype(np.uint16) << 2 | self._land_water() << 3 | aerosol << 6
        word |= sky.cirrus.astype(np.uint16) << 8 | (sky.excess > 0.05).astype(np.uint16) << 10
        word |= snow.astype(np.uint16) << 12 | sky.adjacent.astype(np.uint16) << 13
        word |= snow.astype(np.uint16) << 15
        word[sky.gap] = FILL_STATE
        return word.astype(np.uint16)

    def _land_water(self) -> NDArray[np.uint16]:
        """The land/water flag: 1 land, 2 shore, 3 inland water, 0 shallow and 6 moderate ocean."""
        sea = 1 - self.world.land
        flag = np.where(self.world.water > 0.05, 2, 1)
        flag = np.where(self.world.river >= 0.5, 3, flag)
        return np.where(sea >= 1, 6, np.where(sea >= 0.5, 0, flag)).astype(np.uint16)

    def _angles(self, sky: Weather) -> Layers:
        """Angles that change every ten columns, and the day that was chosen."""
        window, day = self.world.window, self.date.timetuple().tm_yday
        step = np.arange(window.left, window.right) // 10
        swath = (step * 37 + day * 13) % 97
        zero = np.zeros(window.shape, np.int16)
        sun = (2200 + abs(day - 172) * 14 + swath).astype(np.int16)
        chosen = np.minimum(day + (step * 5 + day) % 8, 366).astype(np.uint16)
        return {
            "sur_refl_szen": zero + sun,
            "sur_refl_vzen": zero + (100 + swath * 60).astype(np.int16),
            "sur_refl_raz": zero + (swath * 150 - 7000).astype(np.int16),
            "sur_refl_day_of_year": np.where(sky.gap, 65535, chosen).astype(np.uint16),
        }

    def _greenness(self) -> Layers:
        """MOD13A1: the better of two 8-day skies; layers RSEI does not use are rounded to 0.02."""
        first, second = self.weather(), self.weather(8)
        excess = np.minimum(first.excess, second.excess) - np.float32(0.25)
        snow, gap = first.snow(self.world.dem), first.gap & second.gap
        cloudy, marginal = excess > 0, (excess > -0.45) & (excess <= 0)
        lost = np.where(cloudy, 0.75, np.where(marginal, 0.04, np.where(snow, 0.9, 0)))
        red, nir, blue, swir2 = (self.surface.on(self.date, band) for band in (1, 2, 3, 7))
        ndvi = (nir - red) / (nir + red) * (1 - lost)
        evi = 2.5 * (nir - red) / (nir + 6 * red - 7.5 * blue + 1) * (1 - lost)
        side = {"EVI": evi, "red reflectance": red, "NIR reflectance": nir}
        side |= {"blue reflectance": blue, "MIR reflectance": swir2}
        layers: Layers = {
            f"500m 16 days {name}": (np.clip(value * 50, 0, 50).astype(np.int16) * 200)
            for name, value in side.items()
        }
        stored = np.clip(ndvi * 10000 + self._noise(NDVI_NOISE, 0), -2000, 10000).astype(np.int16)
        layers["500m 16 days NDVI"] = stored
        for name in layers:
            layers[name][gap] = -3000 if name.endswith("VI") else -1000
        reliability = np.where(cloudy, 3, np.where(snow, 2, marginal)).astype(np.int8)
        reliability[gap] = -1
        layers["500m 16 days pixel reliability"] = reliability
        layers["500m 16 days VI Quality"] = self._vi_quality(excess, snow, gap)
        return layers

    def _vi_quality(
        self, excess: Field, snow: NDArray[np.bool_], gap: NDArray[np.bool_]
    ) -> NDArray[np.uint16]:
        """``VI Quality``; collection 006 up to day 2017-241 pairs MODLAND 00 with usefulness 15."""
        cloudy, marginal = excess > 0, (excess > -0.45) & (excess <= 0)
        modland = np.where(cloudy, 2, marginal | snow)
        usefulness = np.where(cloudy, 12, np.where(marginal, 5, 1))
        if self.product.endswith("006") and self.date <= dt.date(2017, 8, 29):
            usefulness = np.where((modland == 0) & (self._octets[..., 7] < 3), 15, usefulness)
        near = ((excess > -0.2) & (excess <= 0)).astype(np.uint16)
        word = modland.astype(np.uint16) | usefulness.astype(np.uint16) << 2
        word |= np.uint16(1 << 6) | near << 8 | self._land_water() << 11
        word |= snow.astype(np.uint16) << 14
        word[gap] = 65535
        return word.astype(np.uint16)

    def _heat(self) -> Layers:
        """MOD11A2: mean of the clear days, at 1 km; a pixel is lost only under lasting cloud."""
        excess = _coarse(self.weather().excess) - np.float32(0.8)
        lost, poor = excess > 0, (excess > -0.5) & (excess <= 0)
        year, shape = self.date.year, excess.shape
        lst = _coarse(seen_lst(self.surface, self.platform, year))
        lst += 0.02 * self._noise(LST_NOISE, 0)[::2, ::2]
        lst += np.float32(WARMING_K * course(self.date)) - 2 * poor * (excess + np.float32(0.5))
        stored = np.clip(lst / 0.02, 7500, 65535)
        stored[lost] = 0
        step = np.arange(shape[1]) + self.world.window.left // 2
        swath = ((step // 5 * 7 + self.date.toordinal()) % 13 - 6) * 0.1
        hour = np.zeros(shape) + (view_hour(self.platform, year) + swath)
        very = poor & (excess > -0.15)
        qc = np.where(lost, 2, np.where(poor, 1 | 1 << 2 | 1 << 4 | 1 << 6, 0))
        qc = np.where(very, 1 | 1 << 2 | 1 << 4 | 2 << 6, qc)
        days = np.clip(6 - 4 * (excess + 0.8), 1, 8)
        return {
            "LST_Day_1km": stored.astype(np.uint16),
            "QC_Day": qc.astype(np.uint8),
            "Day_view_time": np.where(lost, 255, np.round(hour * 10)).astype(np.uint8),
            "Day_view_angl": np.where(lost, 255, 65 + step % 40).astype(np.uint8),
            "Emis_31": np.where(lost, 0, 240).astype(np.uint8),
            "Emis_32": np.where(lost, 0, 243).astype(np.uint8),
            "Clear_sky_days": np.where(lost, 0, days).astype(np.uint8),
        }


def _coarse(fine: Field) -> Field:
    """Mean of each 2 x 2 pixels, (h/2, w/2)."""
    height, width = fine.shape
    return fine.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)


def even(window: Window) -> Window:
    """The smallest window of 500 m pixels that holds ``window`` and whole pixels of 1 km."""
    top, left = window.top // 2 * 2, window.left // 2 * 2
    return Window(top, left, -(-window.bottom // 2) * 2 - top, -(-window.right // 2) * 2 - left)
