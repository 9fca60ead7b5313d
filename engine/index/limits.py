# SPDX-License-Identifier: Apache-2.0
"""Exact percentiles of pixels that never stand in one place: histograms that add."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...kernels import ranks


@dataclass(frozen=True, eq=False)
class Histogram:
    """Pixels of each layer by the upper half of their bits: the first of two passes."""

    counts: NDArray[np.int64]
    """Pixels in each bin, (k, 65536)."""

    @classmethod
    def of(cls, layers: Any, reason: Any) -> Self:
        """The histogram of ``layers``, (k, h, w) float32, where ``reason``, (h, w) uint8, is 0."""
        flat = reason.ravel()
        return cls(np.array([ranks.upper_counts(row.ravel(), flat).tolist() for row in layers]))

    def __add__(self, other: Self) -> Self:
        """The histogram of both regions together."""
        return type(self)(self.counts + other.counts)

    def bins(self, percentages: Sequence[float]) -> tuple[tuple[int, ...], ...]:
        """For each layer the bins that a second pass must look into."""
        found = []
        for counts in self.counts:
            ends = np.cumsum(counts)
            wanted = _ranks(int(ends[-1]), percentages)
            found.append(tuple(sorted({_bin(ends, rank) for rank, _ in wanted if ends[-1]})))
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Detail:
    """Pixels in some bins of a histogram by the lower half of their bits: the second pass."""

    bins: tuple[tuple[int, ...], ...]
    """For each layer the bins that were looked into."""

    counts: tuple[NDArray[np.int64], ...]
    """For each layer the pixels, (bins, 65536)."""

    @classmethod
    def of(cls, layers: Any, reason: Any, bins: tuple[tuple[int, ...], ...]) -> Self:
        """The detail of ``layers``, (k, h, w) float32, in ``bins`` of their histogram."""
        flat = reason.ravel()
        found = []
        for row, uppers in zip(layers, bins, strict=True):
            table = np.zeros((len(uppers), ranks.BINS), np.int64)
            for place, upper in enumerate(uppers):
                table[place] = ranks.lower_counts(row.ravel(), flat, upper).tolist()
            found.append(table)
        return cls(bins, tuple(found))

    def __add__(self, other: Self) -> Self:
        """The detail of both regions together; both looked into the same bins."""
        if self.bins != other.bins:
            raise ValueError(f"expected details of bins {self.bins}, found {other.bins}")
        counts = (a + b for a, b in zip(self.counts, other.counts, strict=True))
        return type(self)(self.bins, tuple(counts))


def percentiles(
    histogram: Histogram, detail: Detail, percentages: Sequence[float]
) -> NDArray[np.float64]:
    """Exact percentiles of each layer, (k, len(percentages)), linear between two pixels.

    Equal to ``numpy.percentile`` of all the pixels as float64; NaN of none.
    """
    found = np.full((len(histogram.counts), len(percentages)), np.nan)
    for layer, counts in enumerate(histogram.counts):
        ends = np.cumsum(counts)
        if not ends[-1]:
            continue
        wanted = _ranks(int(ends[-1]), percentages)
        values = [_value(ends, detail, layer, rank) for rank, _ in wanted]
        for place in range(len(percentages)):
            share = wanted[2 * place][1]
            found[layer, place] = _between(values[2 * place], values[2 * place + 1], share)
    return found


def _ranks(count: int, percentages: Sequence[float]) -> list[tuple[int, float]]:
    """Two neighbouring ranks for each percentage, and how far between them it lies."""
    wanted = []
    for percentage in percentages:
        exact = (count - 1) * (percentage / 100)
        rank = int(exact)
        wanted += [(rank, exact - rank), (min(rank + 1, count - 1), exact - rank)]
    return wanted


def _bin(ends: NDArray[np.int64], rank: int) -> int:
    return int(np.searchsorted(ends, rank, side="right"))


def _value(ends: NDArray[np.int64], detail: Detail, layer: int, rank: int) -> float:
    """The value of one rank, counted from 0."""
    upper = _bin(ends, rank)
    before = int(ends[upper - 1]) if upper else 0
    lower_ends = np.cumsum(detail.counts[layer][detail.bins[layer].index(upper)])
    return ranks.value_of(upper, _bin(lower_ends, rank - before))


def _between(low: float, high: float, share: float) -> float:
    """NumPy's linear interpolation, which comes from the nearer end."""
    step = high - low
    return low + step * share if share < 0.5 else high - step * (1 - share)
