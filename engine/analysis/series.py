# SPDX-License-Identifier: Apache-2.0
"""How RSEI is distributed in an area, its mines and the rest, epoch by epoch; and by latitude."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from ...kernels.shares import Shares
from ...kernels.zonal import LabelSums, Runs
from .polygons import Geometries, moved
from .stacks import Stack, Zone

PERCENTS = {"p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95}
"""Quantiles of the series, by column."""

COLUMNS = ("n", "mean", "std", "min", *PERCENTS, "max")
"""Statistics of a set of pixels, in the order of the table."""

Floats = NDArray[np.float32] | NDArray[np.float64]


def statistics(values: NDArray[np.float32], shares: NDArray[np.float64] | None) -> list[float]:
    """The statistics named in ``COLUMNS`` of RSEI, (n,), none of it NaN.

    Mean and std (ddof 0) by exact sums, quantiles linear and exact; with ``shares`` all are
    weighted and n is their sum. Without a value all but n is NaN.
    """
    if not len(values):
        return [0.0, *[np.nan] * (len(COLUMNS) - 1)]
    if shares is None:
        whole = Runs.of(np.ones(len(values), np.int8), 1)
        found = LabelSums.of(values, whole).statistics()[0]
        marks = np.quantile(values.astype(np.float64), list(PERCENTS.values()))
    else:
        bounds = np.array([0, len(values)])
        found = Shares.of(bounds, np.arange(len(values)), shares).statistics(values)[0]
        marks = weighted_quantiles(values, shares, list(PERCENTS.values()))
    ends = float(values.min()), float(values.max())
    return [*found[:3].tolist(), ends[0], *marks.tolist(), ends[1]]


def weighted_quantiles(
    values: Floats, weights: NDArray[np.float64], marks: Sequence[float]
) -> NDArray[np.float64]:
    """Quantiles of ``values``, (n,), at the shares ``marks``, each value counting by its weight.

    Equal weights give NumPy's linear quantiles. Value k of the sorted ones, from 0, stands at
    k w_k + (n - 1) times the sum of the weights before it. Source: exactextract's definition.
    """
    order = np.argsort(values, kind="stable")
    held, weight = np.asarray(values, np.float64)[order], weights[order]
    held, weight = held[weight > 0], weight[weight > 0]
    before = np.cumsum(weight) - weight
    place = np.arange(len(held)) * weight + (len(held) - 1) * before
    return np.interp(np.asarray(marks) * place[-1], place, held)


def series(stack: Stack, zones: Sequence[Zone]) -> pd.DataFrame:
    """The table ``series``: statistics of RSEI by zone and epoch, and of the multi-year mean."""
    rows = [
        [stack.area, zone.name, epoch, *statistics(*zone.of(layer))]
        for zone in zones
        for epoch, layer in stack.layers()
    ]
    return pd.DataFrame(rows, columns=["area", "zone", "epoch", *COLUMNS])


def latitude_profile(
    stack: Stack,
    mines: Sequence[shapely.Geometry] | Geometries | None = None,
    crs: str = "OGC:CRS84",
    width: float = 0.1,
) -> pd.DataFrame:
    """The table ``latitude``: n, mean and std of RSEI in bins ``width`` degrees wide.

    A bin holds its lower edge and is named by its centre; a mine counts in that of its
    representative point. Bins without pixel in any epoch and without mine are left out.
    """
    bins = np.floor(stack.centres()[1] / width).astype(np.int64)
    points = np.zeros(0, np.int64)
    if mines is not None and len(mines):
        inner = shapely.get_coordinates(shapely.point_on_surface(np.asarray(mines, dtype=object)))
        points = np.floor(moved(inner, crs, "OGC:CRS84")[:, 1] / width).astype(np.int64)
    first = int(min([bins.min(), *points]))
    count = int(max([bins.max(), *points])) - first + 1
    held = np.bincount(points - first, minlength=count)
    runs = Runs.of(bins - first + 1, count)
    middle = np.round((np.arange(first, first + count) + 0.5) * width, 9)
    shown = np.isin(np.arange(count), bins[~np.isnan(stack.mean.reshape(-1))] - first) | (held > 0)
    tables = []
    for epoch, layer in stack.layers():
        found = LabelSums.of(np.ascontiguousarray(layer).reshape(-1), runs).statistics()
        table = pd.DataFrame(found[:, :3], columns=["n", "mean", "std"]).astype({"n": np.int64})
        table.insert(0, "latitude", middle)
        table.insert(0, "epoch", epoch)
        table.insert(0, "area", stack.area)
        tables.append(table.assign(mines=held)[shown])
    return pd.concat(tables, ignore_index=True)
