# SPDX-License-Identifier: Apache-2.0
"""The MNDWI that parts water from land, by Otsu's method."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ...kernels import ranks


@dataclass(frozen=True, eq=False)
class WaterHistogram:
    """Pixels by MNDWI, in 65,536 equal bins from -1 to 1; regions add."""

    counts: NDArray[np.int64]
    """Pixels in each bin, (65536,)."""

    @classmethod
    def of(cls, mndwi: Any, inside: Any) -> Self:
        """The histogram of ``mndwi``, (h, w) float32, where ``inside``, (h, w) bool, and known."""
        counts = ranks.even_counts(mndwi.ravel(), (~inside).ravel().astype(np.uint8))
        return cls(np.array(counts.tolist()))

    def __add__(self, other: Self) -> Self:
        """The histogram of both regions together."""
        return type(self)(self.counts + other.counts)

    def threshold(self) -> float | None:
        """The MNDWI that leaves most variance between the two sides; None of a single bin.

        Bins that no pixel is in give a plateau of equals, of which it is the middle.
        Source: Otsu (1979), A threshold selection method from gray-level histograms.
        """
        places = np.flatnonzero(self.counts)
        if places.size < 2:
            return None
        centres = np.arange(ranks.BINS) + 0.5
        ends = np.cumsum(self.counts, dtype=np.float64)
        below, above = ends[:-1], ends[-1] - ends[:-1]
        weighted = np.cumsum(self.counts * centres)
        with np.errstate(divide="ignore", invalid="ignore"):
            apart = weighted[:-1] / below - (weighted[-1] - weighted[:-1]) / above
            variance = np.nan_to_num(below * above * apart**2)
        best = np.flatnonzero(variance == variance.max())
        edge = (best[0] + best[-1]) / 2 + 1  # the bins up to here are land
        return float(edge / (ranks.BINS // 2) - 1)
