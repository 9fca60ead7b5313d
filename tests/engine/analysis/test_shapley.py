# SPDX-License-Identifier: Apache-2.0
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from rsei.engine.analysis import shapley
from rsei.engine.analysis.trees import Trees, grown
from rsei.engine.sources.errors import MachineError
from rsei.kernels.trees import sortable

NAMES = ("dem", "gdp", "elec")
Rows = NDArray[np.float32]


@pytest.fixture(scope="module")
def learnt() -> Rows:
    return np.random.default_rng(1).normal(size=(80, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def trees(learnt: Rows) -> Trees:
    target = np.tanh(learnt[:, 0]) + 0.3 * learnt[:, 0] * learnt[:, 1]
    return grown(NAMES, learnt, target.astype(np.float64), 7, 2, 1)[0]


def told(tree: Any, row: Rows, known: frozenset[int], node: int = 0) -> float:
    """A tree's prediction where only some drivers of a row are told; else the mean of both ways."""
    if tree["children_left"][node] < 0:
        return float(tree["values"][node, 0])
    left, right = (int(tree[side][node]) for side in ("children_left", "children_right"))
    driver = int(tree["features"][node])
    if driver in known:
        return told(tree, row, known, left if row[driver] <= tree["thresholds"][node] else right)
    weight = tree["node_sample_weight"]
    both = weight[left] * told(tree, row, known, left) + weight[right] * told(
        tree, row, known, right
    )
    return float(both / (weight[left] + weight[right]))


def test_they_are_shapleys_by_all_subsets(trees: Trees, learnt: Rows) -> None:
    pytest.importorskip("shap")
    asked = learnt[:4]
    base, found = shapley.shap_values(trees, asked, learnt)
    keys = sortable(learnt)
    ends = [*trees.roots[1:], trees.nodes.size]
    forest = [shapley._opened(trees.nodes[a:b], keys, trees) for a, b in zip(trees.roots, ends)]
    assert forest[0]["node_sample_weight"][0] == len(learnt)
    assert base == pytest.approx(sum(told(tree, keys[0], frozenset()) for tree in forest))
    for n in range(len(asked)):
        for driver in range(3):
            total = 0.0
            others = [other for other in range(3) if other != driver]
            for size in range(3):
                for part in map(frozenset, combinations(others, size)):
                    share = factorial(size) * factorial(2 - size) / factorial(3)
                    gain = (
                        told(tree, keys[n], part | {driver}) - told(tree, keys[n], part)
                        for tree in forest
                    )
                    total += share * sum(gain)
            assert found[n, driver] == pytest.approx(total, abs=1e-6)


def test_with_the_mean_they_add_up_to_the_prediction(trees: Trees, learnt: Rows) -> None:
    pytest.importorskip("shap")
    rows = pd.DataFrame(learnt[:9], columns=NAMES).assign(x=np.arange(9.0), y=5.0)
    table = shapley.shap_table(trees, rows, learnt)
    assert list(table) == ["x", "y", "driver", "value", "shap", "base"]
    total = table.groupby("x")["shap"].sum() + table["base"].iloc[0]
    np.testing.assert_allclose(total, trees.predict(learnt[:9]), atol=1e-5)


def test_without_the_library_it_says_what_to_install(
    trees: Trees, learnt: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r"rsei\[shap\]"):
        shapley.shap_values(trees, learnt, learnt)
