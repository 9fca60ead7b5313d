# SPDX-License-Identifier: Apache-2.0
"""RSEI of arrays in memory: all epochs of an area at once, or a data set of one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .area import EpochPca, area_pca
from .indicators import (
    RANGES,
    Block,
    IndicatorSettings,
    Layers,
    UserRaster,
    epoch_block,
)
from .limits import Detail, Histogram, percentiles
from .rsei import Agreement, Projected, final_limits, project, scaled
from .scopes import NO_TABLES, FixedTables, Group, RseiSettings, final_groups, groups
from .summaries import INDICATORS

MINMAX = RseiSettings()


@dataclass(frozen=True)
class Assessed:
    """RSEI of one epoch, and how it came about."""

    rsei: Any
    """RSEI, 0 to 1, (h, w) float32, NaN where left out."""

    pca: EpochPca
    """Limits, loadings, direction and notices."""

    scale: tuple[float, float]
    """RSEI0 that becomes 0 and 1."""

    projected: Projected
    """The pixels of least and greatest RSEI0."""

    clipped: tuple[int, int]
    """Pixels clipped to 0 and to 1."""


def assess(
    blocks: Mapping[int, Block],
    settings: RseiSettings = MINMAX,
    tables: FixedTables = NO_TABLES,
    area: str = "area",
) -> dict[int, Assessed]:
    """RSEI of each epoch of one area, whose blocks are whole and on one grid.

    Raises NothingValid, ConstantIndicator and StudyError.
    """
    epochs = sorted(blocks)
    summaries = {epoch: blocks[epoch].summary for epoch in epochs}
    limits = None
    if settings.percentages:
        values = {epoch: (blocks[epoch].indicators[:4], blocks[epoch].reason) for epoch in epochs}
        limits = _percentiles(values, set(groups(settings, epochs).values()), settings.percentages)
    first = area_pca(summaries, settings, tables, limits, None, area)
    if settings.direction == "reference" and settings.reference in first:
        agreements = _agreements(blocks, first, settings.reference)
        first = area_pca(summaries, settings, tables, limits, agreements, area)
    layers, projected = {}, {}
    for epoch in epochs:
        block = blocks[epoch]
        how = first[epoch].projection
        layers[epoch], projected[epoch] = project(block.indicators, block.reason, how)
    scales = None
    if settings.percentages:
        values = {epoch: (layers[epoch][None], blocks[epoch].reason) for epoch in epochs}
        wanted = set(final_groups(settings, epochs, tables).values())
        scales = _percentiles(values, wanted, settings.percentages)
    ends = final_limits(projected, settings, tables, scales)
    found = {}
    for epoch in epochs:
        layer, below, above = scaled(layers[epoch], ends[epoch])
        found[epoch] = Assessed(layer, first[epoch], ends[epoch], projected[epoch], (below, above))
    return found


def rsei_of(
    indicators: xr.Dataset, settings: RseiSettings = MINMAX, water: float | None = 0.0
) -> tuple[xr.DataArray, EpochPca]:
    """RSEI, 0 to 1, (y, x) float32, of ``ndvi``, ``wet``, ``ndbsi`` and ``lst`` in K.

    Pixels whose ``mndwi``, if there is one, is above ``water`` are left out, as are those that
    lack an indicator. For one epoch and one area in memory.

    >>> values = np.random.default_rng(0).random((4, 20, 20))
    >>> names = dict(zip(INDICATORS, values + [[[0]], [[0]], [[-1]], [[300]]]))
    >>> layers = {name: (("y", "x"), layer) for name, layer in names.items()}
    >>> layer, pca = rsei_of(xr.Dataset(layers))
    >>> float(layer.min()), float(layer.max())
    (0.0, 1.0)
    """
    rasters = {name: indicators[name].values.astype(np.float32) for name in INDICATORS}
    inside = np.ones(rasters["ndvi"].shape, bool)
    if water is not None and "mndwi" in indicators:
        inside &= ~(indicators["mndwi"].values > water)
    own = [UserRaster(raster=name, range=RANGES[name]) for name in INDICATORS]
    given = IndicatorSettings(greenness=own[0], wetness=own[1], ndbsi=own[2], heat=own[3])
    block = epoch_block(Layers(inside, rasters), given, None)
    result = assess({0: block}, settings)[0]
    return indicators["ndvi"].copy(data=result.rsei).rename("rsei"), result.pca


def _percentiles(
    values: Mapping[int, tuple[Any, Any]], wanted: set[Group], percentages: tuple[float, float]
) -> dict[Group, NDArray[np.float64]]:
    """Percentiles of each layer over the epochs of each group, by the two passes."""
    found = {}
    for group in wanted:
        if group:
            parts = [values[epoch] for epoch in group]
            histogram = reduce(add, [Histogram.of(*part) for part in parts])
            bins = histogram.bins(percentages)
            detail = reduce(add, [Detail.of(*part, bins) for part in parts])
            found[group] = percentiles(histogram, detail, percentages)
    return found


def _agreements(
    blocks: Mapping[int, Block], first: Mapping[int, EpochPca], reference: int
) -> dict[int, float]:
    """Correlation of each epoch's component, along the canonical vector, with the reference's."""

    def component(epoch: int) -> Any:
        block, how = blocks[epoch], first[epoch].canonical
        return project(block.indicators, block.reason, how)[0]

    anchor = component(reference)
    return {epoch: Agreement.of(component(epoch), anchor).correlation() for epoch in blocks}
