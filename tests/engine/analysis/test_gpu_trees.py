# SPDX-License-Identifier: Apache-2.0
"""cuML's part of the forest without a GPU: scikit-learn grows in its place, Treelite is itself."""

import inspect
import sys
import warnings
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
import treelite.sklearn
from sklearn.ensemble import RandomForestRegressor

from rsei.engine.analysis.forest import ForestSettings, forest, split
from rsei.engine.analysis.gpu_trees import grown_on_gpu
from rsei.engine.analysis.trees import Trees

NAMES = ("dem", "slope", "prec", "gdp")


class InPlaceOfCuml:
    """Knows the settings of cuML 26.4 to 26.10 that are asked for, and no other."""

    made: ClassVar[list["InPlaceOfCuml"]] = []

    def __init__(
        self,
        *,
        n_estimators: int = 100,
        max_depth: int = 16,
        max_features: float = 1.0,
        n_bins: int = 128,
        min_samples_split: int = 2,
        random_state: int | None = None,
        n_streams: int = 4,
    ) -> None:
        self.asked = dict(inspect.getargvalues(inspect.currentframe()).locals)  # type: ignore[arg-type]
        self.engine = RandomForestRegressor(
            n_estimators,
            max_depth=max_depth,
            max_features=max_features,
            min_samples_split=min_samples_split,
            random_state=random_state,
        )
        self.made.append(self)

    def fit(self, values: Any, target: Any) -> None:
        assert values.dtype == target.dtype == np.float32
        if self.asked["n_bins"] > len(values):
            warnings.warn("The number of bins, `n_bins` is greater than", stacklevel=2)
        self.engine.fit(values, target)

    def as_treelite(self) -> Any:
        return treelite.sklearn.import_model(self.engine)


@pytest.fixture
def cuml(monkeypatch: pytest.MonkeyPatch) -> list[InPlaceOfCuml]:
    """Everything that is made in place of cuML's estimators."""
    module, ensemble = ModuleType("cuml"), ModuleType("cuml.ensemble")
    ensemble.RandomForestRegressor = InPlaceOfCuml  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cuml", module)
    monkeypatch.setitem(sys.modules, "cuml.ensemble", ensemble)
    monkeypatch.setattr(InPlaceOfCuml, "made", [])
    return InPlaceOfCuml.made


def rows(count: int) -> tuple[Any, Any]:
    values = np.random.default_rng(3).random((count, len(NAMES)), np.float32)
    return values, 0.2 + 0.5 * values[:, 0].astype(np.float64) + 0.1 * values[:, 1] * values[:, 2]


def test_it_is_asked_for_the_same_forest_in_its_own_terms(cuml: list[InPlaceOfCuml]) -> None:
    grown_on_gpu(NAMES, *rows(300), trees=5, mtry=3, seed=8)
    grown_on_gpu(NAMES, *rows(40), trees=5, mtry=3, seed=8)  # fewer rows than bins
    first, second = (one.asked for one in cuml)
    assert first["n_estimators"] == 5 and first["random_state"] == 8
    assert first["min_samples_split"] == 6  # R does not split 5 draws
    assert (first["n_bins"], second["n_bins"]) == (256, 40)


@pytest.mark.parametrize("drivers", range(1, 11))
def test_as_many_drivers_are_tried_as_were_asked_for(
    drivers: int, cuml: list[InPlaceOfCuml]
) -> None:
    """cuML cuts the product of a float32 share and the number of columns to an integer."""
    names, (values, target) = tuple("abcdefghij"[:drivers]), rows(20)
    for mtry in range(1, drivers + 1):
        grown_on_gpu(names, np.resize(values, (20, drivers)), target, 1, mtry, 0)
        share = np.float32(cuml[-1].asked["max_features"])
        assert int(share * np.float32(drivers)) == mtry


def test_its_trees_predict_the_same(cuml: list[InPlaceOfCuml]) -> None:
    values, target = rows(300)
    trees, unseen = grown_on_gpu(NAMES, values, target, 12, 3, 1)
    assert unseen is None and trees.count == 12 and np.isnan(trees.purity).all()
    np.testing.assert_allclose(trees.predict(values), cuml[0].engine.predict(values), atol=1e-7)
    again = Trees.of_arrays(trees.arrays())
    np.testing.assert_array_equal(again.predict(values), trees.predict(values))


def test_the_tables_say_who_judged(cuml: list[InPlaceOfCuml]) -> None:
    values, target = rows(900)
    y, x = np.mgrid[0:30, 0:30] * 1000.0
    table = pd.DataFrame({"x": x.ravel(), "y": y.ravel(), "rsei": target})
    table[list(NAMES)] = values
    settings = ForestSettings(trees=30, folds=3)
    table["split"] = split(table, NAMES, settings)
    found = forest(table, NAMES, settings, "Anshan", grow=grown_on_gpu)
    assert (found.importance["estimator"] == "validation").all()
    assert found.importance["inc_node_purity"].isna().all()
    assert found.importance.set_index("driver")["rank"]["dem"] == 1
    assert np.isnan(found.scores["var_explained"][0]) and found.scores["r2"][0] > 0.5
    assert len(cuml) == 1 + settings.folds  # the forest, and one for each fold of blocks
