# SPDX-License-Identifier: Apache-2.0
"""How alike neighbouring pixels are: Moran's I, and what it costs a sample in information."""

import math
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CLASSES = 100
"""Most distance classes of a correlogram. Each is at least a pixel wide."""

REACH = 0.5
"""Share of the longest side up to which distances are sorted into classes.

Beyond, pairs are few and come from the map's ends. Source: Dutilleul 1993 and common practice.
"""


@dataclass(frozen=True)
class Moran:
    """Moran's I of values on a grid, by the eight neighbours of each pixel."""

    n: int
    """Pixels with a value."""

    index: float
    """I: 1 where neighbours are alike, ``expected`` where they are independent."""

    expected: float
    """Its mean without autocorrelation, -1 / (n - 1)."""

    z: float
    """Standard deviations above the expectation, under randomisation."""

    p: float
    """Chance of a |z| as large without autocorrelation."""

    def row(self, variable: str) -> dict[str, float | int | str]:
        """A row of the table of Moran's I."""
        return {
            "variable": variable,
            "n": self.n,
            "i": self.index,
            "expected": self.expected,
            "z": self.z,
            "p": self.p,
        }


def moran(grid: Floats) -> Moran:
    """Moran's I, dimensionless, of ``grid``, (h, w), NaN where there is no pixel.

    Weights are 1 for each of the eight neighbours that has a value. NaN for fewer than 4 values,
    for equal ones, and where no two are neighbours.

    Source: Cliff and Ord 1981, Spatial processes, ch. 2.
    """
    known = np.isfinite(grid)
    n = int(known.sum())
    expected = -1 / (n - 1) if n > 1 else math.nan
    centred = np.where(known, grid - (grid[known].mean() if n else 0.0), 0.0)
    second = float((centred**2).sum())
    neighbours = np.zeros(grid.shape)
    cross = 0.0
    for rows, columns in ((0, 1), (1, 0), (1, 1), (1, -1)):
        here, there = _shifted(rows, columns)
        cross += 2 * float((centred[here] * centred[there]).sum())
        both = (known[here] & known[there]).astype(float)
        neighbours[here] += both
        neighbours[there] += both
    s0 = float(neighbours.sum())
    if n < 4 or second == 0 or s0 == 0:
        return Moran(n, math.nan, expected, math.nan, math.nan)
    index = n * cross / (s0 * second)
    s1, s2 = 2 * s0, 4 * float((neighbours**2).sum())
    kurtosis = n * float((centred**4).sum()) / second**2
    first = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0**2)
    last = kurtosis * ((n * n - n) * s1 - 2 * n * s2 + 6 * s0**2)
    variance = (first - last) / ((n - 1) * (n - 2) * (n - 3) * s0**2) - expected**2
    z = (index - expected) / math.sqrt(variance)
    return Moran(n, index, expected, z, 2 * float(scipy.stats.norm.sf(abs(z))))


def effective_size(first: Floats, second: Floats) -> float:
    """Independent pairs that a correlation of two grids, (h, w), is worth; at most n.

    Both are NaN where either has no value. The variance of r follows from the two correlograms in
    classes of distance: n_eff = 1 + n^2 / sum over classes of pairs * autocovariances.

    Source: Clifford, Richardson and Hemon 1989, Biometrics 45, 123-134, in Dutilleul's (1993)
    form, centred; grids are correlated by FFT.
    """
    known = np.isfinite(first) & np.isfinite(second)
    n = int(known.sum())
    if n < 4:
        return math.nan
    pairs, products = _by_class(known, [first, second])
    variances = [float(first[known].var()), float(second[known].var())]
    if min(variances) == 0:
        return math.nan
    some = pairs > 0.5
    correlograms = [products[k][some] / pairs[some] / variances[k] for k in range(2)]
    total = float((pairs[some] * correlograms[0] * correlograms[1]).sum())
    # Class 0, a pixel with itself, gives n; pairs are counted in both directions.
    return float(min(n, max(3.0, 1 + n * n / total))) if total > 0 else float(n)


def _by_class(known: NDArray[np.bool_], grids: list[Floats]) -> tuple[Floats, list[Floats]]:
    """Pairs of pixels in each class of distance, and each grid's products of centred values."""
    height, width = known.shape
    centred = [np.where(known, grid - grid[known].mean(), 0.0) for grid in grids]
    counts = np.rint(_correlated(known.astype(np.float64)))
    y, x = np.arange(1 - height, height)[:, None], np.arange(1 - width, width)
    distance = np.hypot(y, x)
    reach = max(1.0, REACH * max(height, width))
    wide = max(1.0, reach / CLASSES)
    classes = np.where(distance == 0, 0, 1 + np.floor((distance - 0.5) / wide)).astype(int)
    inside = distance <= reach
    classes = classes[inside]
    products = [_correlated(part) for part in centred]
    pairs, *sums = (np.bincount(classes, part[inside]) for part in (counts, *products))
    return pairs.astype(np.float64), [part.astype(np.float64) for part in sums]


def _correlated(grid: Floats) -> Floats:
    """Sum of products of ``grid`` with itself at every shift, (2 h - 1, 2 w - 1)."""
    return scipy.signal.fftconvolve(grid, grid[::-1, ::-1])


def _shifted(rows: int, columns: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Slices that pair each pixel with the one ``rows`` below and ``columns`` to the right."""
    down, up = slice(rows, None), slice(None, -rows or None)
    if columns >= 0:
        return (up, slice(None, -columns or None)), (down, slice(columns, None))
    return (up, slice(-columns, None)), (down, slice(None, columns))


def gridded(x: Floats, y: Floats, values: Floats) -> Floats:
    """``values`` of pixels with centres ``x`` and ``y`` as a grid, (h, w), NaN elsewhere.

    The pixels' size is the smallest step between two columns or rows; north is up.
    """
    size = min(_step(x), _step(y))
    columns = np.rint((x - x.min()) / size).astype(int)
    rows = np.rint((y.max() - y) / size).astype(int)
    grid = np.full((int(rows.max()) + 1, int(columns.max()) + 1), np.nan)
    grid[rows, columns] = values
    return grid


def _step(centres: Floats) -> float:
    """The smallest difference between two coordinates, infinite if they are all the same."""
    steps = np.diff(np.unique(np.round(centres, 3)))
    return float(steps.min()) if steps.size else math.inf
