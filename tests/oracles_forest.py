# SPDX-License-Identifier: Apache-2.0
"""Trees walked one row at a time, in floating point and in Python."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]


def tree_value(tree: Any, row: Floats) -> float:
    """The prediction of a scikit-learn tree for one row, (K,)."""
    node = 0
    while tree.children_left[node] >= 0:
        below = row[tree.feature[node]] <= tree.threshold[node]
        node = tree.children_left[node] if below else tree.children_right[node]
    return float(tree.value[node, 0, 0])


def permutation_errors(
    trees: list[Any], drivers: Floats, target: Floats, judged: NDArray[np.bool_], places: Any
) -> tuple[Floats, Floats]:
    """MSE of each tree on its judged rows, (T,), and what shuffling each driver adds, (T, K).

    ``places(tree, driver, n)`` is the permutation of n rows.
    """
    base = np.zeros(len(trees))
    added = np.zeros((len(trees), drivers.shape[1]))
    for t, tree in enumerate(trees):
        rows, truth = drivers[judged[t]], target[judged[t]]
        base[t] = np.mean([(tree_value(tree, row) - y) ** 2 for row, y in zip(rows, truth)])
        for j in range(drivers.shape[1]):
            other = rows.copy()
            other[:, j] = rows[places(t, j, len(rows)), j]
            errors = [(tree_value(tree, row) - y) ** 2 for row, y in zip(other, truth)]
            added[t, j] = np.mean(errors) - base[t]
    return base, added
