# SPDX-License-Identifier: Apache-2.0
"""Scores of rows that come part by part are those of all of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsei.engine.analysis.validation import Agreement, Scores

VALUES = st.floats(-2, 2) | st.just(np.nan)


@given(
    rows=st.lists(st.tuples(VALUES, VALUES), max_size=40),
    ends=st.lists(st.integers(0, 40), max_size=5),
)
def test_the_cut_of_rows_does_not_show(rows: list[tuple[float, float]], ends: list[int]) -> None:
    observed, predicted = np.array(rows, float).reshape(-1, 2).T
    expected, found = Scores.of(observed, predicted), Agreement()
    for part in np.split(np.arange(len(rows)), sorted(ends)):
        found.add(observed[part], predicted[part])
    assert found.scores.n == expected.n
    names = ("rmse", "mae", *(("r2",) if found.spread > 1e-9 else ()))
    for name in names:
        known = getattr(expected, name)
        assert getattr(found.scores, name) == pytest.approx(known, rel=1e-6, abs=1e-9, nan_ok=True)
