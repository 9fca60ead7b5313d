# SPDX-License-Identifier: Apache-2.0
"""How good a model's predictions are: overall, by decile, and on ground it has not seen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Predict = Callable[[NDArray[np.intp], NDArray[np.intp]], Floats]
"""``predict(learn, judge)`` gives predictions for the rows ``judge`` of a model of ``learn``."""


@dataclass(frozen=True)
class Scores:
    """Agreement of predictions with observations."""

    n: int
    """Rows compared."""

    r2: float
    """Coefficient of determination, 1 - SSE / SST; negative where the mean would do better."""

    rmse: float
    """Root of the mean squared error, in the target's unit."""

    mae: float
    """Mean absolute error, in the target's unit."""

    @staticmethod
    def of(observed: Floats, predicted: Floats) -> "Scores":
        """The scores of rows that have both values."""
        errors = Errors()
        errors.add(observed, predicted)
        return errors.scores


@dataclass
class Errors:
    """What scores are made of, of rows that come part by part and are too many to hold."""

    n: int = 0
    """Rows that have both values."""

    mean: float = 0.0
    """Their mean observation."""

    spread: float = 0.0
    """Sum of the squared distances from it."""

    squared: float = 0.0
    """Sum of the squared errors."""

    absolute: float = 0.0
    """Sum of the absolute errors."""

    def add(self, observed: Floats, predicted: Floats) -> None:
        """Count more rows. Source of the merged spread: Chan, Golub and LeVeque 1983."""
        both = np.isfinite(observed) & np.isfinite(predicted)
        truth, error = observed[both], predicted[both] - observed[both]
        if not truth.size:
            return
        n, apart = self.n + truth.size, float(truth.mean()) - self.mean
        self.spread += float(((truth - truth.mean()) ** 2).sum())
        self.spread += apart**2 * self.n * truth.size / n
        self.mean += apart * truth.size / n
        self.squared += float((error**2).sum())
        self.absolute += float(np.abs(error).sum())
        self.n = n

    @property
    def scores(self) -> Scores:
        """The scores of all rows."""
        if not self.n:
            return Scores(0, np.nan, np.nan, np.nan)
        r2 = 1 - self.squared / self.spread if self.spread > 0 else np.nan
        return Scores(self.n, r2, float(np.sqrt(self.squared / self.n)), self.absolute / self.n)


def variance_explained(observed: Floats, out_of_bag: Floats) -> float:
    """R's "% Var explained" by out-of-bag predictions, %.

    Source: R, randomForest 4.7: 100 (1 - mse / (var(y) (n - 1) / n)), its rsq of the last tree.
    """
    both = np.isfinite(out_of_bag)
    error = ((observed[both] - out_of_bag[both]) ** 2).mean()
    return float(100 * (1 - error / observed.var()))


def blocks(x: Floats, y: Floats, size: float, folds: int, seed: int) -> NDArray[np.intp]:
    """The fold, 0 to ``folds`` - 1, of each pixel: whole squares of side ``size`` share one.

    Squares are dealt out in random order, each to the fold that has the fewest pixels so far.
    """
    squares = np.stack([np.floor(x / size), np.floor(y / size)], axis=1)
    _, which, counts = np.unique(squares, axis=0, return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(counts))
    load, fold = np.zeros(folds), np.zeros(len(counts), np.intp)
    for square in order:
        fold[square] = load.argmin()
        load[fold[square]] += counts[square]
    return fold[which.ravel()]


def cross_validated(folds: NDArray[np.intp], predict: Predict) -> Floats:
    """The prediction of each row by a model that has not seen its fold, (n,)."""
    out = np.full(len(folds), np.nan)
    for fold in np.unique(folds):
        judge, learn = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        if learn.size:
            out[judge] = predict(learn, judge)
    return out


def bias_by_decile(observed: Floats, predicted: Floats) -> pd.DataFrame:
    """Mean observation, prediction and error in each tenth of the observations, lowest first.

    Forests pull towards the mean: they predict too much at the low end and too little at the high.
    """
    both = np.isfinite(observed) & np.isfinite(predicted)
    truth, guess = observed[both], predicted[both]
    order = np.argsort(truth, kind="stable")
    rows = []
    for decile, part in enumerate(np.array_split(order, 10), start=1):
        if part.size:
            mean, model = float(truth[part].mean()), float(guess[part].mean())
            rows.append((decile, part.size, mean, model, model - mean))
    return pd.DataFrame(rows, columns=["decile", "n", "observed", "predicted", "bias"])


def by_fold(folds: NDArray[np.intp], observed: Floats, predicted: Floats) -> pd.DataFrame:
    """fold, n, r2, rmse, mae: the scores of each fold."""
    parts = [(fold, folds == fold) for fold in np.unique(folds)]
    rows = [
        {"fold": fold} | vars(Scores.of(observed[part], predicted[part])) for fold, part in parts
    ]
    return pd.DataFrame(rows)
