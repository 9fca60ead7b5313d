# SPDX-License-Identifier: Apache-2.0
"""How the index goes with each driver, and the drivers with each other, in one area."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from .autocorrelation import effective_size, gridded

Floats = NDArray[np.float64]


def correlation(table: pd.DataFrame, drivers: Sequence[str]) -> pd.DataFrame:
    """One row a driver: driver, n, pearson, p, n_eff, p_eff, spearman.

    ``table`` has columns x, y, rsei and each driver, one row a pixel of a regular grid; a row
    counts where both values are there. ``p`` takes pixels for independent, ``p_eff`` the effective
    number of them. NaN for fewer than 4 rows, and for a driver that is constant.
    """
    rows = []
    rsei, x, y = (table[name].to_numpy(np.float64) for name in ("rsei", "x", "y"))
    for driver in drivers:
        values = table[driver].to_numpy(np.float64)
        both = np.isfinite(rsei) & np.isfinite(values)
        first, second = rsei[both], values[both]
        row = {"driver": driver, "n": int(both.sum()), **dict.fromkeys(_NUMBERS, math.nan)}
        if both.sum() > 3 and np.ptp(first) > 0 and np.ptp(second) > 0:
            r = float(np.corrcoef(first, second)[0, 1])
            grids = (gridded(x[both], y[both], part) for part in (first, second))
            n_eff = effective_size(*grids)
            row |= {
                "pearson": r,
                "p": significance(r, int(both.sum())),
                "n_eff": n_eff,
                "p_eff": significance(r, n_eff),
                "spearman": float(scipy.stats.spearmanr(first, second).statistic),
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=["driver", "n", *_NUMBERS])


_NUMBERS = ("pearson", "p", "n_eff", "p_eff", "spearman")


def significance(r: float, n: float) -> float:
    """Chance, 0 to 1, of a correlation as strong as ``r`` among ``n`` independent pairs of nothing.

    ``n`` may be a fraction, as an effective number is; NaN up to 2.

    >>> round(significance(0.5, 16), 4)
    0.0486
    """
    if not n > 2:
        return math.nan
    if abs(r) >= 1:
        return 0.0
    return 2 * float(scipy.stats.t.sf(abs(r) * math.sqrt((n - 2) / (1 - r * r)), n - 2))


def matrix(table: pd.DataFrame, drivers: Sequence[str]) -> pd.DataFrame:
    """Pearson's r between all pairs of rsei and the drivers: first, second, n, pearson.

    Each pair counts the rows that have both; pairs stand once in each order, and with themselves.
    """
    names = ["rsei", *drivers]
    values = table[names].to_numpy(np.float64)
    rows = []
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            both = np.isfinite(values[:, i]) & np.isfinite(values[:, j])
            a, b = values[both, i], values[both, j]
            usual = both.sum() > 1 and np.ptp(a) > 0 and np.ptp(b) > 0
            r = float(np.corrcoef(a, b)[0, 1]) if usual else math.nan
            rows.append((first, second, int(both.sum()), r))
    return pd.DataFrame(rows, columns=["first", "second", "n", "pearson"])


def inflation(table: pd.DataFrame, drivers: Sequence[str]) -> pd.DataFrame:
    """Variance inflation of each driver, dimensionless: driver, vif; over the complete rows.

    1 / (1 - R2) of its regression on the others, which is the diagonal of the inverse correlation
    matrix; infinite where the others make it up. 10 is often called too much.
    """
    values = table[list(drivers)].to_numpy(np.float64)
    values = values[np.isfinite(values).all(axis=1)]
    vif = np.full(len(drivers), math.nan)
    if len(values) > len(drivers):
        spread = values.std(axis=0)
        scaled = (values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        for k in np.flatnonzero(spread > 0):
            others = np.delete(scaled, k, axis=1)
            fit = others @ np.linalg.lstsq(others, scaled[:, k])[0]
            rest = float(((scaled[:, k] - fit) ** 2).mean())
            vif[k] = 1 / rest if rest > 1e-12 else math.inf
    return pd.DataFrame({"driver": list(drivers), "vif": vif})
