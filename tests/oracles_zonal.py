# SPDX-License-Identifier: Apache-2.0
"""Zonal sums, slow and obvious."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def by_label(values: NDArray[Any], labels: NDArray[Any], zones: int) -> NDArray[np.float64]:
    """Count, mean, std, min and max, (Z, 5), of each label from 1, in NumPy alone."""
    rows = []
    for zone in range(1, zones + 1):
        held = values[labels == zone].astype(np.float64)
        held = held[~np.isnan(held)]
        rows.append(
            [held.size, held.mean(), held.std(), held.min(), held.max()]
            if held.size
            else [0, *[np.nan] * 4]
        )
    return np.array(rows, np.float64).reshape(zones, 5)


def by_share(
    values: NDArray[Any], pixels: list[NDArray[Any]], weights: list[NDArray[Any]]
) -> NDArray[np.float64]:
    """Sum of shares, mean, std, min and max, (Z, 5), of each zone."""
    rows = []
    for where, share in zip(pixels, weights, strict=True):
        held = values[where].astype(np.float64)
        there = ~np.isnan(held)
        held, share = held[there], share[there]
        if not held.size:
            rows.append([0, *[np.nan] * 4])
            continue
        mean = np.average(held, weights=share)
        spread = np.sqrt(np.average((held - mean) ** 2, weights=share))
        rows.append([share.sum(), mean, spread, held.min(), held.max()])
    return np.array(rows, np.float64)
