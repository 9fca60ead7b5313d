# SPDX-License-Identifier: Apache-2.0
"""What a model says a driver does: accumulated local effects and partial dependence."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Predict = Callable[[NDArray[np.float32]], NDArray[Any]]
"""Predictions, (n,), of drivers, (n, K)."""

INTERVALS = 20
"""Most intervals of a driver: twentieths of its values."""


def accumulated_local_effects(
    predict: Predict,
    values: NDArray[np.float32],
    drivers: Sequence[str],
    intervals: int = INTERVALS,
) -> pd.DataFrame:
    """What each driver adds to the prediction: driver, value, effect, n.

    ``values`` are (n, K). A row for each end of an interval that holds as many of the driver's
    values as the others; ``n`` is what it holds, 0 at the first end. Effects are in the target's
    unit, their mean over the rows is 0. Unlike partial dependence it never asks about rows that
    cannot be, such as a mine on the sea floor. Nothing for a constant driver.

    Source: Apley and Zhu 2020, J. R. Stat. Soc. B 82(4), eq. 15 and 16.
    """
    tables = []
    for k, driver in enumerate(drivers):
        column = values[:, k]
        quantiles = np.linspace(0, 1, intervals + 1)
        ends = np.unique(np.quantile(column, quantiles, method="inverted_cdf"))
        if ends.size < 2:
            continue
        bins = np.clip(np.searchsorted(ends, column, side="left"), 1, ends.size - 1)
        low, high = values.copy(), values.copy()
        low[:, k], high[:, k] = ends[bins - 1], ends[bins]
        change = predict(high) - predict(low)
        n = np.bincount(bins, minlength=ends.size)
        mean = np.bincount(bins, change, minlength=ends.size) / np.maximum(n, 1)
        effect = mean.cumsum()
        middle = (effect[1:] + effect[:-1]) / 2
        effect -= (middle * n[1:]).sum() / n.sum()
        tables.append(pd.DataFrame({"driver": driver, "value": ends, "effect": effect, "n": n}))
    columns = ["driver", "value", "effect", "n"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def partial_dependence(
    predict: Predict,
    values: NDArray[np.float32],
    drivers: Sequence[str],
    intervals: int = INTERVALS,
) -> pd.DataFrame:
    """Mean prediction, in the target's unit, with a driver set to a value: driver, value, mean.

    ``values`` are (n, K); the driver goes through its quantiles, all else stays.

    Source: Friedman 2001, Annals of Statistics 29(5), section 8.2.
    """
    rows = []
    for k, driver in enumerate(drivers):
        quantiles = np.linspace(0, 1, intervals + 1)
        for value in np.unique(np.quantile(values[:, k], quantiles, method="inverted_cdf")):
            other = values.copy()
            other[:, k] = value
            rows.append((driver, float(value), float(predict(other).mean())))
    return pd.DataFrame(rows, columns=["driver", "value", "mean"])
