# SPDX-License-Identifier: Apache-2.0
"""Percentiles of columns that are too long to hold: exact, of rows that pass by twice."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Ordered = NDArray[np.uint32]
"""Values as whole numbers of the same order."""

HALF = 16
"""Bits of a value that one passage counts."""


class Percentiles:
    """Percentiles of columns of float32, which is what a run's tables of pixels hold."""

    def __init__(self, names: Sequence[str]) -> None:
        self.counts = {name: np.zeros(1 << HALF, np.int64) for name in names}

    def seen(self, parts: Iterable[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        """Hand on the parts of a table, once their values are counted by their upper half."""
        for part in parts:
            for name, counts in self.counts.items():
                counts += _counted(_ordered(part[name]) >> np.uint32(HALF))
            yield part

    def limits(
        self, parts: Iterable[pd.DataFrame], reach: float = 1.0
    ) -> dict[str, tuple[float, float]]:
        """Values that ``reach`` percent of either end of a column leave; of an empty one 0 and 1.

        ``parts`` are those that were seen. Values between two are taken in their proportion, as
        NumPy does; limits that are the same are moved apart by 1.
        """
        ranks = {name: _ranks(int(one.sum()), reach) for name, one in self.counts.items()}
        lower: dict[tuple[str, int], NDArray[np.int64]] = {}
        for name, counts in self.counts.items():
            for rank in ranks[name]:
                lower[name, _bucket(counts, int(rank))] = np.zeros(1 << HALF, np.int64)
                lower[name, _bucket(counts, int(np.ceil(rank)))] = np.zeros(1 << HALF, np.int64)
        for part in parts:
            values = {name: _ordered(part[name]) for name in {name for name, _ in lower}}
            for (name, upper), counts in lower.items():
                found = values[name]
                counts += _counted(found[found >> HALF == upper] & ((1 << HALF) - 1))
        return {name: self._limits(name, ranks[name], lower) for name in self.counts}

    def _limits(
        self,
        name: str,
        ranks: tuple[float, ...],
        lower: dict[tuple[str, int], NDArray[np.int64]],
    ) -> tuple[float, float]:
        counts = self.counts[name]

        def value(rank: int) -> float:
            upper = _bucket(counts, rank)
            left = rank - int(counts[:upper].sum())
            return _value(upper << HALF | _bucket(lower[name, upper], left))

        if not ranks:
            return 0.0, 1.0
        ends = [(value(int(rank)), value(int(np.ceil(rank))), rank % 1) for rank in ranks]
        low, high = (_between(*end) for end in ends)
        return (low, high) if high > low else (low - 0.5, high + 0.5)


def _between(below: float, above: float, share: float) -> float:
    """What lies there, from the nearer of the two, as NumPy does."""
    step = above - below
    return below + step * share if share < 0.5 else above - step * (1 - share)


def _ranks(count: int, reach: float) -> tuple[float, ...]:
    """Places of both percentiles among so many values in order; none of none."""
    return tuple((count - 1) * (share / 100) for share in (reach, 100 - reach)) if count else ()


def _bucket(counts: NDArray[np.int64], rank: int) -> int:
    """Where, by its count of values, the one of a rank from 0 is."""
    return int(np.searchsorted(np.cumsum(counts), rank, side="right"))


def _counted(halves: Ordered) -> NDArray[np.int64]:
    return np.bincount(halves, minlength=1 << HALF)


def _ordered(values: "pd.Series[float]") -> Ordered:
    """Finite values: a negative one by all its bits turned, others with their sign's bit set."""
    known = values.to_numpy(np.float32)
    bits = known[np.isfinite(known)].view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(1 << 31))


def _value(ordered: int) -> float:
    """The value that such a number stands for."""
    bits = ordered ^ (1 << 31) if ordered >> 31 else ~ordered & 0xFFFFFFFF
    return float(np.uint32(bits).view(np.float32))
