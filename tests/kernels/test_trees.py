# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import oracles_forest
import pytest
from conftest import Home
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.ensemble import RandomForestRegressor

from rsei.kernels import trees

LOW, HIGH = -1.5, 2.5
SIZE = (HIGH - LOW) / trees.STEPS


@pytest.fixture(scope="module")
def sample() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    rng = np.random.default_rng(1)
    drivers = rng.normal(size=(150, 5)).astype(np.float32)
    drivers[:, 4] = np.round(drivers[:, 4])  # many ties, and minus zero
    return drivers, np.clip(drivers[:, 0] + drivers[:, 1] * drivers[:, 2] / 2, LOW, HIGH)


@pytest.fixture(scope="module")
def forest(sample: Any) -> RandomForestRegressor:
    made = RandomForestRegressor(7, max_features=2, min_samples_split=4, random_state=3)
    return made.fit(*sample)


def steps(values: NDArray[Any]) -> NDArray[np.int32]:
    return np.rint((values - LOW) / SIZE).astype(np.int32)


def arrays(home: Home, forest: RandomForestRegressor) -> tuple[Any, Any]:
    """Nodes and roots of a forest, where the test runs."""
    parts = [
        trees.packed(t.children_right, t.feature, t.threshold, steps(t.value[:, 0, 0]))
        for t in (estimator.tree_ for estimator in forest.estimators_)
    ]
    roots = np.cumsum([0, *map(len, parts[:-1])])
    return home.put(np.concatenate(parts)), home.put(roots)


def shuffles(drivers: int, count: int, first: int = 0) -> NDArray[np.int64]:
    keys = [[trees.shuffle_key(9, first + t, j) for j in range(drivers)] for t in range(count)]
    return np.array(keys, np.int64)


def out_of_bag(forest: RandomForestRegressor, rows: int) -> NDArray[np.bool_]:
    judged = np.ones((len(forest.estimators_), rows), bool)
    for tree, drawn in enumerate(forest.estimators_samples_):
        judged[tree, drawn] = False
    return judged


def test_votes_are_the_trees_predictions(home: Home, forest: Any, sample: Any) -> None:
    drivers, _ = sample
    nodes, roots = arrays(home, forest)
    voters = np.random.default_rng(2).random((len(forest.estimators_), len(drivers))) < 0.7
    sums, counts = (home.put(np.zeros(len(drivers), np.int64)) for _ in range(2))
    keys = home.put(trees.sortable(drivers))
    trees.vote(nodes, roots, keys, home.put(voters), sums, counts)
    values = np.array(
        [[oracles_forest.tree_value(e.tree_, row) for row in drivers] for e in forest.estimators_]
    )
    np.testing.assert_array_equal(home.get(counts), voters.sum(axis=0))
    found = home.get(sums) * SIZE + LOW * voters.sum(axis=0)
    np.testing.assert_allclose(found, (values * voters).sum(axis=0), atol=1e-7)


def test_shuffled_errors_are_those_of_plain_python(home: Home, forest: Any, sample: Any) -> None:
    drivers, target = sample
    judged, keys = out_of_bag(forest, len(drivers)), shuffles(5, len(forest.estimators_))
    found = home.get(
        trees.shuffled_errors(
            *arrays(home, forest),
            home.put(trees.sortable(drivers)),
            home.put(steps(target)),
            home.put(judged),
            home.put(keys),
        )
    )

    def places(tree: int, driver: int, rows: int) -> list[int]:
        return [trees.shuffled(n, rows, int(keys[tree, driver])) for n in range(rows)]

    models = [estimator.tree_ for estimator in forest.estimators_]
    base, added = oracles_forest.permutation_errors(models, drivers, target, judged, places)
    unit = ((HIGH - LOW) / 2**20) ** 2 / judged.sum(axis=1)
    np.testing.assert_allclose(found[:, 5] * unit, base, rtol=1e-5)
    np.testing.assert_allclose(found[:, :5] * unit[:, None], added, rtol=1e-5, atol=1e-6)
    assert (np.abs(added) > 0.01).any(axis=1).all()


def test_trees_may_come_in_any_pieces(forest: Any, sample: Any) -> None:
    drivers, target = sample
    home = Home("numpy", 1)
    nodes, roots = arrays(home, forest)
    judged, keys = out_of_bag(forest, len(drivers)), shuffles(5, 7)
    rest = (trees.sortable(drivers), steps(target))
    whole = trees.shuffled_errors(nodes, roots, *rest, judged, keys)
    parts = [
        trees.shuffled_errors(nodes, roots[part], *rest, judged[part], keys[part])
        for part in (slice(0, 3), slice(3, 7))
    ]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(shuffles(5, 4, first=3), keys[3:])


def test_a_driver_that_no_tree_asks_adds_nothing(home: Home, sample: Any) -> None:
    drivers, target = sample
    blind = drivers.copy()
    blind[:, 3] = 1.0  # constant, so it cannot be split
    forest = RandomForestRegressor(3, max_features=2, random_state=1).fit(blind, target)
    found = trees.shuffled_errors(
        *arrays(home, forest),
        home.put(trees.sortable(drivers)),
        home.put(steps(target)),
        home.put(out_of_bag(forest, len(drivers))),
        home.put(shuffles(5, 3)),
    )
    assert (home.get(found)[:, 3] == 0).all()


def test_no_judged_rows_give_no_error(home: Home, forest: Any, sample: Any) -> None:
    drivers, target = sample
    found = trees.shuffled_errors(
        *arrays(home, forest),
        home.put(trees.sortable(drivers)),
        home.put(steps(target)),
        home.put(np.zeros((7, len(drivers)), bool)),
        home.put(shuffles(5, 7)),
    )
    assert not home.get(found).any()


@given(st.integers(1, 700), st.integers(0, 2**31 - 1))
def test_a_shuffle_is_a_permutation(places: int, key: int) -> None:
    assert sorted(trees.shuffled(n, places, key) for n in range(places)) == list(range(places))


@pytest.mark.slow
@pytest.mark.parametrize("places", [10, 37])
def test_every_place_is_as_likely(places: int) -> None:
    keys = [trees.shuffle_key(seed, tree, 2) for seed in range(20) for tree in range(100)]
    table = np.zeros((places, places))
    for key in keys:
        for n in range(places):
            table[n, trees.shuffled(n, places, key)] += 1
    expected = len(keys) / places
    chi = ((table - expected) ** 2 / expected).sum()
    assert 1e-4 < stats.chi2.sf(chi, (places - 1) ** 2) < 1 - 1e-4


def test_neighbours_are_carried_apart() -> None:
    keys = [trees.shuffle_key(1, tree, 0) for tree in range(200)]
    moved = np.array([[trees.shuffled(n, 400, key) for n in range(400)] for key in keys])
    against_start = [stats.pearsonr(np.arange(400), row)[0] for row in moved]
    against_next = [stats.pearsonr(row[1:], row[:-1])[0] for row in moved]
    for found in (against_start, against_next):
        assert abs(np.mean(found)) < 4 / np.sqrt(200 * 400)
        assert np.std(found) == pytest.approx(1 / np.sqrt(400), rel=0.25)


def test_keys_sort_like_their_values() -> None:
    rng = np.random.default_rng(5)
    values = np.concatenate([rng.normal(size=999), [0.0, -0.0, 1e-40, -1e-40, np.inf, -np.inf]])
    ordered = np.sort(values.astype(np.float32))
    keys = trees.sortable(ordered)
    np.testing.assert_array_equal(np.diff(keys) > 0, np.diff(ordered) > 0)
    assert (np.diff(keys.astype(np.int64)) >= 0).all()


def test_a_cut_between_two_floats_parts_the_same_rows() -> None:
    values = np.array([0.1, np.nextafter(np.float32(0.1), np.float32(1))], np.float32)
    cut = values.astype(np.float64).mean()
    tree = trees.packed(*map(np.array, ([2, -1, -1], [0, -2, -2], [cut, -2.0, -2.0], [0, 1, 2])))
    assert [key <= tree[0] >> trees.CUT for key in trees.sortable(values)] == [True, False]


def test_the_largest_errors_fit() -> None:
    most = (trees.STEPS >> trees.COARSER) ** 2
    assert most * (2**23 - 1) < 2**63


def test_more_drivers_than_a_block_sums_are_refused() -> None:
    nothing, keys = np.zeros(0, np.int64), np.zeros((0, trees.SUMS), np.int32)
    with pytest.raises(ValueError, match="expected fewer than 64 drivers, found 64"):
        trees.shuffled_errors(nothing, nothing, keys, nothing, nothing, nothing)
