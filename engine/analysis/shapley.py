# SPDX-License-Identifier: Apache-2.0
"""SHAP values: what each driver adds to the prediction of each single pixel."""

import importlib
import importlib.util
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ...kernels import trees as walks
from ..sources.errors import MachineError
from .trees import Floats, Trees


def require_shap() -> None:
    """Raises MachineError where the extra ``shap`` is not installed."""
    if importlib.util.find_spec("shap") is None:
        raise MachineError(
            'expected the package shap for forest.shap, found none; `pip install "rsei[shap]"`, '
            "or leave forest.shap out"
        )


def shap_values(trees: Trees, values: NDArray[Any], known: NDArray[Any]) -> tuple[float, Floats]:
    """Mean prediction, and what each driver adds to it for each row of ``values``, (n, K).

    Both in the target's unit; a row's sum, and the mean, are its prediction. ``known``, (m, K), are
    the rows over which a driver that is not told is averaged, along each tree's own splits: those
    that the trees have learnt from. Raises MachineError without the extra ``shap``.

    Source: Lundberg et al. 2020, Nature Machine Intelligence 2, 56-67 (path-dependent TreeSHAP).
    """
    require_shap()
    ends = np.append(trees.roots[1:], trees.nodes.size)
    keys = walks.sortable(np.ascontiguousarray(known, np.float32))
    forest = [
        _opened(trees.nodes[root:end], keys, trees)
        for root, end in zip(trees.roots, ends, strict=True)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it makes colour maps of its own when it is imported
        library = importlib.import_module("shap")
    explainer = library.TreeExplainer({"trees": forest})
    asked = walks.sortable(np.ascontiguousarray(values, np.float32)).astype(np.float64)
    added = np.asarray(explainer.shap_values(asked, check_additivity=False), np.float64)
    return float(np.ravel(explainer.expected_value)[0]), added.reshape(values.shape)


def shap_table(trees: Trees, rows: pd.DataFrame, known: NDArray[Any]) -> pd.DataFrame:
    """x, y, driver, value, shap and base, the mean prediction; a row a pixel and driver."""
    names = list(trees.drivers)
    mean, added = shap_values(trees, rows[names].to_numpy(np.float32), known)
    columns: dict[str, Any] = {name: np.repeat(rows[name].to_numpy(), len(names)) for name in "xy"}
    columns |= {"driver": np.tile(names, len(rows)), "value": rows[names].to_numpy().ravel()}
    return pd.DataFrame(columns | {"shap": added.ravel(), "base": mean})


def _opened(nodes: NDArray[np.int64], keys: NDArray[np.int32], forest: Trees) -> dict[str, Any]:
    """One tree as the library takes it, its drivers as the keys that the cuts are made on."""
    links = nodes & walks.LEAF
    inner, place = links != walks.LEAF, np.arange(nodes.size)
    left = np.where(inner, place + 1, -1)
    right = np.where(inner, links >> walks.FEATURE_BITS, -1)
    driver = np.where(inner, links & walks.LOW_BYTE, 0)
    cut = nodes >> walks.CUT
    leaves = np.where(inner, 0.0, forest.low + forest.step * cut) / forest.count
    return {
        "children_left": left,
        "children_right": right,
        "children_default": left,
        "features": np.where(inner, driver, -1),
        "thresholds": np.where(inner, cut, 0).astype(np.float64),
        "values": leaves[:, None],
        "node_sample_weight": _passing(left, right, driver, cut, keys),
    }


def _passing(
    left: NDArray[Any], right: NDArray[Any], driver: NDArray[Any], cut: NDArray[Any], keys: Any
) -> Floats:
    """Rows of ``keys`` that come by each node of a tree."""
    out, at, rows = np.zeros(left.size), np.zeros(len(keys), np.int64), np.arange(len(keys))
    while rows.size:
        out += np.bincount(at, minlength=left.size)
        going = left[at] >= 0
        at, rows = at[going], rows[going]
        below = keys[rows, driver[at]] <= cut[at]
        at = np.where(below, left[at], right[at])
    return out
