# SPDX-License-Identifier: Apache-2.0
"""How the index goes with each driver, and the drivers with each other, in one area."""

import math
from collections.abc import Sequence
from itertools import combinations, product
from typing import Any, Protocol

import numpy as np
import pandas as pd
import scipy
from numpy.typing import ArrayLike, NDArray

from .autocorrelation import effective_size
from .pixels import Pixels

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Columns(Protocol):
    """Columns of numbers by name: ``Pixels``, or a table of pandas."""

    def __getitem__(self, name: str, /) -> ArrayLike:
        """The column of that name, (n,)."""


def correlation(pixels: Pixels, drivers: Sequence[str]) -> pd.DataFrame:
    """One row a driver: driver, n, pearson, p, n_eff, p_eff, spearman.

    A pixel counts where both values are there. ``p`` takes pixels for independent, ``p_eff`` the
    effective number of them. NaN for fewer than 4 pixels, and for a driver that is constant.
    """
    rows = []
    rsei = pixels["rsei"]
    for driver in drivers:
        values = pixels[driver]
        both = np.isfinite(rsei) & np.isfinite(values)
        n = int(both.sum())
        row = {"driver": driver, "n": n, **dict.fromkeys(_NUMBERS, math.nan)}
        if n > 3 and differ(rsei[both]) and differ(values[both]):
            r = pearson(rsei[both], values[both])
            n_eff = effective_size(pixels.grid(rsei, both), pixels.grid(values, both))
            row |= {
                "pearson": r,
                "p": significance(r, n),
                "n_eff": n_eff,
                "p_eff": significance(r, n_eff),
                "spearman": pearson(ranks(rsei[both]), ranks(values[both])),
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=["driver", "n", *_NUMBERS])


_NUMBERS = ("pearson", "p", "n_eff", "p_eff", "spearman")


def differ(values: NDArray[Any]) -> bool:
    """Whether there are two values that are not the same."""
    return bool(values.size) and bool(values.min() != values.max())


def pearson(first: NDArray[Any], second: NDArray[Any]) -> float:
    """Pearson's r, -1 to 1, of two columns that differ within themselves.

    Sums are NumPy's pairwise ones, which no number of threads changes, as it would a BLAS's.
    """
    a, b = centred(first), centred(second)
    together, *alone = (float((u * v).sum()) for u, v in ((a, b), (a, a), (b, b)))
    return max(-1.0, min(1.0, together / math.sqrt(alone[0] * alone[1])))


def centred(values: NDArray[Any]) -> Floats:
    """``values`` less their mean, float64."""
    found = values.astype(np.float64)
    found -= found.mean()
    return found


def ranks(values: NDArray[Any]) -> NDArray[np.int32]:
    """Twice the rank of each value, less 1: whole numbers, as equal values share the mean rank.

    >>> ranks(np.array([0.5, 0.1, 0.5, 0.9])).tolist()
    [4, 1, 4, 7]
    """
    order = np.argsort(values)
    ordered = values[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    stops = np.append(starts[1:], values.size)
    out = np.empty(values.size, np.int32)
    out[order] = np.repeat((starts + stops).astype(np.int32), stops - starts)
    return out


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


def matrix(table: Columns, drivers: Sequence[str]) -> pd.DataFrame:
    """Pearson's r between all pairs of rsei and the drivers: first, second, n, pearson.

    Each pair counts the rows that have both; pairs stand once in each order, and with themselves.
    """
    names = ["rsei", *drivers]
    found: dict[tuple[str, str], tuple[int, float]] = {}
    for i, first in enumerate(names):
        for second in names[: i + 1]:
            a, b = np.asarray(table[first]), np.asarray(table[second])
            both = np.isfinite(a) & np.isfinite(b)
            usual = differ(a[both]) and differ(b[both])
            r = pearson(a[both], b[both]) if usual else math.nan
            found[first, second] = found[second, first] = int(both.sum()), r
    rows = [(*pair, *found[pair]) for pair in product(names, names)]
    return pd.DataFrame(rows, columns=["first", "second", "n", "pearson"])


def inflation(table: Columns, drivers: Sequence[str]) -> pd.DataFrame:
    """Variance inflation of each driver, dimensionless: driver, vif; over the complete rows.

    1 / (1 - R2) of its regression on the others, which is the diagonal of the inverse correlation
    matrix; infinite where the others make it up. 10 is often called too much.
    """
    whole = np.logical_and.reduce([np.isfinite(np.asarray(table[name])) for name in drivers])
    vif = np.full(len(drivers), math.nan)

    def column(k: int) -> NDArray[Any]:
        """A driver in the complete rows: not kept, as all of them are as large as the table."""
        return np.asarray(table[drivers[k]])[whole]

    known = [k for k in range(len(drivers)) if differ(column(k))]
    if np.count_nonzero(whole) > len(drivers):
        related = np.eye(len(known))
        for (i, first), (j, second) in combinations(enumerate(known), 2):
            related[i, j] = related[j, i] = pearson(column(first), column(second))
        for i, k in enumerate(known):
            others = np.delete(np.arange(len(known)), i)
            own = related[others, i]
            rest = 1 - float(own @ np.linalg.lstsq(related[np.ix_(others, others)], own)[0])
            vif[k] = 1 / rest if rest > 1e-12 else math.inf
    return pd.DataFrame({"driver": list(drivers), "vif": vif})
