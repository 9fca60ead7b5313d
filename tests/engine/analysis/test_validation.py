# SPDX-License-Identifier: Apache-2.0
"""Scores of rows that come part by part are those of all of them."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from rsei.engine.analysis.validation import Errors

VALUES = st.floats(-2, 2) | st.just(np.nan)


@given(
    rows=st.lists(st.tuples(VALUES, VALUES), max_size=40),
    ends=st.lists(st.integers(0, 40), max_size=5),
)
def test_the_cut_of_rows_does_not_show(rows: list[tuple[float, float]], ends: list[int]) -> None:
    observed, predicted = np.array(rows, float).reshape(-1, 2).T
    both = np.isfinite(observed) & np.isfinite(predicted)
    found = Errors()
    for part in np.split(np.arange(len(rows)), sorted(ends)):
        found.add(observed[part], predicted[part])
    scores, all_ = found.scores, (observed[both], predicted[both])
    assert scores.n == both.sum()
    if not scores.n:
        assert np.isnan([scores.r2, scores.rmse, scores.mae]).all()
        return
    near = partial(pytest.approx, rel=1e-6, abs=1e-9)
    assert scores.rmse == near(metrics.root_mean_squared_error(*all_))
    assert scores.mae == near(metrics.mean_absolute_error(*all_))
    if found.spread > 1e-9:
        assert scores.r2 == near(metrics.r2_score(*all_))
