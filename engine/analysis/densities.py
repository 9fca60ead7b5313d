# SPDX-License-Identifier: Apache-2.0
"""Density of RSEI and its peaks, from a fine histogram: the cost does not grow with the pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
import scipy
from numpy.typing import NDArray

from .stacks import Stack, Zone

BINS = 4096
"""Bins of the histogram of RSEI from 0 to 1."""

POINTS = 201
"""Points of a density in the table: steps of 0.005."""

NARROWEST = 2 / BINS
"""Least bandwidth: below two bins the histogram itself would show."""

PROMINENCE = 0.05
"""Least height of a peak above the higher of its valleys, as a share of the highest peak."""


@dataclass(frozen=True)
class Histogram:
    """Pixels of RSEI, each by its share, in 4096 bins from 0 to 1; parts add."""

    counts: NDArray[np.float64]
    """Sum of shares in each bin."""

    squares: float
    """Sum of the squared shares: the number of pixels where each counts as 1."""

    @classmethod
    def of(cls, values: NDArray[np.float32], shares: NDArray[np.float64] | None = None) -> Self:
        """The histogram of ``values`` from 0 to 1, 1 in the last bin; others are left out."""
        inside = (values >= 0) & (values <= 1)
        place = np.minimum((values[inside] * np.float32(BINS)).astype(np.int64), BINS - 1)
        weights = None if shares is None else shares[inside]
        counts = np.bincount(place, weights, minlength=BINS).astype(np.float64)
        return cls(counts, float(inside.sum() if weights is None else (weights**2).sum()))

    def __add__(self, other: Self) -> Self:
        """The histogram of both parts."""
        return type(self)(self.counts + other.counts, self.squares + other.squares)

    @property
    def bandwidth(self) -> float:
        """Standard deviation of the kernel, RSEI: Silverman's rule of thumb.

        0.9 min(std, IQR / 1.34) n^(-1/5), n being the effective number of pixels. Source:
        Silverman 1986, equation 3.31. No less than two bins.
        """
        total = self.counts.sum()
        middle = (np.arange(BINS) + 0.5) / BINS
        mean = self.counts @ middle / total
        spread = np.sqrt(self.counts @ (middle - mean) ** 2 / total)
        edges = np.concatenate([[0], np.cumsum(self.counts) / total])
        quarter, three = np.interp([0.25, 0.75], edges, np.arange(BINS + 1) / BINS)
        if three > quarter:
            spread = min(spread, (three - quarter) / 1.34)
        number = total**2 / self.squares
        return max(NARROWEST, 0.9 * float(spread) * float(number) ** -0.2)

    def density(self) -> NDArray[np.float64]:
        """Pixels per unit of RSEI, as a share, in the middle of each bin, (4096,).

        A Gaussian kernel, mirrored at 0 and 1 so that the density adds up to 1 there.
        """
        width = self.bandwidth * BINS
        reach = int(np.ceil(6 * width))
        kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / width) ** 2)
        padded = np.pad(self.counts, min(reach, BINS), mode="symmetric")
        smooth = scipy.signal.fftconvolve(padded, kernel / kernel.sum(), mode="same")
        middle = smooth[min(reach, BINS) :][:BINS]
        return np.maximum(middle, 0) * BINS / self.counts.sum()


def densities(stack: Stack, zones: Sequence[Zone]) -> pd.DataFrame:
    """The table ``densities``: the density of RSEI at 0, 0.005, … 1, by zone and epoch."""
    at, middle = np.linspace(0, 1, POINTS), (np.arange(BINS) + 0.5) / BINS
    tables = []
    for zone in zones:
        for epoch, layer in stack.layers():
            histogram = Histogram.of(*zone.of(layer))
            if not histogram.counts.any():
                continue
            table = pd.DataFrame({"rsei": np.round(at, 3)})
            table["density"] = np.interp(at, middle, histogram.density())
            table.insert(0, "epoch", epoch)
            table.insert(0, "zone", zone.name)
            table.insert(0, "area", stack.area)
            tables.append(table)
    names = ["area", "zone", "epoch", "rsei", "density"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=names)


def peaks(stack: Stack, zones: Sequence[Zone], prominence: float = PROMINENCE) -> pd.DataFrame:
    """The table ``peaks``: place and height of each peak of the density, by zone and epoch.

    A peak rises above the higher of its two valleys by ``prominence`` of the highest one.
    """
    rows = []
    for zone in zones:
        for epoch, layer in stack.layers():
            histogram = Histogram.of(*zone.of(layer))
            if not histogram.counts.any():
                continue
            for number, (place, height) in enumerate(peaks_of(histogram, prominence), 1):
                row = [stack.area, zone.name, epoch, number, place, height, histogram.bandwidth]
                rows.append(row)
    names = ["area", "zone", "epoch", "peak", "rsei", "height", "bandwidth"]
    return pd.DataFrame(rows, columns=names)


def peaks_of(histogram: Histogram, prominence: float) -> list[tuple[float, float]]:
    """RSEI and density of each peak, from the left."""
    curve = np.concatenate([[0], histogram.density(), [0]])  # a peak may lie at an end
    found, _ = scipy.signal.find_peaks(curve, prominence=prominence * curve.max())
    return [(float(index - 0.5) / BINS, float(curve[index])) for index in found]
