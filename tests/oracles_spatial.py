# SPDX-License-Identifier: Apache-2.0
"""Spatial statistics by loops over pairs of pixels."""

import math
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]


def moran(grid: Floats) -> float:
    """Moran's I by the definition, queen neighbours, binary weights."""
    places = [tuple(place) for place in np.argwhere(np.isfinite(grid))]
    mean = np.mean([grid[place] for place in places])
    near = [(a, b) for a, b in combinations(places, 2) if max(abs(np.subtract(a, b))) == 1]
    cross = 2 * sum((grid[a] - mean) * (grid[b] - mean) for a, b in near)
    square = sum((grid[place] - mean) ** 2 for place in places)
    return float(len(places) * cross / (2 * len(near) * square))


def effective_size(first: Floats, second: Floats, wide: float, reach: float) -> float:
    """Effective number of pairs, by correlograms in classes of distance of width ``wide``."""
    places = np.argwhere(np.isfinite(first) & np.isfinite(second))
    n = len(places)
    grids = []
    for grid in (first, second):
        values = np.array([grid[tuple(place)] for place in places])
        grids.append((values - values.mean()) / values.std())
    pairs: dict[int, list[Floats]] = {}
    for i in range(n):
        for j in range(n):
            distance = math.dist(places[i], places[j])
            if distance <= reach:
                label = 0 if i == j else 1 + int((distance - 0.5) // wide)
                product = np.array([1, grids[0][i] * grids[0][j], grids[1][i] * grids[1][j]])
                pairs.setdefault(label, []).append(product)
    total = 0.0
    for found in pairs.values():
        count, a, b = np.sum(found, axis=0)
        total += count * (a / count) * (b / count)
    return float(min(n, max(3.0, 1 + n * n / total))) if total > 0 else float(n)
