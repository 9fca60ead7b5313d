# SPDX-License-Identifier: Apache-2.0
"""Geographical detector: how much of the variance of the index the strata of a driver hold."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from .correlation import Columns

Floats = NDArray[np.float64]
Strata = NDArray[np.int8]
Cuts = Callable[[Floats, int], list[Floats]]
"""``cuts(values, most)``: upper edges of all strata but the last, of 2 up to ``most`` strata."""

STRATA = range(3, 9)
"""Numbers of strata that are tried. Source: Song et al. 2020, GIScience & Remote Sensing 57(5)."""

SAMPLE = 500
"""Most values from which natural breaks are sought: the search grows with their square."""


@dataclass(frozen=True)
class Stratified:
    """A driver in the strata that hold most of the index."""

    method: str
    """How it was cut, a name in ``METHODS``; empty where it has no strata."""

    strata: int
    """Strata that hold a pixel."""

    n: int
    """Pixels that have both values."""

    q: float
    """Share of the variance of the index that the strata hold, 0 to 1."""

    p: float
    """The chance of as much without any effect."""

    of_rows: Strata
    """The stratum of each row of the table, -1 for none."""


def equal_width(values: Floats, most: int) -> list[Floats]:
    """Strata of equal width.

    >>> equal_width(np.array([0.0, 3.0, 6.0]), 3)[1].tolist()
    [2.0, 4.0]
    """
    low, high = values.min(), values.max()
    return [np.linspace(low, high, strata + 1)[1:-1] for strata in range(2, most + 1)]


def equal_count(values: Floats, most: int) -> list[Floats]:
    """Strata of as many values each."""
    shares = (np.linspace(0, 1, strata + 1)[1:-1] for strata in range(2, most + 1))
    return [np.quantile(values, share) for share in shares]


def natural(values: Floats, most: int) -> list[Floats]:
    """Strata of the least squared deviation within them.

    Exact for up to ``SAMPLE`` values; of more, as many quantiles stand for them.

    Source: Fisher 1958, On grouping for maximum homogeneity; Jenks 1967.
    """
    ordered = np.sort(values)
    if ordered.size > SAMPLE:
        ordered = np.quantile(ordered, np.linspace(0, 1, SAMPLE))
    n = ordered.size
    cost, inner = _deviation(ordered)
    starts = [np.zeros(n, np.intp)]
    for _ in range(1, most):
        # Rows: where the last stratum begins; columns: where it ends. Best of all before it.
        total = np.full((n, n), math.inf)
        np.add(cost[:-1, None], inner[1:], out=total[1:])
        starts.append(total.argmin(axis=0))
        cost = total[starts[-1], np.arange(n)]
    found = []
    for strata in range(2, most + 1):
        cuts, last = [], n - 1
        for k in range(strata - 1, 0, -1):
            last = int(starts[k][last]) - 1
            cuts.append(ordered[last])
        found.append(np.array(cuts[::-1]))
    return found


def _deviation(ordered: Floats) -> tuple[Floats, Floats]:
    """Squared deviation of the first j + 1 values, (n,), and of the values i to j, (n, n).

    Infinite where i > j.
    """
    size = np.arange(ordered.size + 1)
    centred = ordered - ordered.mean()
    sums = np.concatenate([[0.0], centred.cumsum()])
    squares = np.concatenate([[0.0], (centred**2).cumsum()])
    number = np.maximum(size[None, 1:] - size[:-1, None], 1)
    inner = squares[None, 1:] - squares[:-1, None]
    inner -= (sums[None, 1:] - sums[:-1, None]) ** 2 / number
    inner[size[:-1, None] > size[None, :-1]] = math.inf
    return inner[0], inner


METHODS: dict[str, Cuts] = {"equal": equal_width, "quantile": equal_count, "natural": natural}
"""Ways to cut a driver into strata."""


def q_statistic(rsei: Floats, strata: NDArray[np.integer[Any]]) -> tuple[float, float]:
    """Share of the variance of ``rsei`` that ``strata`` hold, 0 to 1, and the chance of as much.

    Strata are numbers from 0, none of them large. The chance is that of a noncentral F, as strata
    differ in their means even at random. NaN where all of ``rsei`` is equal, or there are no more
    values than strata.

    Source: Wang, Zhang and Fu 2016, Ecological Indicators 67, 250-256, eq. 1 and 3-5.
    """
    counts = np.bincount(strata)
    held = counts > 0
    n, groups = rsei.size, int(held.sum())
    total = float(((rsei - rsei.mean()) ** 2).sum()) if n else 0.0
    if total == 0 or n <= groups:
        return math.nan, math.nan
    means = np.bincount(strata, rsei) / np.maximum(counts, 1)
    within = float(((rsei - means[strata]) ** 2).sum())
    means, counts = means[held], counts[held]
    q = 1 - within / total
    if groups < 2:
        return q, math.nan
    if within == 0:
        return q, 0.0
    f = (n - groups) / (groups - 1) * q / (1 - q)
    lean = (means**2).sum() - (np.sqrt(counts) * means).sum() ** 2 / n
    noncentrality = max(0.0, float(lean) / (total / n))
    p = float(scipy.stats.ncf.sf(f, groups - 1, n - groups, noncentrality))
    return q, min(1.0, max(0.0, p))


def stratified(values: Floats, cuts: Floats) -> Strata:
    """The stratum of each value: as many as the cuts that lie below it."""
    return np.searchsorted(cuts, values, side="left").astype(np.int8)


def stratified_drivers(table: Columns, drivers: Sequence[str]) -> dict[str, Stratified]:
    """Each driver in the strata that hold most of the table's ``rsei``.

    All ``METHODS`` and 3 to 8 strata are tried; of equal q the fewer strata.
    """
    return {driver: _best(table, driver) for driver in drivers}


def factors(found: Mapping[str, Stratified]) -> pd.DataFrame:
    """What each driver holds: driver, method, strata, n, q, p; one row a driver."""
    rows = [
        {"driver": driver, "method": one.method, "strata": one.strata}
        | {"n": one.n, "q": one.q, "p": one.p}
        for driver, one in found.items()
    ]
    return pd.DataFrame(rows, columns=["driver", "method", "strata", "n", "q", "p"])


def interactions(rsei: NDArray[Any], found: Mapping[str, Stratified]) -> pd.DataFrame:
    """What two drivers hold together: first, second, n, q_first, q_second, q, kind.

    Each in its best strata, over the rows that have both. ``kind`` follows Wang and Xu 2017:
    weakened, one weakened, independent, enhanced or enhanced beyond the sum.
    """
    rows = []
    for first, second in combinations(found, 2):
        strata = found[first].of_rows, found[second].of_rows
        both = np.isfinite(rsei) & (strata[0] >= 0) & (strata[1] >= 0)
        a, b = strata[0][both], strata[1][both]
        y = rsei[both].astype(np.float64)
        q_a, q_b, q = (q_statistic(y, one)[0] for one in (a, b, a * np.int8(STRATA[-1]) + b))
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


def _best(table: Columns, driver: str) -> Stratified:
    rsei, values = (np.asarray(table[name]) for name in ("rsei", driver))
    both = np.isfinite(rsei) & np.isfinite(values)
    y, x, n = rsei[both].astype(np.float64), values[both].astype(np.float64), int(both.sum())
    best = Stratified("", 0, n, math.nan, math.nan, np.full(both.size, -1, np.int8))
    if not x.size or x.min() == x.max():
        return best
    cuts = {method: cut(x, STRATA[-1]) for method, cut in METHODS.items()}
    for strata in (number for number in STRATA if number < x.size):
        for method in METHODS:
            labels = stratified(x, cuts[method][strata - 2])
            q, p = q_statistic(y, labels)
            if not q <= best.q + 1e-12:  # also where there is none yet
                held = int(np.count_nonzero(np.bincount(labels)))
                best = replace(best, method=method, strata=held, q=q, p=p)
                best.of_rows[both] = labels
    return best
