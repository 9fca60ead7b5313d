# SPDX-License-Identifier: Apache-2.0
"""What stands between the landscape and the satellite: clouds, shadows, cirrus, snow, gaps."""

import datetime as dt
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from .grids import SINUSOIDAL_1KM, SINUSOIDAL_500M, Window
from .simulated_noise import Field, fractal, key, uniform

Mask = NDArray[np.bool_]

SHADOW = 3, 2
"""Rows and columns from a shadow to its cloud: the morning sun stands in the south-east."""

MARGIN = 4
"""Pixels around the window from which a shadow may fall into it."""

MIXED, ADJACENT = -0.12, -0.30
"""Excess down to which a pixel is partly cloudy, and adjacent to cloud."""

SNOW_LINE = 800.0, 165
"""Height, m, above which snow lies, and the day of the year until which it may."""


@dataclass(frozen=True)
class Weather:
    """The sky over one window in one 8-day period; every mask is (h, w)."""

    seed: int
    date: dt.date
    """First day of the period."""

    window: Window
    """Pixels of the 500 m lattice."""

    def _draw(self, name: str) -> float:
        """A number in 0 … 1 for the whole period."""
        return uniform(self.seed, name, self.date.toordinal())

    @property
    def cover(self) -> float:
        """Share of the sky that is cloudy: most periods are clear, a few nearly overcast."""
        return 0.03 + 0.55 * self._draw("cover") ** 2.2

    @cached_property
    def _around(self) -> Field:
        """How far the cloud exceeds its threshold, on the window with its margin."""
        wide = self.window.grown(MARGIN)
        coarse = SINUSOIDAL_1KM.covering(wide, SINUSOIDAL_500M)
        cloud = fractal(key(self.seed, "cloud", self.date.toordinal()), coarse, (48, 20, 9, 4), 0.6)
        fine = np.repeat(np.repeat(cloud, 2, axis=0), 2, axis=1)
        where = wide.slices(Window(*(2 * edge for edge in _corners(coarse))))
        return fine[where] - np.float32(ndtri(1 - self.cover))

    @property
    def excess(self) -> Field:
        """Cloud above 0, clear below; the sky is sampled at 1 km, as the cloud mask is."""
        return self._around[MARGIN:-MARGIN, MARGIN:-MARGIN]

    @property
    def cloudy(self) -> Mask:
        """Covered by cloud."""
        return self.excess > 0

    @property
    def mixed(self) -> Mask:
        """Partly covered."""
        return (self.excess > MIXED) & (self.excess <= 0)

    @property
    def adjacent(self) -> Mask:
        """Clear, beside a cloud."""
        return (self.excess > ADJACENT) & (self.excess <= MIXED)

    @property
    def shadow(self) -> Mask:
        """Clear, in the shadow of a cloud."""
        rows, columns = (slice(MARGIN + shift, shift - MARGIN) for shift in SHADOW)
        return (self._around[rows, columns] > 0) & (self.excess <= MIXED)

    @cached_property
    def cirrus(self) -> NDArray[np.uint8]:
        """Thin high cloud: 0 none, 1 small, 2 average, 3 high."""
        coarse = SINUSOIDAL_1KM.covering(self.window, SINUSOIDAL_500M)
        veil = fractal(key(self.seed, "cirrus", self.date.toordinal()), coarse, (70, 20))
        veil += np.float32(self._draw("veil") - 1.6)
        grade = (veil > 0).astype(np.uint8) + (veil > 0.5) + (veil > 1.0)
        fine = np.repeat(np.repeat(grade, 2, axis=0), 2, axis=1)
        return fine[self.window.slices(Window(*(2 * edge for edge in _corners(coarse))))]

    @cached_property
    def gap(self) -> Mask:
        """Not seen by any orbit: in one period of ten, slanting stripes some pixels wide."""
        row, column = np.ogrid[
            self.window.top : self.window.bottom, self.window.left : self.window.right
        ]
        if self._draw("gap") > 0.1:
            return np.zeros(self.window.shape, bool)
        place = (column + row // 3 - int(1000 * self._draw("orbit"))) % 130
        return np.asarray(place < 5)

    def snow(self, dem: Field) -> Mask:
        """Snow on high relief, early in the season of one year of three."""
        height, last = SNOW_LINE
        if uniform(self.seed, "snow", self.date.year) > 0.4:
            return np.zeros(self.window.shape, bool)
        day = self.date.timetuple().tm_yday
        return (dem > height + 8 * (day - 153)) & (day <= last)


def _corners(window: Window) -> tuple[int, int, int, int]:
    """Top, left, height and width."""
    return window.top, window.left, window.height, window.width
