# SPDX-License-Identifier: Apache-2.0
"""The first pass over an area's epochs: limits, components and direction, from summaries."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from ..sources.errors import StudyError
from .directions import Directions, directions
from .pca import (
    Components,
    Limits,
    Normalised,
    Vector,
    along,
    components,
    pooled,
    require_pixels,
    require_widths,
)
from .scopes import NO_TABLES, FixedTables, Group, RseiSettings, groups
from .signatures import signatures
from .summaries import INDICATORS, Summary


@dataclass(frozen=True)
class Projection:
    """What turns the indicators of a pixel into RSEI0: weights times distances from offsets."""

    weights: tuple[float, ...]
    """Loading over width of the limits, in one over the indicator's unit, (4,)."""

    offsets: tuple[float, ...]
    """The value that becomes 0, in its unit, (4,)."""


@dataclass(frozen=True)
class EpochPca:
    """The result of the first pass for one epoch of one area."""

    summary: Summary
    """The epoch's own pixels."""

    limits: Limits
    """Limits of the indicators."""

    components: Components
    """Components of the scope, canonical."""

    directions: Directions
    """Verdicts of all rules."""

    sign: int
    """1 or -1, by the rule that the settings name."""

    notices: tuple[str, ...]
    """Warnings and signatures of known mistakes."""

    @property
    def vector(self) -> Vector:
        """Loadings of PC1 as used, (4,)."""
        return self.sign * self.components.first

    @property
    def projection(self) -> Projection:
        """How the second pass makes RSEI0."""
        return self._along(self.vector)

    @property
    def canonical(self) -> Projection:
        """How RSEI0 is made along the canonical vector, to correlate epochs before any verdict."""
        return self._along(self.components.first)

    def _along(self, vector: Vector) -> Projection:
        return Projection(tuple((vector / self.limits.widths).tolist()), self.limits.low)


def area_pca(
    summaries: Mapping[int, Summary],
    settings: RseiSettings,
    tables: FixedTables = NO_TABLES,
    percentiles: Mapping[Group, NDArray[np.float64]] | None = None,
    correlations: Mapping[int, float] | None = None,
    area: str = "area",
) -> dict[int, EpochPca]:
    """Limits, components and direction of each epoch of one area.

    ``percentiles``, (4, 2) of each of ``groups``, are needed where the settings ask for them;
    ``correlations`` are those of ``directions``. Raises NothingValid or ConstantIndicator, naming
    area and epoch, and StudyError for an incomplete table.
    """
    for epoch, summary in summaries.items():
        require_pixels(summary, f"{area}, epoch {epoch}")
    limits = _indicator_limits(summaries, settings, tables, percentiles)
    for epoch, one in limits.items():
        require_widths(one, f"{area}, epoch {epoch}")
    normal = {epoch: Normalised.of(summaries[epoch], one) for epoch, one in limits.items()}
    parts = _components(normal, settings, tables)
    verdicts = directions(
        {epoch: one.first for epoch, one in parts.items()}, settings.reference, correlations
    )
    return {
        epoch: EpochPca(
            summaries[epoch],
            limits[epoch],
            parts[epoch],
            verdicts[epoch],
            verdicts[epoch].verdicts[settings.direction].sign,
            (
                *signatures(summaries[epoch], normal[epoch], parts[epoch]),
                *verdicts[epoch].warnings(),
            ),
        )
        for epoch in sorted(summaries)
    }


def _indicator_limits(
    summaries: Mapping[int, Summary],
    settings: RseiSettings,
    tables: FixedTables,
    percentiles: Mapping[Group, NDArray[np.float64]] | None,
) -> dict[int, Limits]:
    found = {}
    for epoch, group in groups(settings, list(summaries)).items():
        if not group:
            pairs = [tables.limits.get(name) for name in INDICATORS]
            if None in pairs:
                raise StudyError(
                    f"expected rows {', '.join(INDICATORS)} in rsei.limits_table, found "
                    f"{', '.join(tables.limits) or 'none'}"
                )
            found[epoch] = Limits(*zip(*(pair for pair in pairs if pair), strict=True))
        elif settings.percentages is None:
            extremes = reduce(add, [summaries[one].extremes for one in group])
            sides = (extremes.lowest, extremes.highest)
            found[epoch] = Limits(*(tuple(one.value for one in side if one) for side in sides))
        elif percentiles is None:
            raise ValueError(f"expected percentiles of {group} for limits = {settings.limits}")
        else:
            low, high = percentiles[group].T.tolist()
            found[epoch] = Limits(tuple(low), tuple(high))
    return found


def _components(
    normal: Mapping[int, Normalised], settings: RseiSettings, tables: FixedTables
) -> dict[int, Components]:
    if settings.pca == "epoch":
        return {epoch: components(one.covariance) for epoch, one in normal.items()}
    if settings.pca == "fixed":
        vector = _loadings(tables)
        return {epoch: along(one.covariance, vector) for epoch, one in normal.items()}
    every = sorted(normal) if settings.pca == "pooled" else [settings.reference or 0]
    return dict.fromkeys(normal, components(pooled([normal[one] for one in every]).covariance))


def _loadings(tables: FixedTables) -> Vector:
    if set(tables.loadings) != set(INDICATORS):
        raise StudyError(
            f"expected rows {', '.join(INDICATORS)} in rsei.loadings_table, found "
            f"{', '.join(tables.loadings) or 'none'}"
        )
    vector = np.array([tables.loadings[name] for name in INDICATORS], np.float64)
    if not 0 < np.linalg.norm(vector) < np.inf:
        raise StudyError(f"expected numbers in rsei.loadings_table, not all 0, found {vector}")
    return vector / np.linalg.norm(vector)
