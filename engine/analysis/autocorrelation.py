# SPDX-License-Identifier: Apache-2.0
"""How alike neighbouring pixels are: Moran's I, and what it costs a sample in information."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

CLASSES = 100
"""Most distance classes of a correlogram. Each is at least a pixel wide."""

REACH = 0.5
"""Share of the longest side up to which distances are sorted into classes.

Beyond, pairs are few and come from the map's ends. Source: Dutilleul 1993 and common practice.
"""

LINES = 64
"""Rows or columns that are transformed at a time, so that what is held beside is little."""


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
    strips = (grid[first : first + LINES] for first in range(0, len(grid), LINES))
    return moran_of(strips, float(grid[known].mean()) if known.any() else 0.0)


def moran_of(strips: Iterable[Floats], mean: float) -> Moran:
    """``moran`` of a grid whose values have that mean, by strips of whole rows, or whole columns.

    A strip and those before and after it are held at a time.
    """
    n = s0 = squares = 0
    second = fourth = cross = 0.0
    for frame in _framed(strips):
        known = np.isfinite(frame)
        centred = np.where(known, frame - mean, 0.0)
        own, here = centred[1:-1, 1:-1], known[1:-1, 1:-1]
        neighbours = np.where(here, _around(known.astype(np.int8)), 0)
        n += int(here.sum())
        second += float((own**2).sum())
        fourth += float((own**4).sum())
        cross += float((own * _around(centred)).sum())
        s0 += int(neighbours.sum())
        squares += int((neighbours**2).sum())
    expected = -1 / (n - 1) if n > 1 else math.nan
    if n < 4 or second == 0 or s0 == 0:
        return Moran(n, math.nan, expected, math.nan, math.nan)
    index = n * cross / (s0 * second)
    s1, s2 = 2 * s0, 4 * squares
    kurtosis = n * fourth / second**2
    first = n * ((n * n - 3 * n + 3) * s1 - n * s2 + 3 * s0**2)
    last = kurtosis * ((n * n - n) * s1 - 2 * n * s2 + 6 * s0**2)
    variance = (first - last) / ((n - 1) * (n - 2) * (n - 3) * s0**2) - expected**2
    z = (index - expected) / math.sqrt(variance)
    return Moran(n, index, expected, z, 2 * float(scipy.stats.norm.sf(abs(z))))


def _framed(strips: Iterable[Floats]) -> Iterator[Floats]:
    """Each strip of rows with the row above and below it, and a column on both sides."""
    above: Floats | None = None
    held: Floats | None = None
    for strip in chain(strips, [None]):
        if held is not None:
            beyond = np.full((1, held.shape[1]), np.nan)
            rows = (above if above is not None else beyond, held)
            below = strip[:1] if strip is not None else beyond
            beside = ((0, 0), (1, 1))
            yield np.pad(np.concatenate([*rows, below]), beside, constant_values=np.nan)
            above = held[-1:]
        held = strip


def _around(frame: NDArray[Any]) -> NDArray[Any]:
    """The sum of the eight neighbours of each value that does not lie on the rim."""
    rows = frame[:-2] + frame[1:-1] + frame[2:]
    return rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:] - frame[1:-1, 1:-1]


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


def _by_class(known: Flags, grids: Sequence[Floats]) -> tuple[Floats, list[Floats]]:
    """Pairs of pixels in each class of distance, and each grid's products of centred values."""
    pairs = _in_classes(known.astype(np.float64), whole=True)
    return pairs, [_in_classes(np.where(known, grid - grid[known].mean(), 0.0)) for grid in grids]


def _in_classes(grid: Floats, whole: bool = False) -> Floats:
    """Sums, by class of distance, of the products of ``grid`` with itself at every shift.

    Class 0 is no shift, and each other shift counts with its opposite; ``whole``: products are
    whole numbers.
    """
    height, width = grid.shape
    reach = max(1.0, REACH * max(height, width))
    wide = max(1.0, reach / CLASSES)
    down, across = (min(side - 1, int(reach)) for side in grid.shape)
    sums = np.zeros(2 + int((reach - 0.5) / wide))
    for shift, products in enumerate(_correlated(grid, down, across)):
        distance = np.hypot(shift, np.arange(across + 1))
        near = distance <= reach
        classes = np.where(distance == 0, 0, 1 + np.floor((distance - 0.5) / wide)).astype(int)
        row = np.rint(products) if whole else products
        right, left = row[across:], row[across::-1]
        # A shift to the upper left is worth one to the lower right: rows below count twice.
        both = 2 * (right + left) if shift else 2 * right
        both[0] = 2 * right[0] if shift else right[0]
        sums += np.bincount(classes[near], both[near], minlength=len(sums))
    return sums


def _correlated(grid: Floats, down: int, across: int) -> Iterator[Floats]:
    """Sums of products of ``grid`` with itself, a row for each shift from 0 to ``down`` rows.

    A row is of shifts from -``across`` to ``across`` columns, (2 across + 1,). By FFT, with as
    many zeros around as these shifts need. Half a spectrum of the grid's rows is all that is held,
    8 to 16 bytes a pixel: its columns are transformed, squared and transformed back in place.
    """
    height, width = grid.shape
    rows = scipy.fft.next_fast_len(height + down)
    columns = scipy.fft.next_fast_len(width + across, real=True)
    spectrum = np.empty((height, columns // 2 + 1), np.complex128)
    for first in range(0, height, LINES):
        part = slice(first, first + LINES)
        spectrum[part] = scipy.fft.rfft(grid[part], columns, axis=1)
    for first in range(0, spectrum.shape[1], LINES):
        part = slice(first, first + LINES)
        found = scipy.fft.fft(spectrum[:, part], rows, axis=0)
        power = found.real**2 + found.imag**2
        spectrum[: down + 1, part] = scipy.fft.ifft(power, axis=0)[: down + 1]
    for first in range(0, down + 1, LINES):
        products = scipy.fft.irfft(spectrum[first : first + LINES], columns, axis=1)
        products = products[: down + 1 - first]
        yield from np.concatenate(
            [products[:, columns - across :], products[:, : across + 1]], axis=1
        )
