# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
from conftest import Home

from rsei.kernels import averaging


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_is_the_quotient_in_long_doubles(home: Home, kind: Any) -> None:
    rng = np.random.default_rng(4)
    sums = rng.integers(-(2**31), 2**31, home.pixels).astype(np.int32)
    counts = rng.integers(0, 200, home.pixels).astype(kind)
    out = home.put(np.zeros(home.pixels, np.float32))
    averaging.means(home.put(sums), home.put(counts), 0.02, -273.15, out)
    some = counts > 0
    exact = sums[some].astype(np.longdouble) / counts[some] * 0.02 - 273.15
    np.testing.assert_allclose(home.get(out)[some], exact.astype(np.float32), rtol=1.2e-7)
    assert np.isnan(home.get(out)[~some]).all()
    assert (~some).any()
