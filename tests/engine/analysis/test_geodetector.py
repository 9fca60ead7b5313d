# SPDX-License-Identifier: Apache-2.0
import math
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from rsei.engine.analysis import geodetector


def table(n: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    made = pd.DataFrame({"dem": rng.gamma(2, 300, n), "gdp": rng.normal(size=n)})
    made["ntl"] = rng.random(n)
    made["rsei"] = np.where(made["dem"] > 800, 0.7, 0.4) + rng.normal(0, 0.05, n)
    return made


def of_factors(made: pd.DataFrame, drivers: list[str]) -> pd.DataFrame:
    return geodetector.factors(geodetector.stratified_drivers(made, drivers))


def test_q_is_one_minus_the_variance_within() -> None:
    rsei, strata = np.array([1.0, 2, 3, 10, 12, 11, 5], np.float64), np.array([0, 0, 0, 2, 2, 2, 7])
    within = sum(rsei[strata == k].var() * (strata == k).sum() for k in (0, 2, 7))
    q, p = geodetector.q_statistic(rsei, strata)
    assert q == pytest.approx(1 - within / (rsei.var() * 7), rel=1e-12)
    means, counts = np.array([2.0, 11, 5]), np.array([3, 3, 1])
    lean = (means**2).sum() - (np.sqrt(counts) * means).sum() ** 2 / 7
    expected = stats.ncf.sf(4 / 2 * q / (1 - q), 2, 4, lean / rsei.var())
    assert p == pytest.approx(expected, rel=1e-9)


def test_strata_that_say_nothing_and_all() -> None:
    rng = np.random.default_rng(1)
    rsei, strata = rng.normal(size=3000), rng.integers(0, 4, 3000)
    q, p = geodetector.q_statistic(rsei, strata)
    assert q < 0.01 and p > 0.01
    assert geodetector.q_statistic(strata.astype(np.float64), strata) == (1.0, 0.0)
    assert math.isnan(geodetector.q_statistic(np.ones(9), np.arange(9) % 2)[0])
    assert math.isnan(geodetector.q_statistic(np.arange(3.0), np.arange(3))[0])


@pytest.mark.parametrize("strata", [2, 3, 4])
def test_natural_breaks_are_the_best_of_all(strata: int) -> None:
    values = np.random.default_rng(strata).gamma(1.5, size=14)
    ordered = np.sort(values)

    def within(edges: tuple[int, ...]) -> float:
        return sum(part.var() * part.size for part in np.split(ordered, edges))

    best = min(combinations(range(1, 14), strata - 1), key=within)
    np.testing.assert_array_equal(
        geodetector.natural(values, 5)[strata - 2], ordered[[edge - 1 for edge in best]]
    )


def test_natural_breaks_of_many_values_are_nearly_the_best() -> None:
    values = np.concatenate([np.random.default_rng(k).normal(10 * k, 1, 2000) for k in range(3)])
    cuts = geodetector.natural(values, 3)[1]
    assert 2 < cuts[0] < 8 and 12 < cuts[1] < 18


def test_the_step_that_was_put_in_is_found() -> None:
    found = of_factors(table(), ["dem", "gdp", "ntl"]).set_index("driver")
    assert found["q"].idxmax() == "dem" and found["q"]["dem"] > 0.7
    assert found["p"]["dem"] < 1e-6 < found["p"]["gdp"]
    assert found["strata"].between(3, 8).all() and (found["n"] == 400).all()


def test_two_drivers_together_hold_no_less() -> None:
    made = table()
    made["rsei"] += 0.2 * (made["gdp"] > 0)
    found = geodetector.interactions(
        made["rsei"].to_numpy(),
        geodetector.stratified_drivers(made, ["dem", "gdp", "ntl"]),
    )
    assert len(found) == 3
    assert (found["q"] >= found[["q_first", "q_second"]].max(axis=1) - 1e-12).all()
    assert found["kind"].str.startswith("enhanced").all()


def test_missing_and_constant_drivers_have_no_strata() -> None:
    made = table().assign(co2=np.nan, elec=3.0)
    made.loc[:10, "gdp"] = np.nan
    found = of_factors(made, ["co2", "elec", "gdp"]).set_index("driver")
    assert found.loc[["co2", "elec"], "q"].isna().all()
    assert found["n"].tolist() == [0, 400, 389]
