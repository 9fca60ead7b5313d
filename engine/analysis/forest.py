# SPDX-License-Identifier: Apache-2.0
"""Random forest of the index on its drivers, in one area: how well it is explained, and by what."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..sources.errors import InputError, StudyError
from .forest_settings import ForestSettings as ForestSettings
from .importance import added_error, importance, rank_stability
from .trees import Flags, Floats, Put, Trees, grown
from .validation import (
    Scores,
    bias_by_decile,
    blocks,
    by_fold,
    cross_validated,
    variance_explained,
)

FEWEST = 30
"""Rows below which no forest is grown: 9 would be left to validate it."""

Grow = Callable[
    [tuple[str, ...], NDArray[np.float32], Floats, int, int, int], tuple[Trees, Flags | None]
]
"""``grown``, or another engine that may keep no record of what its trees have not drawn."""

TRAIN, VALID, REST, BLANK = "train", "valid", "rest", "blank"
"""Values of the column ``split``: ``rest`` is complete, and not drawn where a sample is taken."""

PARTS = (BLANK, REST, TRAIN, VALID)
"""Them in order."""


@dataclass(frozen=True)
class Forest:
    """The forest of one area, and everything that is said of it."""

    trees: Trees
    """The forest itself."""

    scores: pd.DataFrame
    """trees, mtry, n_train, n_valid, var_explained (%), r2, rmse, mae, r2_block; one row."""

    importance: pd.DataFrame
    """driver, estimator, raw, se, scaled, inc_node_purity, rank."""

    stability: pd.DataFrame
    """driver, rank, rank_p5, rank_p95, rank_kept."""

    bias: pd.DataFrame
    """decile, n, observed, predicted, bias: of the validation rows, by their RSEI."""

    block_cv: pd.DataFrame
    """fold, n, r2, rmse, mae: of each fold of blocks, by a forest that has not seen it."""

    out_of_bag: Floats | None
    """Prediction of each training row by the trees that have not drawn it; None where no record of
    draws was kept."""

    def maps(self, parts: Iterable[pd.DataFrame], put: Put = np.asarray) -> Iterator[pd.DataFrame]:
        """x, y, predicted, residual, in_sample of each complete row, part by part.

        ``parts`` make up the table that the forest was grown on, in its order. A training row's
        ``predicted`` is its ``out_of_bag``; ``residual`` is observed less predicted.
        """
        done = 0
        for part in parts:
            rows = part[part["split"] != BLANK]
            own = np.flatnonzero(rows["split"] == TRAIN)
            in_sample = applied(self.trees, rows, put)["predicted"].to_numpy()
            predicted = in_sample.copy()
            if self.out_of_bag is not None:
                predicted[own] = self.out_of_bag[done : done + own.size]
            done += own.size
            layers = {"predicted": predicted, "residual": rows["rsei"] - predicted}
            yield rows[["x", "y"]].assign(**layers, in_sample=in_sample)


def split(table: pd.DataFrame, drivers: Sequence[str], settings: ForestSettings) -> pd.Series:
    """``train``, ``valid``, ``rest`` or ``blank``, (n,), for each row of ``table``.

    A row is blank where the index or a driver is missing.
    """
    complete = np.isfinite(table[["rsei", *drivers]].to_numpy(np.float64)).all(axis=1)
    names = np.array(PARTS, object)[drawn(complete, settings)]
    return pd.Series(names, index=table.index, name="split")


def drawn(complete: Flags, settings: ForestSettings) -> NDArray[np.int8]:
    """Which of ``PARTS`` each row is, (n,).

    Of the ``complete`` rows, or of the ``settings.sample`` that are drawn of them, a share of
    ``settings.validation`` is drawn to validate.
    """
    rows = np.random.default_rng(settings.seed).permutation(np.flatnonzero(complete))
    rows = rows[: settings.sample]
    out = np.where(complete, PARTS.index(REST), PARTS.index(BLANK)).astype(np.int8)
    out[rows] = PARTS.index(TRAIN)
    out[rows[: round(settings.validation * rows.size)]] = PARTS.index(VALID)
    return out


def forest(
    table: pd.DataFrame,
    drivers: Sequence[str],
    settings: ForestSettings,
    area: str,
    put: Put = np.asarray,
    grow: Grow = grown,
) -> Forest:
    """The forest of the rows of ``table`` that train or validate it.

    Columns are x, y, rsei, each driver and ``split``. Where ``grow`` keeps no record of draws, the
    validation rows judge the trees instead of the out-of-bag ones.

    ``area`` names it in errors: raises InputError for too few rows or an index that is constant,
    StudyError for more drivers tried than there are.
    """
    if settings.mtry > (most := len(drivers)):
        found = f"expected forest.mtry of at most the {most} drivers, found {settings.mtry}"
        raise StudyError(f"{area}: {found}")
    data = _Sample.of(table, drivers, area)
    learn, judge = np.flatnonzero(data.train), np.flatnonzero(~data.train)
    trees, unseen = grow(*data.learnt(learn), settings.trees, settings.mtry, settings.seed)
    guess, truth = trees.predict(data.values[judge], put=put), data.rsei[judge]
    out_of_bag, explained, judges = None, np.nan, judge
    if unseen is not None:
        out_of_bag = trees.predict(data.values[learn], unseen, put)
        explained, judges = variance_explained(data.rsei[learn], out_of_bag), learn
    judged = np.ones((trees.count, judge.size), bool) if unseen is None else unseen
    own = data.values[judges], data.rsei[judges]
    added = added_error(trees, *own, judged, settings.seed, put)
    folds, far = data.by_blocks(settings, put, grow)
    scores = {"var_explained": explained} | vars(Scores.of(truth, guess))
    scores["r2_block"] = Scores.of(data.rsei, far).r2
    return Forest(
        trees,
        data.summary(settings, scores),
        importance(trees, added, "validation" if unseen is None else "oob"),
        rank_stability(trees, added, settings.seed),
        bias_by_decile(truth, guess),
        by_fold(folds, data.rsei, far),
        out_of_bag,
    )


def tuning(
    table: pd.DataFrame,
    drivers: Sequence[str],
    settings: ForestSettings,
    area: str,
    put: Put = np.asarray,
) -> pd.DataFrame:
    """Out-of-bag error on the training rows: trees, mtry, oob_mse, var_explained (%)."""
    data = _Sample.of(table, drivers, area)
    learn = np.flatnonzero(data.train)
    counts = sorted(set(settings.tuning_trees))
    rows = []
    for mtry in sorted({min(mtry, len(data.drivers)) for mtry in settings.tuning_mtry}):
        trees, unseen = grown(*data.learnt(learn), counts[-1], mtry, settings.seed)
        for count in counts:
            voters = unseen & (np.arange(trees.count) < count)[:, None]
            oob = trees.predict(data.values[learn], voters, put)
            error = float(np.nanmean((data.rsei[learn] - oob) ** 2))
            rows.append((count, mtry, error, variance_explained(data.rsei[learn], oob)))
    table = pd.DataFrame(rows, columns=["trees", "mtry", "oob_mse", "var_explained"])
    return table.sort_values(["trees", "mtry"], ignore_index=True)


def held_out_importance(
    forest: Forest,
    table: pd.DataFrame,
    settings: ForestSettings,
    put: Put = np.asarray,
) -> pd.DataFrame:
    """Importance by the validation rows, which no tree has drawn; estimator ``validation``.

    For engines that keep no record of what each tree has drawn, as cuML.
    """
    valid = table[table["split"] == VALID]
    values = valid[list(forest.trees.drivers)].to_numpy(np.float32)
    everyone = np.ones((forest.trees.count, len(valid)), bool)
    target = valid["rsei"].to_numpy(np.float64)
    added = added_error(forest.trees, values, target, everyone, settings.seed, put)
    return importance(forest.trees, added, "validation")


def applied(trees: Trees, table: pd.DataFrame, put: Put = np.asarray) -> pd.DataFrame:
    """x, y, predicted of each row of another ``table``; NaN where a driver is missing.

    Raises InputError for a driver that the forest knows and the table lacks.
    """
    if missing := [name for name in trees.drivers if name not in table]:
        raise InputError(
            f"expected the forest's drivers {list(trees.drivers)}, found no {missing}: "
            "make them with the same [drivers] settings"
        )
    values = table[list(trees.drivers)].to_numpy(np.float32)
    complete = np.isfinite(values).all(axis=1)
    predicted = np.full(len(table), np.nan)
    predicted[complete] = trees.predict(values[complete], put=put)
    return table[["x", "y"]].assign(predicted=predicted)


@dataclass(frozen=True)
class _Sample:
    """The rows of an area that train or validate its forest."""

    drivers: tuple[str, ...]
    values: NDArray[np.float32]
    rsei: Floats
    x: Floats
    y: Floats
    train: Flags

    @classmethod
    def of(cls, table: pd.DataFrame, drivers: Sequence[str], area: str) -> "_Sample":
        """The rows of ``table`` that are drawn."""
        rows = table[table["split"].isin((TRAIN, VALID))]
        if len(rows) < FEWEST:
            raise InputError(
                f"{area}: expected at least {FEWEST} pixels with RSEI and all of "
                f"{', '.join(drivers)}, found {len(rows)}; see which driver is blank"
            )
        rsei, x, y = (rows[name].to_numpy(np.float64) for name in ("rsei", "x", "y"))
        if rsei.min() == rsei.max():
            raise InputError(f"{area}: expected RSEI to differ, found {rsei[0]:g} in every pixel")
        values = np.ascontiguousarray(rows[list(drivers)].to_numpy(np.float32))
        return cls(tuple(drivers), values, rsei, x, y, (rows["split"] == TRAIN).to_numpy())

    def learnt(self, rows: NDArray[np.intp]) -> tuple[tuple[str, ...], NDArray[np.float32], Floats]:
        """What a forest is grown on: the drivers, and their values and RSEI in some rows."""
        return self.drivers, self.values[rows], self.rsei[rows]

    def summary(self, settings: ForestSettings, scores: Mapping[str, float]) -> pd.DataFrame:
        """The row of the table of forests."""
        row = {
            "trees": settings.trees,
            "mtry": settings.mtry,
            "n_train": int(self.train.sum()),
            "n_valid": int((~self.train).sum()),
        }
        names = ("var_explained", "r2", "rmse", "mae", "r2_block")
        return pd.DataFrame([row | {name: scores[name] for name in names}])

    def by_blocks(
        self, settings: ForestSettings, put: Put, grow: Grow
    ) -> tuple[NDArray[np.intp], Floats]:
        """Fold and prediction, by a forest that has not seen its block, of each row."""

        def predict(learn: NDArray[np.intp], judge: NDArray[np.intp]) -> Floats:
            trees = min(settings.trees, settings.block_trees)
            found = grow(*self.learnt(learn), trees, settings.mtry, settings.seed)[0]
            return found.predict(self.values[judge], put=put)

        folds = blocks(self.x, self.y, settings.block, settings.folds, settings.seed)
        return folds, cross_validated(folds, predict)
