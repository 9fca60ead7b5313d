# SPDX-License-Identifier: Apache-2.0
"""How much each driver matters to a forest: R's %IncMSE, its rank, and how firm the rank is."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...kernels import trees as walks
from .trees import Flags, Floats, Put, Trees, room

EPSILON = float(np.finfo(np.float64).eps)
"""Below this a standard error counts as 1. Source: R, randomForest 4.7, importance.R."""

BATCH = 1 << 28
"""Bytes of judged rows that are held at a time."""

JUDGED = 32
"""Bytes of a row that a tree is judged on, while those of all trees are put in order."""


def least_room(rows: int, drivers: int) -> int:
    """Bytes that the judging of a single tree takes: the rows, those it is judged on, its nodes.

    A driver is shuffled among all of them, so they cannot be parted.
    """
    return rows * (4 * drivers + 4 + 2 * JUDGED)


def added_error(
    trees: Trees,
    values: NDArray[np.float32],
    target: Floats,
    judged: Flags,
    seed: int,
    put: Put = np.asarray,
) -> Floats:
    """What shuffling each driver adds to the mean squared error of each tree, (T, K).

    In squares of the target's unit. Tree t is judged on the rows where ``judged``, (T, n), is
    true: those it has not drawn, or held-out ones. There is one permutation of these rows for each
    tree and driver; ``seed`` names them.
    """
    count, drivers = trees.count, len(trees.drivers)
    keys = put(walks.sortable(np.ascontiguousarray(values, np.float32)))
    targets = put(trees.steps(target))
    names = [
        [walks.shuffle_key(seed, tree, driver) for driver in range(drivers)]
        for tree in range(count)
    ]
    shuffles = np.array(names, np.int64)
    added = np.zeros((count, drivers))
    rows = max(1, judged.shape[1])
    left = room(put, 3 * BATCH) - rows * (4 * drivers + 4)
    for part in trees.groups(left // 2, max(1, left // 2 // (JUDGED * rows))):
        nodes, roots = trees.among(part)
        sums = walks.shuffled_errors(
            put(nodes),
            put(roots),
            keys,
            targets,
            put(judged[part]),
            put(shuffles[part]),
        )
        seen = np.maximum(judged[part].sum(axis=1), 1)
        added[part] = np.array(sums.tolist(), np.float64)[:, :drivers] / seen[:, None]
    return added * (trees.step * (1 << walks.COARSER)) ** 2


def scaled(added: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean over the trees, its standard error, and their ratio, each (K,), of ``added``, (T, K).

    The ratio is R's "%IncMSE": it grows with the root of the number of trees, and is no per cent.

    Source: R, randomForest 4.7: regrf.c and importance.R.
    """
    raw = added.mean(axis=0)
    spread = np.maximum((added**2).mean(axis=0) - raw**2, 0.0)
    error = np.sqrt(spread / len(added))
    return raw, error, raw / np.where(error < EPSILON, 1.0, error)


def importance(trees: Trees, added: Floats, estimator: str) -> pd.DataFrame:
    """One row a driver: raw, se, scaled, inc_node_purity and rank, 1 for the most important.

    ``estimator`` says which rows judged the trees: ``oob`` or ``validation``.
    """
    raw, error, ratio = scaled(added)
    table = pd.DataFrame(
        {
            "driver": trees.drivers,
            "estimator": estimator,
            "raw": raw,
            "se": error,
            "scaled": ratio,
            "inc_node_purity": trees.purity,
        }
    )
    return table.assign(rank=table["scaled"].rank(ascending=False))


def rank_stability(trees: Trees, added: Floats, seed: int, draws: int = 1000) -> pd.DataFrame:
    """How firm each driver's rank is, one row a driver, by drawing the trees again.

    ``rank_p5`` to ``rank_p95`` hold nine of ten draws of as many trees, with replacement;
    ``rank_kept`` is the share of draws that give the same rank as all the trees.
    """
    rng = np.random.default_rng(seed)
    count = len(added)
    ranks = np.empty((draws, added.shape[1]))
    for draw in range(draws):
        ratio = scaled(added[rng.integers(0, count, count)])[2]
        ranks[draw] = pd.Series(ratio).rank(ascending=False)
    whole = pd.Series(scaled(added)[2]).rank(ascending=False).to_numpy()
    low, high = np.percentile(ranks, [5, 95], axis=0)
    kept = (ranks == whole).mean(axis=0)
    return pd.DataFrame(
        {
            "driver": trees.drivers,
            "rank": whole,
            "rank_p5": low,
            "rank_p95": high,
            "rank_kept": kept,
        }
    )


def ranking(importances: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Drivers by the sum of their ranks over the areas: driver, rank_sum, rank; best first.

    Drivers that an area lacks have the mean of the ranks that are left there.
    """
    ranks = pd.DataFrame(
        {area: table.set_index("driver")["rank"] for area, table in importances.items()}
    )
    for area in ranks:
        known = ranks[area].notna().sum()
        ranks[area] = ranks[area].fillna((known + 1 + len(ranks)) / 2)
    total = ranks.sum(axis=1)
    table = pd.DataFrame({"driver": total.index, "rank_sum": total.to_numpy()})
    table["rank"] = table["rank_sum"].rank()
    return table.sort_values(["rank", "driver"], ignore_index=True)
