# SPDX-License-Identifier: Apache-2.0
"""The answer that a run over simulated granules should find."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .simulated_noise import Field
from .simulated_scenes import seen_lst
from .simulated_surface import Surface, day_of
from .simulated_world import World

WETNESS = (0.1147, 0.2489, 0.2408, 0.3132, -0.3122, -0.6416, -0.5087)
"""Weights of b1 … b7. Source: Lobser & Cohen 2007.

Written again here, and not taken from the kernels, for a truth must not share their mistakes.
"""


@dataclass(frozen=True)
class Truth:
    """What an epoch's composite would be without clouds, faults and noise; (h, w) float32."""

    quality: Field
    """The latent ecological quality, 0 … 1."""

    reflectance: Field
    """Surface reflectance of b1 … b7, (7, h, w)."""

    ndvi: Field
    """As MOD13A1 would deliver it."""

    lst: Field
    """As MOD11A2 would deliver it at 1 km, K; the same in all four pixels of 500 m."""

    water: Field
    """Share of water."""

    pit: Field
    """Share of open pit."""

    def indicators(self) -> Mapping[str, Field]:
        """NDVI, wetness, NDBSI, LST (K) and MNDWI, each (h, w)."""
        b1, b2, b3, b4, _, b6, _ = self.reflectance
        wet = np.tensordot(np.asarray(WETNESS, np.float32), self.reflectance, axes=1)
        soil = ((b6 + b1) - (b2 + b3)) / ((b6 + b1) + (b2 + b3))
        built, green = 2 * b6 / (b6 + b2), b2 / (b2 + b1) + b4 / (b4 + b6)
        ndbsi = (soil + (built - green) / (built + green)) / 2
        mndwi = (b4 - b6) / (b4 + b6)
        return {"ndvi": self.ndvi, "wet": wet, "ndbsi": ndbsi, "lst": self.lst, "mndwi": mndwi}


def truth(world: World, epoch: int, reach: int = 1, platform: str = "MOD") -> Truth:
    """The truth of ``epoch``, the mean of its 2·reach+1 years; the window must hold whole 1 km."""
    years = range(epoch - reach, epoch + reach + 1)
    surfaces = {year: Surface.of(world, year) for year in years}
    greenness = [
        _ndvi(surface.on(day_of(year, day), 1), surface.on(day_of(year, day), 2))
        for year, surface in surfaces.items()
        for day in range(161, 274, 16)
    ]
    heat = _mean([seen_lst(surface, platform, year) for year, surface in surfaces.items()])
    height, width = heat.shape
    coarse = heat.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3), dtype=np.float32)
    return Truth(
        quality=_mean([world.quality(year) for year in years]),
        reflectance=_mean([surface.reflectance for surface in surfaces.values()]),
        ndvi=_mean(greenness),
        lst=np.repeat(np.repeat(coarse, 2, axis=0), 2, axis=1),
        water=world.water,
        pit=_mean([world.pit(year)[0] for year in years]),
    )


def _ndvi(red: Field, nir: Field) -> Field:
    """NDVI, dimensionless."""
    return (nir - red) / (nir + red)


def _mean(fields: list[Field]) -> Field:
    """Mean over the list, float32."""
    return np.asarray(np.mean(fields, axis=0, dtype=np.float64), np.float32)
