# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise
from typing import Any

import numpy as np
import oracles_quality as oracles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rsei.engine.index.composite import GreennessSum, HeatSum, Partial, ReflectanceSum
from rsei.engine.index.quality import QUALITY_FIELDS, Policy
from rsei.engine.sources.errors import InputError
from rsei.engine.sources.products import BANDS

Layers = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]
USER = Policy.model_validate(
    {
        "preset": "lenient",
        "fields": {
            "state": {"land_water": [1, 2], "aerosol": [0, 1, 2]},
            "qc": {"adjacency": [0], "all_bands": [0, 1, 8], "b2": [0], "b7": [0, 8]},
        },
    }
)
POLICIES = [Policy(), Policy(preset="strict"), Policy(preset="lenient"), USER]
NAMES = ["standard", "strict", "lenient", "user"]


def reflectance(dates: int, shape: tuple[int, int], seed: int = 1) -> Layers:
    """Stored bands and their words, with every fault and often none."""
    rng = np.random.default_rng(seed)
    bands = rng.integers(-300, 16400, (dates, 7, *shape), np.int16)
    state = rng.integers(0, 2**16, (dates, *shape), np.uint16)
    qc = rng.integers(0, 2**32, (dates, *shape), np.uint32)
    clear = rng.random((dates, *shape))
    state[clear < 0.7] &= 0b0100_1000_0100_1000
    qc[clear < 0.9] &= 0b0100_0100_0010_0000_0000_0000_0100_0001
    state[clear > 0.97], qc[clear < 0.03] = 65535, 0xFFFFFFFF
    return bands, state, qc


def summed(layers: Layers, policy: Policy) -> Partial:
    total = ReflectanceSum(layers[0].shape[2:], policy)
    total.add(*layers)
    return total.partial()


def by_bits(policy: Policy, word: str) -> dict[tuple[int, int], tuple[int, ...]]:
    return {
        QUALITY_FIELDS[word][name]: values
        for name, values in policy.accepted(word).items()
        if name != "all_bands"
    }


@pytest.mark.parametrize("kind", [ReflectanceSum, GreennessSum, HeatSum])
def test_what_stood_in_the_memory_of_the_sums_means_nothing(kind: Any) -> None:
    layers = {
        ReflectanceSum: reflectance(3, (12, 17)),
        GreennessSum: tuple(np.ones((3, 12, 17), kind) for kind in ("i2", "u2", "i1")),
        HeatSum: tuple(np.full((3, 12, 17), 9, kind) for kind in ("u2", "u1", "u1")),
    }[kind]
    memory = np.full(kind.room((12, 17)) + 64, 201, np.uint8)
    own, lent = kind((12, 17), Policy()), kind((12, 17), Policy(), memory)
    for total in (own, lent):
        total.add(*layers)
    mine, there = own.partial(), lent.partial()
    assert np.array_equal(mine.sums, there.sums) and np.array_equal(mine.counts, there.counts)
    assert mine.losses == there.losses
    assert np.shares_memory(there.sums, memory) and np.shares_memory(there.counts, memory)
    assert (memory[kind.room((12, 17)) :] == 201).all()


def expected(layers: Layers, policy: Policy) -> tuple[NDArray[Any], NDArray[Any]]:
    bands, state, qc = (layer.reshape(*layer.shape[:-2], -1) for layer in layers)
    usable = oracles.bands_used(
        state,
        qc,
        by_bits(policy, "state"),
        by_bits(policy, "qc"),
        policy.accepted("qc").get("all_bands"),
        (65535, 0xFFFFFFFF),
    )
    return oracles.summed(bands, usable, (-100, 16000))


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
def test_reflectance_matches_digits(policy: Policy) -> None:
    layers = reflectance(6, (31, 37))
    found = summed(layers, policy)
    sums, counts = expected(layers, policy)
    assert (found.names, found.observations) == (BANDS, 6)
    assert (found.sums.dtype, found.counts.dtype) == (np.int32, np.uint8)
    np.testing.assert_array_equal(found.sums.reshape(7, -1), sums)
    np.testing.assert_array_equal(found.counts.reshape(7, -1), counts)
    assert counts.any(axis=1).all()


@pytest.mark.parametrize("policy", POLICIES, ids=NAMES)
def test_each_lost_pixel_date_has_one_reason(policy: Policy) -> None:
    layers = reflectance(5, (23, 19), seed=3)
    found = summed(layers, policy)
    bands, state, qc = (layer.reshape(*layer.shape[:-2], -1) for layer in layers)
    fill = (state == 65535) | (qc == 0xFFFFFFFF)
    tests, names = [], []
    for word, stored in (("state", state), ("qc", qc)):
        for name, bits in QUALITY_FIELDS[word].items():
            if name in policy.accepted(word) and name not in {f"b{n}" for n in range(1, 8)}:
                names.append(f"{word}.{name}")
                tests.append(oracles.accepted(stored, {bits: policy.accepted(word)[name]}))
    if (every := policy.accepted("qc").get("all_bands")) is not None:
        names.append("qc.all_bands")
        tests.append(oracles.accepted(qc, dict.fromkeys(oracles.NIBBLES, every)))
    lost = oracles.first_reasons(fill, tests, np.ones(fill.shape, bool))
    exact = dict(zip(["fill", *names], lost[:-2], strict=True))
    alive = ~fill & np.all(tests, axis=0)
    for b, (name, bits) in enumerate(zip(BANDS, oracles.NIBBLES, strict=True)):
        usable = alive.copy()
        if (values := policy.accepted("qc").get(f"b{b + 1}")) is not None:
            usable &= oracles.accepted(qc, {bits: values})
            exact[f"qc.b{b + 1}"] = int((alive & ~usable).sum())
        outside = (bands[:, b] < -100) | (bands[:, b] > 16000)
        exact[f"range.{name}"] = int((usable & outside).sum())
    assert found.losses == exact
    assert sum(exact.values()) > 0


LAYERS = reflectance(9, (12, 17), seed=8)
WHOLE = summed(LAYERS, Policy())


def same(found: Partial, exact: Partial) -> bool:
    return (
        found.names == exact.names
        and found.observations == exact.observations
        and found.losses == exact.losses
        and np.array_equal(found.sums, exact.sums)
        and np.array_equal(found.counts, exact.counts)
    )


@settings(max_examples=30)
@given(st.permutations(range(9)), st.lists(st.integers(0, 9), max_size=5))
def test_order_of_dates_and_calls_change_nothing(order: list[int], cuts: list[int]) -> None:
    total = ReflectanceSum((12, 17), Policy())
    for first, last in pairwise([0, *sorted(cuts), 9]):
        total.add(*(layer[order[first:last]] for layer in LAYERS))
    assert same(total.partial(), WHOLE)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), max_size=3))
def test_partials_add_up(cuts: list[int]) -> None:
    pieces = [
        summed((LAYERS[0][a:b], LAYERS[1][a:b], LAYERS[2][a:b]), Policy())
        for a, b in pairwise([0, *sorted(cuts), 9])
    ]
    assert same(sum(pieces[1:], pieces[0]), WHOLE)


@settings(max_examples=30)
@given(st.integers(1, 11), st.integers(1, 16))
def test_windows_change_nothing(row: int, column: int) -> None:
    for rows in (slice(0, row), slice(row, 12)):
        for columns in (slice(0, column), slice(column, 17)):
            bands, state, qc = (layer[..., rows, columns] for layer in LAYERS)
            part = summed((bands, state, qc), Policy())
            np.testing.assert_array_equal(part.sums, WHOLE.sums[:, rows, columns])
            np.testing.assert_array_equal(part.counts, WHOLE.counts[:, rows, columns])


@settings(max_examples=30)
@given(st.sampled_from([(65535, 0), (8, 0xFFFFFFFF), (0b01, 0), (8, 0b10), (1 << 12 | 8, 0)]))
def test_masked_dates_change_no_mean(words: tuple[int, int]) -> None:
    masked = ReflectanceSum((12, 17), Policy())
    state, qc = np.full((2, 12, 17), words[0], np.uint16), np.full((2, 12, 17), words[1], np.uint32)
    masked.add(np.full((2, 7, 12, 17), 1234, np.int16), state, qc)
    more = WHOLE + masked.partial()
    np.testing.assert_array_equal(more.mean(1e-4), WHOLE.mean(1e-4))
    assert more.observations == 11


@pytest.mark.parametrize("swapped", ["all", "bands", "qc"])
def test_big_endian_layers(swapped: str) -> None:
    names = ("bands", "state", "qc")
    layers = [
        layer.astype(layer.dtype.newbyteorder(">")) if swapped in ("all", name) else layer
        for name, layer in zip(names, LAYERS, strict=True)
    ]
    total = ReflectanceSum((12, 17), Policy())
    total.add(*layers)
    assert same(total.partial(), WHOLE)


@pytest.mark.parametrize(
    ("which", "kind", "message"),
    [
        (0, np.float32, "bands: expected int16 of shape .*, found float32"),
        (1, np.int16, "state: expected uint16 .*, found int16"),
        (2, np.float64, "qc: expected uint32 .*, found float64"),
        (2, np.int32, "qc: expected uint32 .*, found int32"),
    ],
)
def test_a_type_that_cannot_hold_the_layer(which: int, kind: Any, message: str) -> None:
    layers = list(LAYERS)
    layers[which] = layers[which].astype(kind)
    with pytest.raises(InputError, match=message):
        ReflectanceSum((12, 17), Policy()).add(*layers)


def test_another_shape_is_refused_and_nothing_is_added() -> None:
    total = ReflectanceSum((12, 17), Policy())
    with pytest.raises(InputError, match=r"qc: expected uint32 of shape \(9, 12, 17\)"):
        total.add(LAYERS[0], LAYERS[1], LAYERS[2][:8])
    total.add(*LAYERS)
    assert same(total.partial(), WHOLE)


def test_no_more_dates_than_a_count_holds() -> None:
    layers = reflectance(128, (2, 3))
    total = ReflectanceSum((2, 3), Policy())
    total.add(*layers)
    with pytest.raises(InputError, match="at most 255 dates in one partial, found 256"):
        total.add(*layers)
    assert (summed(layers, Policy()) + summed(layers, Policy())).counts.dtype == np.uint16


def test_counts_of_years_add_past_255() -> None:
    year = Partial(("ndvi",), np.full((1, 1, 1), 40_000, np.int32), np.full((1, 1, 1), 200, "u1"),
                   200, {"fill": 1})  # fmt: skip
    three = year + year + year
    assert (int(three.sums[0, 0, 0]), int(three.counts[0, 0, 0])) == (120_000, 600)
    assert (three.observations, three.losses) == (600, {"fill": 3})
    assert float(three.mean(1e-4)[0, 0, 0]) == np.float32(0.02)


def test_other_windows_do_not_add() -> None:
    other = summed(reflectance(1, (12, 16)), Policy())
    with pytest.raises(ValueError, match="expected a partial of"):
        WHOLE + other


def test_mean_is_of_all_observations_not_of_years() -> None:
    years = [
        Partial(("ndvi",), np.array([[[total]]], np.int32), np.array([[[n]]], np.uint8), n, {})
        for total, n in ((1000, 1), (27_000, 3))
    ]
    assert float((years[0] + years[1]).mean(1.0)[0, 0, 0]) == 7000.0  # not (1000 + 9000) / 2


def test_mean_has_a_scale_each_and_nan_without_observations() -> None:
    partial = Partial(
        ("lst", "view_time"),
        np.array([[[30_001, 0]], [[107, 0]]], np.int32),
        np.array([[[2, 0]], [[1, 0]]], np.uint8),
        2,
        {},
    )
    mean = partial.mean((0.02, 0.1), (-273.15, 0.0))
    assert mean.dtype == np.float32
    np.testing.assert_array_equal(
        mean[:, 0, 0], np.array([30_001 / 2 * 0.02 - 273.15, 10.7], np.float32)
    )
    assert np.isnan(mean[:, 0, 1]).all()


def test_no_pixels_at_all() -> None:
    empty = summed(reflectance(4, (0, 5)), Policy())
    assert (empty.sums.shape, empty.observations) == ((7, 0, 5), 4)
    assert set(empty.losses.values()) == {0}


def test_no_dates_at_all() -> None:
    empty = GreennessSum((3, 4), Policy()).partial()
    assert (empty.observations, dict(empty.losses)) == (0, {})
    assert np.isnan(empty.mean(1e-4)).all()


def test_greenness_and_its_losses() -> None:
    rng = np.random.default_rng(21)
    ndvi = rng.integers(-2100, 10100, (4, 9, 11), np.int16)
    vi = rng.integers(0, 2**16, (4, 9, 11), np.uint16)
    reliability = rng.integers(-1, 4, (4, 9, 11), np.int8)
    vi[0, :3], ndvi[1, :2] = 65535, -3000
    total = GreennessSum((9, 11), Policy())
    total.add(ndvi[:1], vi[:1], reliability[:1])
    other = [layer[1:].astype(layer.dtype.newbyteorder(">")) for layer in (ndvi, vi)]
    total.add(other[0], other[1], reliability[1:])
    found = total.partial()
    fill = (ndvi == -3000) | (vi == 65535) | (reliability == -1)
    useful = oracles.accepted(vi.reshape(4, -1), {(2, 5): range(13)}).reshape(vi.shape)
    tests = [useful, np.isin(reliability, [0, 1])]
    in_range = (ndvi >= -2000) & (ndvi <= 10000)
    sums, counts = oracles.summed(ndvi, ~fill & tests[0] & tests[1], (-2000, 10000))
    np.testing.assert_array_equal(found.sums[0], sums)
    np.testing.assert_array_equal(found.counts[0], counts)
    names = ["fill", "vi.usefulness", "reliability.reliability", "range.ndvi"]
    *lost, _ = oracles.first_reasons(fill, tests, in_range)
    assert found.losses == dict(zip(names, lost, strict=True))


def test_heat_and_its_losses() -> None:
    rng = np.random.default_rng(22)
    lst = rng.integers(7400, 16000, (5, 7, 6), np.uint16)
    lst[rng.random(lst.shape) < 0.2] = 0
    qc = rng.integers(0, 256, lst.shape, np.uint8)
    qc[lst == 0] = 0  # good, though there is nothing
    view_time = rng.integers(100, 256, lst.shape, np.uint8)
    total = HeatSum((7, 6), Policy())
    total.add(lst, qc, view_time)
    found = total.partial()
    words = qc.reshape(5, -1)
    tests = [oracles.accepted(words, {bits: {0, 1}}).reshape(qc.shape) for bits in ((0, 1), (6, 7))]
    used = (lst != 0) & tests[0] & tests[1] & (lst >= 7500)
    for b, (layer, valid) in enumerate(((lst, (7500, 65535)), (view_time, (0, 240)))):
        sums, counts = oracles.summed(layer, used, valid)
        np.testing.assert_array_equal(found.sums[b], sums)
        np.testing.assert_array_equal(found.counts[b], counts)
    *lost, _ = oracles.first_reasons(lst == 0, tests, lst >= 7500)
    exact = dict(zip(["fill", "lst.mandatory", "lst.lst_error", "range.lst"], lost, strict=True))
    assert found.losses == exact | {"range.view_time": int((used & (view_time > 240)).sum())}
