# SPDX-License-Identifier: Apache-2.0
"""Percentiles of columns that are too long to hold: exact, of rows that pass by twice."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..index.limits import Detail, Histogram, percentiles


class Percentiles:
    """Percentiles of columns of float32, which is what a run's tables of pixels hold."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.histogram = Histogram.of(*_layers(pd.DataFrame(columns=self.names), self.names))

    def seen(self, parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Hand on the parts of a table, once their values are counted by their upper half."""
        for part in parts:
            self.histogram += Histogram.of(*_layers(part, self.names))
            yield part

    @property
    def known(self) -> tuple[str, ...]:
        """Columns that have had a value."""
        counts = zip(self.names, self.histogram.counts, strict=True)
        return tuple(name for name, row in counts if row.any())

    def limits(
        self, parts: Iterable[pd.DataFrame], reach: float = 1.0
    ) -> dict[str, tuple[float, float]]:
        """Values that ``reach`` percent of either end of a column leave; of an empty one 0 and 1.

        ``parts`` are those that were seen. Limits that are the same are moved apart by 1.
        """
        ends = reach, 100 - reach
        bins = self.histogram.bins(ends)
        detail = Detail.of(*_layers(pd.DataFrame(columns=self.names), self.names), bins)
        for part in parts:
            detail += Detail.of(*_layers(part, self.names), bins)
        found = percentiles(self.histogram, detail, ends).tolist()
        return {name: _apart(*pair) for name, pair in zip(self.names, found, strict=True)}


def _layers(part: pd.DataFrame, names: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    """Columns as layers, (k, 1, n), with NaN for what is not finite, and no reason against any."""
    layers = part[[*names]].to_numpy(np.float32).T[:, np.newaxis]
    return np.where(np.isfinite(layers), layers, np.nan), np.zeros((1, len(part)), np.uint8)


def _apart(low: float, high: float) -> tuple[float, float]:
    """Limits of colours."""
    if np.isnan(low):
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.5, high + 0.5)
