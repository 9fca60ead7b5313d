# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import oracles_quality as oracles
import pytest
from conftest import Home
from numpy.typing import NDArray

from rsei.kernels import layers
from rsei.kernels.layers import NO_FILL
from rsei.kernels.rules import rule

LST_FIELDS = {(0, 1): {0, 1}, (6, 7): {0, 1}}
LST = (7500, 65535)
VIEW_TIME = (0, 240)


def heat(dates: int, pixels: int) -> tuple[NDArray[Any], ...]:
    """Stored temperature, quality and view time, each with its faults."""
    rng = np.random.default_rng(11)
    lst = rng.integers(7000, 2**16, (dates, pixels), np.uint16)
    lst[rng.random((dates, pixels)) < 0.2] = 0
    view_time = rng.integers(0, 256, (dates, pixels), np.uint8)
    return lst, rng.integers(0, 256, (dates, pixels), np.uint8), view_time


def compiled(fields: dict[tuple[int, int], set[int]], word: int = 0) -> NDArray[np.uint32]:
    rows = [rule(word, bits, values) for bits, values in fields.items()]
    return np.array(rows, np.uint32)


@pytest.mark.parametrize("other_order", [False, True])
@pytest.mark.parametrize("together", [1, 5])
def test_a_layer_and_its_companion(home: Home, together: int, other_order: bool) -> None:
    lst, qc, view_time = heat(5, home.pixels)
    table = home.put(compiled(LST_FIELDS))
    accepted = oracles.accepted(qc, LST_FIELDS) & (lst != 0)
    for stored, valid in ((lst, LST), (view_time, VIEW_TIME)):
        policy = ((0, NO_FILL, NO_FILL), table, (*LST, *valid))
        sums, counts = (home.put(np.zeros(home.pixels, kind)) for kind in (np.int32, np.uint8))
        total = np.zeros(5, np.int64)
        for t in range(0, 5, together):
            dates = [layer[t : t + together] for layer in (stored, lst, qc)]
            here = [home.put(one.byteswap() if other_order else one) for one in dates]
            words = here[2], here[2]
            total += home.get(
                layers.accumulate_layer(
                    (here[0], here[1]), words, policy, sums, counts, other_order
                )
            )
        inside = accepted & (lst >= LST[0])
        exact = oracles.summed(stored, inside, valid)
        np.testing.assert_array_equal(home.get(sums), exact[0])
        np.testing.assert_array_equal(home.get(counts), exact[1])
        tests = [oracles.accepted(qc, {bits: values}) for bits, values in LST_FIELDS.items()]
        in_range = (lst >= LST[0]) & (stored >= valid[0]) & (stored <= valid[1])
        assert total.tolist() == oracles.first_reasons(lst == 0, tests, in_range)
        assert total.all()


@pytest.mark.parametrize("other_order", [False, True])
def test_two_words_of_other_types(home: Home, other_order: bool) -> None:
    rng = np.random.default_rng(12)
    ndvi = rng.integers(-3000, 10500, (3, home.pixels), np.int16)
    vi = rng.integers(0, 2**16, (3, home.pixels), np.uint16)
    reliability = rng.integers(-1, 5, (3, home.pixels), np.int8)
    vi[:, 3:9], reliability[:, 12:15], ndvi[:, 20:23] = 65535, -1, -3000
    vi[:, 30:] &= 0xFFFF - (1 << 5)  # usefulness below 8 more often
    useful = set(range(13))
    table = np.vstack([compiled({(2, 5): useful}), compiled({(0, 7): {0, 1}}, word=1)])
    sums, counts = (home.put(np.zeros(home.pixels, kind)) for kind in (np.int32, np.uint8))
    here = [home.put(one.byteswap() if other_order else one) for one in (ndvi, vi, reliability)]
    lost = layers.accumulate_layer(
        (here[0], here[0]),
        (here[1], here[2]),
        ((-3000, 65535, -1), home.put(table), (-2000, 10000, -2000, 10000)),
        sums,
        counts,
        other_order,
    )
    fill = (ndvi == -3000) | (vi == 65535) | (reliability == -1)
    tests = [oracles.accepted(vi, {(2, 5): useful}), np.isin(reliability, [0, 1])]
    usable = ~fill & tests[0] & tests[1]
    exact = oracles.summed(ndvi, usable, (-2000, 10000))
    np.testing.assert_array_equal(home.get(sums), exact[0])
    np.testing.assert_array_equal(home.get(counts), exact[1])
    in_range = (ndvi >= -2000) & (ndvi <= 10000)
    assert home.get(lost).tolist() == oracles.first_reasons(fill, tests, in_range)


def test_values_that_a_set_cannot_tell_apart() -> None:
    with pytest.raises(ValueError, match=r"values of 0 to 14, found \[1, 31\]"):
        rule(0, (0, 7), {1, 31})
    assert rule(0, (0, 3), {15})[3] == 1 << 15


def test_more_reasons_than_a_block_counts_are_refused() -> None:
    """Beyond its shared memory a GPU would write into whatever is there."""
    many = np.array([rule(0, (0, 0), {0})] * 64, np.uint32)
    word = np.zeros((1, 3), np.uint16)
    policy = (NO_FILL, 1, 1), many[:62], (0, 1, 0, 1)
    nothing = np.zeros(3, np.int32), np.zeros(3, np.uint8)
    with pytest.raises(ValueError, match="expected at most 64 reasons, found 65"):
        layers.accumulate_layer((word, word), (word, word), policy, *nothing)
