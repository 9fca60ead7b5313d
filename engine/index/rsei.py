# SPDX-License-Identifier: Apache-2.0
"""RSEI of an epoch: the second pass, which projects, and the final scale."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...kernels import projection
from ...kernels.launch import namespace
from ...kernels.moments import Moments
from .area import Projection
from .scopes import NO_TABLES, RSEI0, FixedTables, Group, final_groups
from .scopes import RseiSettings as RseiSettings
from .summaries import Extremes


@dataclass(frozen=True)
class Projected:
    """What the second pass finds of a region; regions add."""

    extremes: Extremes
    """The pixels of least and greatest RSEI0."""

    count: int
    """Pixels projected."""

    def __add__(self, other: Self) -> Self:
        """Of both regions together."""
        return type(self)(self.extremes + other.extremes, self.count + other.count)


def project(
    indicators: Any, reason: Any, how: Projection, origin: tuple[int, int] = (0, 0)
) -> tuple[Any, Projected]:
    """RSEI0, (h, w) float32, NaN where left out, and what its scale is made of.

    ``indicators`` are (4 or 5, h, w) float32, ``reason`` is (h, w) uint8, 0 for a valid pixel;
    ``origin`` is the row and column of the first pixel on the study's lattice.
    """
    flat = indicators.reshape(indicators.shape[0], -1)
    rsei0, keys = projection.project(flat, reason.ravel(), how.weights, how.offsets)
    extremes = Extremes.of(rsei0[None], keys, max(1, reason.shape[1]), origin)
    count = int((reason == 0).sum())
    return rsei0.reshape(reason.shape), Projected(extremes, count)


def final_limits(
    projected: Mapping[int, Projected],
    settings: RseiSettings,
    tables: FixedTables = NO_TABLES,
    percentiles: Mapping[Group, NDArray[np.float64]] | None = None,
) -> dict[int, tuple[float, float]]:
    """RSEI0 that becomes 0 and 1 in each epoch, by the scope of normalisation.

    ``percentiles``, (1, 2) of each of ``final_groups``, where the settings ask for them.
    """
    found = {}
    for epoch, group in final_groups(settings, list(projected), tables).items():
        if not group:
            found[epoch] = tables.limits[RSEI0]
        elif settings.percentages is None:
            extremes = reduce(add, [projected[one].extremes for one in group])
            low, high = extremes.lowest[0], extremes.highest[0]
            found[epoch] = (low.value if low else np.nan, high.value if high else np.nan)
        elif percentiles is None:
            raise ValueError(f"expected percentiles of {group} for limits = {settings.limits}")
        else:
            low_high = percentiles[group][0].tolist()
            found[epoch] = (low_high[0], low_high[1])
    return found


def scaled(rsei0: Any, limits: tuple[float, float]) -> tuple[Any, int, int]:
    """RSEI, 0 to 1, float32, of ``rsei0``, and the pixels clipped to 0 and to 1.

    Raises ValueError where the limits coincide.
    """
    xp = namespace(rsei0)
    low, high = np.float32(limits[0]), np.float32(limits[1])
    if not high > low:
        raise ValueError(f"expected limits of RSEI0 with min < max, found {limits}")
    below, above = int((rsei0 < low).sum()), int((rsei0 > high).sum())
    return xp.clip((rsei0 - low) / (high - low), np.float32(0), np.float32(1)), below, above


@dataclass(frozen=True)
class Agreement:
    """How two epochs' RSEI0 go together, for the direction rule ``reference``; regions add."""

    moments: Moments
    """Exact sums of the pairs, over the pixels valid in both."""

    @classmethod
    def of(cls, rsei0: Any, reference: Any) -> Self:
        """That of two layers, (h, w) float32, NaN where left out."""
        pair = namespace(rsei0).zeros((4, rsei0.size), np.float32)
        pair[0], pair[1] = rsei0.ravel(), reference.ravel()
        return cls(Moments.of(pair, ((-1024.0, 1024.0),) * 2 + ((-1.0, 1.0),) * 2))

    def __add__(self, other: Self) -> Self:
        """Of both regions together."""
        return type(self)(self.moments + other.moments)

    def correlation(self) -> float:
        """Pearson's r, of the pixels valid in both; 0 where there are none or nothing varies."""
        if not self.moments.count:
            return 0.0
        covariance = self.moments.covariance()
        spread = float(np.sqrt(covariance[0, 0] * covariance[1, 1]))
        return float(covariance[0, 1]) / spread if spread else 0.0
