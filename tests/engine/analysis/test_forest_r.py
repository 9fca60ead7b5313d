# SPDX-License-Identifier: Apache-2.0
"""The forest beside R's randomForest on the same rows; skipped where R is not installed."""

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rsei.engine.analysis.forest import ForestSettings, split

pytestmark = pytest.mark.slow

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def bench() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))  # as Python does for a script
        module = importlib.import_module("bench_r")
    if not module.has_r():
        pytest.skip("R's randomForest is not installed: apt-get install r-cran-randomforest")
    return module


def simulated() -> tuple[pd.DataFrame, list[str]]:
    """Rows of which dem explains most, then gdp, then slope and prec together; elec nothing."""
    rng, names = np.random.default_rng(1), ["dem", "slope", "prec", "gdp", "elec"]
    rows = pd.DataFrame(rng.normal(size=(900, 5)), columns=names)
    effect = 0.1 * np.tanh(rows["dem"]) + 0.04 * rows["gdp"] + 0.02 * rows["slope"] * rows["prec"]
    rows["rsei"] = 0.5 + effect + rng.normal(0, 0.01, len(rows))
    return rows.assign(split=split(rows, names, ForestSettings())), names


def compare(bench: Any, place: tuple[pd.DataFrame, list[str]], trees: int) -> None:
    """Forests of three seeds each: of one alone a driver may be three standard errors off."""
    rows, names = place
    ours, r = (
        bench.averaged([of(rows, names, trees, 3, seed) for seed in (1, 2, 3)])
        for of in (bench.of_ours, bench.of_r)
    )
    apart = bench.agreement(ours, r)
    assert apart["explained, points (1)"] < 1
    assert apart["r2 (0.01)"] < 0.01
    assert apart["raw, joint standard errors (3)"] < 3
    assert apart["scaled where R's is 50, share (0.1)"] < 0.1
    assert apart["pairs in another order (0)"] == 0
    np.testing.assert_allclose(ours["purity"], r["purity"], rtol=0.1)


def test_it_says_what_r_says(bench: Any) -> None:
    compare(bench, simulated(), trees=300)


@pytest.mark.parametrize("place", ["neiba", "azores"])
def test_of_real_places_it_says_what_r_says(bench: Any, real_data: Path, place: str) -> None:
    folder = {"neiba": "sierra-de-neiba", "azores": "sao-miguel"}[place]
    compare(bench, getattr(bench, place)(real_data / "drivers" / folder), trees=60)
