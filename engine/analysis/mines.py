# SPDX-License-Identifier: Apache-2.0
"""Mines one by one: their size, their RSEI, and how the one goes with the other."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy
import shapely
from numpy.typing import NDArray

from .curves import Segmented
from .polygons import Geometries, areas_km2
from .stacks import Stack

SIZE_EDGES = (0.25, 0.5, 0.75, 1.0)
"""Lower edges of the size classes from the second on, km2. Source: the study."""

SIZE_CLASSES = ("<0.25", "0.25-0.5", "0.5-0.75", "0.75-1", ">=1")
"""Names of the size classes; a lower edge belongs to its class."""

WHISKER = 1.5
"""Reach of a box's whiskers beyond the quartiles, in distances between them. Source: Tukey."""


def mine_table(
    stack: Stack,
    mines: Sequence[shapely.Geometry] | Geometries,
    crs: str,
    names: Sequence[int] | None = None,
) -> pd.DataFrame:
    """The table ``mines``: area, size class and mean RSEI of each mine, by epoch.

    The mean is weighted by coverage, whose sum over the valid pixels is ``coverage_px``; a mine
    without any keeps its rows with a blank mean. ``names`` are the numbers of the mines in their
    file; by default they count from 0. Areas are those of ESRI:102025.
    """
    coverage = stack.coverage(mines, crs)
    area = areas_km2(mines, crs)
    tables = []
    for epoch, layer in stack.layers():
        found = coverage.statistics(np.ascontiguousarray(layer))
        table = pd.DataFrame({"area": stack.area, "mine": names or range(len(area))})
        table["epoch"] = epoch
        table["area_km2"] = area
        table["size_class"] = size_class(area)
        table["coverage_px"] = found["n"]
        table["mean"] = found["mean"]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def size_class(area_km2: Sequence[float] | NDArray[np.float64]) -> list[str]:
    """Name of the size class of each area, km2.

    >>> size_class([0.1, 0.25, 0.999, 1])
    ['<0.25', '0.25-0.5', '0.75-1', '>=1']
    """
    return [SIZE_CLASSES[k] for k in np.searchsorted(SIZE_EDGES, area_km2, side="right")]


BOX = ("n", "mean", "std", "min", "whisker_low", "p25", "median", "p75", "whisker_high", "max")
"""Statistics of a box, in the order of the table."""


def size_classes(table: pd.DataFrame) -> pd.DataFrame:
    """The table ``size_classes``: box statistics of the mines' RSEI by size class and epoch.

    ``table`` is the table ``mines``. Quantiles are linear; a whisker ends at the last mine within
    1.5 distances of the quartiles. A class without mine keeps its row.
    """
    rows = []
    for (area, epoch), group in table.groupby(["area", "epoch"], sort=False):
        for name in SIZE_CLASSES:
            means = group.loc[group["size_class"] == name, "mean"].dropna().to_numpy()
            rows.append([area, epoch, name, *box(means)])
    return pd.DataFrame(rows, columns=["area", "epoch", "size_class", *BOX]).astype({"n": int})


def box(values: NDArray[np.float64]) -> list[float]:
    """The statistics named in ``BOX``, NaN but for n where there is no value."""
    if not len(values):
        return [0, *[np.nan] * (len(BOX) - 1)]
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    reach = WHISKER * (high - low)
    whiskers = values[values >= low - reach].min(), values[values <= high + reach].max()
    ends = values.min(), values.max()
    return [
        len(values),
        values.mean(),
        values.std(),
        ends[0],
        whiskers[0],
        low,
        middle,
        high,
        whiskers[1],
        ends[1],
    ]


def size_effect(table: pd.DataFrame) -> pd.DataFrame:
    """The table ``size_effect``: how RSEI goes with the size of a mine, by epoch.

    ``table`` is the table ``mines``. Spearman's rank correlation with its p, and two straight
    lines of RSEI on the area: ``threshold_km2`` with its 95 % interval, the slopes per km2 before
    and after it, and Davies' p of a break. Blank where fewer than 6 different sizes have RSEI.
    """
    rows = []
    for (area, epoch), group in table.groupby(["area", "epoch"], sort=False):
        held = group.dropna(subset="mean")
        size, mean = held["area_km2"].to_numpy(), held["mean"].to_numpy()
        row = [area, epoch, len(held), *[np.nan] * 8]
        if len(np.unique(size)) >= 6:
            if np.ptp(mean) > 0:
                row[3:5] = scipy.stats.spearmanr(size, mean)
            found = Segmented.of(size, mean)
            row[5:8] = [found.breakpoint, found.low, found.high]
            row[8:] = [found.before, found.after, found.p]
        rows.append(row)
    fit = ["threshold_km2", "low", "high", "slope_before", "slope_after", "p_break"]
    return pd.DataFrame(rows, columns=["area", "epoch", "n", "spearman", "p", *fit])
