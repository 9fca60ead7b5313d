"""Geographical detector: how much of the variance of the index the strata of a driver hold."""

import math
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]
Strata = NDArray[np.intp]
Cuts = Callable[[Floats, int], Floats]

STRATA = range(3, 9)
"""Numbers of strata that are tried. Source: Song et al. 2020, GIScience & Remote Sensing 57(5)."""

SAMPLE = 500
"""Most values from which natural breaks are sought: the search grows with their square."""


def equal_width(values: Floats, strata: int) -> Floats:
    """Upper edges of all strata but the last, of equal width.

    >>> equal_width(np.array([0.0, 3.0, 6.0]), 3).tolist()
    [2.0, 4.0]
    """
    return np.linspace(values.min(), values.max(), strata + 1)[1:-1]


def equal_count(values: Floats, strata: int) -> Floats:
    """Upper edges of all strata but the last, of as many values each."""
    return np.quantile(values, np.linspace(0, 1, strata + 1)[1:-1])


def natural(values: Floats, strata: int) -> Floats:
    """Upper edges of all strata but the last, of the least squared deviation within them.

    Exact for up to ``SAMPLE`` values; of more, as many quantiles stand for them.

    Source: Fisher 1958, On grouping for maximum homogeneity; Jenks 1967.
    """
    ordered = np.sort(values)
    if ordered.size > SAMPLE:
        ordered = np.quantile(ordered, np.linspace(0, 1, SAMPLE))
    n = ordered.size
    centred = ordered - ordered.mean()
    sums = np.concatenate([[0.0], centred.cumsum()])
    squares = np.concatenate([[0.0], (centred**2).cumsum()])
    cost = squares[1:] - sums[1:] ** 2 / np.arange(1, n + 1)  # of the first j + 1 in one stratum
    starts = np.zeros((strata, n), np.intp)
    for k in range(1, strata):
        best = np.full(n, math.inf)
        for last in range(k, n):
            first = np.arange(k, last + 1)  # where the last stratum may begin
            inner = squares[last + 1] - squares[first]
            inner -= (sums[last + 1] - sums[first]) ** 2 / (last + 1 - first)
            total = cost[first - 1] + inner
            starts[k, last] = first[total.argmin()]
            best[last] = total.min()
        cost = best
    cuts, last = [], n - 1
    for k in range(strata - 1, 0, -1):
        last = starts[k, last] - 1
        cuts.append(ordered[last])
    return np.array(cuts[::-1])


METHODS: dict[str, Cuts] = {"equal": equal_width, "quantile": equal_count, "natural": natural}
"""Ways to cut a driver into strata."""


def q_statistic(rsei: Floats, strata: Strata) -> tuple[float, float]:
    """Share of the variance of ``rsei`` that ``strata`` hold, 0 to 1, and the chance of as much.

    The chance is that of a noncentral F, as strata differ in their means even at random. NaN where
    all of ``rsei`` is equal, or there are no more values than strata.

    Source: Wang, Zhang and Fu 2016, Ecological Indicators 67, 250-256, eq. 1 and 3-5.
    """
    labels, which, counts = np.unique(strata, return_inverse=True, return_counts=True)
    n, groups = rsei.size, labels.size
    total = float(((rsei - rsei.mean()) ** 2).sum()) if n else 0.0
    if total == 0 or n <= groups:
        return math.nan, math.nan
    means = np.bincount(which, rsei) / counts
    within = float(((rsei - means[which]) ** 2).sum())
    q = 1 - within / total
    if groups < 2:
        return q, math.nan
    if within == 0:
        return q, 0.0
    f = (n - groups) / (groups - 1) * q / (1 - q)
    lean = (means**2).sum() - (np.sqrt(counts) * means).sum() ** 2 / n
    noncentrality = max(0.0, float(lean) / (total / n))
    p = float(stats.ncf.sf(f, groups - 1, n - groups, noncentrality))
    return q, min(1.0, max(0.0, p))


def stratified(values: Floats, cuts: Floats) -> Strata:
    """The stratum of each value: as many as the cuts that lie below it."""
    return np.searchsorted(cuts, values, side="left")


def factors(table: pd.DataFrame, drivers: Sequence[str]) -> pd.DataFrame:
    """The strata of each driver that hold most: driver, method, strata, n, q, p.

    All ``METHODS`` and 3 to 8 strata are tried; of equal q the fewer strata. One row a driver.
    """
    found = [_best(table, driver) for driver in drivers]
    columns = ["driver", "method", "strata", "n", "q", "p"]
    return pd.DataFrame([row for row, _ in found], columns=columns)


def interactions(table: pd.DataFrame, drivers: Sequence[str]) -> pd.DataFrame:
    """What two drivers hold together: first, second, n, q_first, q_second, q, kind.

    Each in its best strata, over the rows that have both. ``kind`` follows Wang and Xu 2017:
    weakened, one weakened, independent, enhanced or enhanced beyond the sum.
    """
    rows = []
    best = {driver: _best(table, driver)[1] for driver in drivers}
    rsei = table["rsei"].to_numpy(np.float64)
    for first, second in combinations(drivers, 2):
        both = np.isfinite(rsei) & (best[first] >= 0) & (best[second] >= 0)
        a, b = best[first][both], best[second][both]
        q_a, q_b = q_statistic(rsei[both], a)[0], q_statistic(rsei[both], b)[0]
        q = q_statistic(rsei[both], a * (b.max(initial=0) + 1) + b)[0]
        rows.append((first, second, int(both.sum()), q_a, q_b, q, kind(q_a, q_b, q)))
    columns = ["first", "second", "n", "q_first", "q_second", "q", "kind"]
    return pd.DataFrame(rows, columns=columns)


def kind(first: float, second: float, together: float) -> str:
    """The name of an interaction.

    >>> kind(0.2, 0.3, 0.6), kind(0.2, 0.3, 0.4), kind(0.2, 0.3, 0.25), kind(0.2, 0.3, 0.1)
    ('enhanced beyond the sum', 'enhanced', 'one weakened', 'weakened')
    """
    if math.isnan(first + second + together):
        return ""
    if together < min(first, second):
        return "weakened"
    if together < max(first, second):
        return "one weakened"
    if math.isclose(together, first + second, rel_tol=1e-9):
        return "independent"
    return "enhanced" if together < first + second else "enhanced beyond the sum"


def _best(table: pd.DataFrame, driver: str) -> tuple[tuple[object, ...], Strata]:
    """The row of a driver's best strata, and the stratum of each row of the table, -1 for none."""
    rsei, values = (table[name].to_numpy(np.float64) for name in ("rsei", driver))
    both = np.isfinite(rsei) & np.isfinite(values)
    y, x = rsei[both], values[both]
    of_rows = np.full(len(table), -1, np.intp)
    best: tuple[object, ...] = (driver, "", 0, int(both.sum()), math.nan, math.nan)
    most = -math.inf
    if not x.size or x.min() == x.max():
        return best, of_rows
    for strata in STRATA:
        for method, cuts in METHODS.items():
            if x.size <= strata:
                continue
            labels = stratified(x, cuts(x, strata))
            q, p = q_statistic(y, labels)
            if q > most + 1e-12:
                most, of_rows[both] = q, labels
                best = (driver, method, np.unique(labels).size, int(both.sum()), q, p)
    return best, of_rows
