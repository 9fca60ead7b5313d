# SPDX-License-Identifier: Apache-2.0
"""What a region's pixels come to, in kilobytes: regions add, in any order, to the same bits."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ...kernels import extremes
from ...kernels.moments import Moments
from ..sources.grids import Lattice, Window, carrier

INDICATORS = ("ndvi", "wet", "ndbsi", "lst")
"""The indicators, in the order of every table, vector and matrix."""

VALID = "valid"

REASONS = (
    "outside",
    "no_reflectance",
    "no_ndvi",
    "no_lst",
    "floor",
    "mndwi_water",
    "land_cover_water",
    "no_wet",
    "no_ndbsi",
    "out_of_range",
)
"""Why a pixel is left out, in order: the first that applies is counted. Its code is its place here
plus one, as 0 is a valid pixel. The last three need a user's own raster."""


@dataclass(frozen=True)
class Extreme:
    """The pixel that sets a limit."""

    value: float
    """Its value, in the layer's unit."""

    row: int
    """Its row on the lattice of the study."""

    column: int
    """Its column."""

    def place(self, lattice: Lattice) -> dict[str, float]:
        """x and y of its centre in the CRS of ``lattice``, and longitude and latitude, degrees."""
        window = Window(self.row, self.column, 1, 1)
        x, y = float(lattice.x(window)[0]), float(lattice.y(window)[0])
        # MODIS coordinates are of a sphere; its latitudes are taken as geodetic, as MODIS does.
        lon, lat = carrier(lattice.crs, "EPSG:4326").transform(x, y)
        return {"x": x, "y": y, "lon": lon, "lat": lat}


@dataclass(frozen=True)
class Extremes:
    """The pixels with the least and the greatest value of each layer, the first of equals."""

    lowest: tuple[Extreme | None, ...]
    """For each layer the pixel of its least value; None where no pixel is valid."""

    highest: tuple[Extreme | None, ...]
    """For each layer the pixel of its greatest value."""

    @classmethod
    def of(cls, values: Any, keys: Any, width: int, origin: tuple[int, int] = (0, 0)) -> Self:
        """The extremes of ``values``, (k, N), whose ``keys``, (rows, 2 k) int64, a kernel left.

        The pixels fill rows of ``width`` from ``origin``, a row and a column of the lattice.
        """
        pixels = extremes.pixels(keys.min(axis=0))
        count = len(pixels) // 2

        def found(layer: int, pixel: int | None) -> Extreme | None:
            if pixel is None:
                return None
            row, column = divmod(pixel, width)
            return Extreme(float(values[layer, pixel]), origin[0] + row, origin[1] + column)

        return cls(
            tuple(found(layer, pixels[layer]) for layer in range(count)),
            tuple(found(layer, pixels[count + layer]) for layer in range(count)),
        )

    def __add__(self, other: Self) -> Self:
        """The extremes of both regions together."""
        return type(self)(
            tuple(_first(a, b, 1) for a, b in zip(self.lowest, other.lowest, strict=True)),
            tuple(_first(a, b, -1) for a, b in zip(self.highest, other.highest, strict=True)),
        )


@dataclass(frozen=True)
class Summary:
    """Everything the PCA of an epoch needs to know of the pixels of a region."""

    moments: Moments
    """Exact sums over the valid pixels."""

    extremes: Extremes
    """The valid pixels with the least and greatest value of each indicator."""

    reasons: Mapping[str, int]
    """Pixels by ``valid`` and each of ``REASONS``."""

    water_kept: int
    """Valid pixels whose MNDWI is above zero: water, perhaps, that the settings let in."""

    @property
    def count(self) -> int:
        """Number of valid pixels."""
        return self.moments.count

    def __add__(self, other: Self) -> Self:
        """The summary of both regions together."""
        return type(self)(
            self.moments + other.moments,
            self.extremes + other.extremes,
            {reason: n + other.reasons[reason] for reason, n in self.reasons.items()},
            self.water_kept + other.water_kept,
        )

    def minima(self) -> tuple[float, ...]:
        """Least value of each indicator, (4,); NaN where no pixel is valid."""
        return tuple(np.nan if one is None else one.value for one in self.extremes.lowest)

    def maxima(self) -> tuple[float, ...]:
        """Greatest value of each indicator, (4,)."""
        return tuple(np.nan if one is None else one.value for one in self.extremes.highest)


def _first(a: Extreme | None, b: Extreme | None, sign: int) -> Extreme | None:
    """The pixel with the less value times ``sign``, and of equals the northern, then western."""
    if a is None or b is None:
        return a or b
    return min(a, b, key=lambda one: (sign * one.value, one.row, one.column))
