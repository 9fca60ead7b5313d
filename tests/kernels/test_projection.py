# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from conftest import Home

from rsei.kernels import extremes, projection

WEIGHTS = (0.7, 1.9, -0.6, -0.031)
OFFSETS = (-0.1, -0.4, -0.5, 287.25)


@pytest.mark.parametrize("rows", [4, 5])
def test_is_the_weighted_sum(home: Home, rows: int) -> None:
    rng = np.random.default_rng(8)
    values = np.stack([rng.normal(offset, 0.3, home.pixels) for offset in (*OFFSETS, 0.0)[:rows]])
    values = values.astype(np.float32)
    reasons = (rng.random(home.pixels) < 0.3).astype(np.uint8)
    values[:, reasons > 0] = np.nan
    out, keys = projection.project(home.put(values), home.put(reasons), WEIGHTS, OFFSETS)
    found = home.get(out)
    expected = np.array(WEIGHTS) @ (values[:4].astype(np.float64) - np.array(OFFSETS)[:, None])
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    assert extremes.pixels(home.get(keys).min(axis=0)) == [np.nanargmin(found), np.nanargmax(found)]


def test_nothing_to_project(home: Home) -> None:
    values = home.put(np.zeros((4, 3), np.float32))
    out, keys = projection.project(values, home.put(np.ones(3, np.uint8)), WEIGHTS, OFFSETS)
    assert np.isnan(home.get(out)).all()
    assert extremes.pixels(home.get(keys).min(axis=0)) == [None, None]
