# SPDX-License-Identifier: Apache-2.0
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rsei.kernels.extremes import highest_key, lowest_key, ordered, pixels

floats = st.floats(width=32, allow_nan=False)


@given(floats, floats)
def test_integers_order_as_floats(a: float, b: float) -> None:
    assert (int(ordered(np.float32(a))) < int(ordered(np.float32(b)))) == (a < b)


@given(st.lists(floats, min_size=1))
def test_keys_find_the_first_of_the_equal(values: list[float]) -> None:
    row = np.array(values, np.float32)
    keys = np.array([[f(v, n) for n, v in enumerate(row)] for f in (lowest_key, highest_key)])
    assert pixels(keys.min(axis=1)) == [row.argmin(), row.argmax()]
