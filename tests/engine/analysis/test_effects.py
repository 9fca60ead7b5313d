# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import partial_dependence as sklearns

from rsei.engine.analysis import effects

NAMES = ("dem", "gdp", "ntl")


@pytest.fixture(scope="module")
def values() -> NDArray[np.float32]:
    made = np.random.default_rng(1).normal(size=(500, 3)).astype(np.float32)
    made[:, 1] += made[:, 0]  # drivers that go together
    return made


def test_effects_of_a_sum_are_its_terms(values: NDArray[np.float32]) -> None:
    found = effects.accumulated_local_effects(
        lambda rows: 2.0 * rows[:, 0] - rows[:, 1] ** 2, values, NAMES, 200
    )
    terms: dict[str, Callable[[Any], Any]] = {"dem": lambda v: 2 * v, "gdp": lambda v: -(v**2)}
    for driver, term in terms.items():
        part = found[found["driver"] == driver]
        expected = term(part["value"]) - term(values[:, NAMES.index(driver)]).mean()
        assert np.abs(part["effect"] - expected).max() < 0.06
    assert found.loc[found["driver"] == "ntl", "effect"].abs().max() == 0


def test_effects_of_a_product_depend_on_the_company(values: NDArray[np.float32]) -> None:
    """The slope of x1 x2 in x1 is x2, and x2 goes with x1: half a square, which PD cannot see."""
    found = effects.accumulated_local_effects(lambda rows: rows[:, 0] * rows[:, 1], values, NAMES)
    part = found[found["driver"] == "dem"].iloc[2:-2]
    fit = np.polyfit(part["value"], part["effect"], 2)
    assert fit[0] == pytest.approx(0.5, abs=0.1)


def test_rows_are_counted_once(values: NDArray[np.float32]) -> None:
    found = effects.accumulated_local_effects(lambda rows: rows[:, 0], values, NAMES)
    assert (found.groupby("driver")["n"].sum() == 500).all()
    assert (found.groupby("driver")["n"].first() == 0).all()


def test_a_constant_driver_has_no_effect(values: NDArray[np.float32]) -> None:
    fixed = np.column_stack([values[:, :2], np.ones(500)]).astype(np.float32)
    found = effects.accumulated_local_effects(lambda rows: rows[:, 0], fixed, NAMES)
    assert set(found["driver"]) == {"dem", "gdp"}
    assert effects.accumulated_local_effects(lambda r: r[:, 0], fixed[:, 2:], ("ntl",)).empty


def test_partial_dependence_is_scikit_learns(values: NDArray[np.float32]) -> None:
    model: Any = RandomForestRegressor(10, random_state=1).fit(values, values[:, 0] * values[:, 1])
    found = effects.partial_dependence(model.predict, values, NAMES, 10)
    part = found[found["driver"] == "gdp"]
    expected = sklearns(
        model, values, [1], custom_values={1: part["value"].to_numpy()}, method="brute"
    )
    np.testing.assert_allclose(part["mean"], expected["average"][0], rtol=1e-6)
