# SPDX-License-Identifier: Apache-2.0
import io
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rooms import Room
from sklearn import metrics
from sklearn.ensemble import RandomForestRegressor

from rsei.engine.analysis import forest as forests
from rsei.engine.analysis import trees as trees_module
from rsei.engine.analysis.forest import ForestSettings
from rsei.engine.analysis.importance import added_error, importance, least_room, ranking, scaled
from rsei.engine.analysis.trees import Trees, grown, of_treelite
from rsei.engine.sources.errors import InputError, StudyError

NAMES = ["dem", "slope", "prec", "gdp", "ntl", "elec"]
FEW = ForestSettings(trees=60, folds=3, tuning_trees=(20, 60), tuning_mtry=(2, 3))


def city(side: int = 30, seed: int = 1) -> pd.DataFrame:
    """Pixels of 1 km whose RSEI depends on dem most, then gdp, then slope times prec."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[side:0:-1, 0:side] * 1000.0 + 500
    table = pd.DataFrame({"x": x.ravel(), "y": y.ravel()})
    for name in NAMES:
        table[name] = rng.normal(size=len(table))
    effect = 0.1 * np.tanh(table["dem"]) + 0.04 * table["gdp"] + 0.02 * table["slope"] * table.prec
    table.insert(2, "rsei", 0.5 + effect + rng.normal(0, 0.01, len(table)))
    return table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    made = city()
    made.loc[[3, 77], "dem"] = np.nan
    made.loc[400, "rsei"] = np.nan
    return made.assign(split=forests.split(made, NAMES, FEW))


@pytest.fixture(scope="module")
def forest(table: pd.DataFrame) -> forests.Forest:
    return forests.forest(table, NAMES, FEW, "Demo")


def maps(forest: forests.Forest, *parts: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([*forest.maps(parts)])


def test_split_is_by_share_and_seed(table: pd.DataFrame) -> None:
    counts = table["split"].value_counts()
    assert counts.to_dict() == {"train": 628, "valid": 269, "blank": 3}
    assert table["split"].equals(forests.split(table, NAMES, FEW))
    other = forests.split(table, NAMES, FEW.model_copy(update={"seed": 2}))
    assert (other != table["split"]).mean() > 0.2


def test_a_sample_is_all_that_a_forest_sees_but_not_all_that_it_maps(table: pd.DataFrame) -> None:
    some = FEW.model_copy(update={"sample": 300, "trees": 20})
    parts = forests.split(table, NAMES, some)
    assert parts.value_counts().to_dict() == {"rest": 597, "train": 210, "valid": 90, "blank": 3}
    rows = table.assign(split=parts)
    found = forests.forest(rows, NAMES, some, "Demo")
    alone = forests.forest(rows[parts != "rest"], NAMES, some, "Demo")
    for name in ("scores", "importance", "stability", "bias", "block_cv"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(alone, name))
    everywhere = maps(found, rows)
    assert len(everywhere) == 897 and np.isfinite(everywhere["predicted"]).all()
    drawn = parts[parts != "blank"] != "rest"
    pd.testing.assert_frame_equal(everywhere[drawn], maps(alone, rows[parts != "rest"]))


def test_a_sample_of_more_than_there_is_changes_nothing(table: pd.DataFrame) -> None:
    all_of_them = FEW.model_copy(update={"sample": 897})
    assert forests.split(table, NAMES, all_of_them).equals(table["split"])


def test_predictions_are_scikit_learns(table: pd.DataFrame, forest: forests.Forest) -> None:
    rows = table[table["split"] != "blank"]
    train = rows[rows["split"] == "train"]
    engine = RandomForestRegressor(
        60, max_features=3, min_samples_split=4, random_state=1, oob_score=True
    ).fit(train[NAMES].to_numpy(np.float32), train["rsei"])
    everywhere = engine.predict(rows[NAMES].to_numpy(np.float32))
    found = maps(forest, table)
    np.testing.assert_allclose(found["in_sample"], everywhere, atol=1e-8)
    own = rows["split"] == "train"
    np.testing.assert_allclose(found["predicted"][own], engine.oob_prediction_, atol=1e-8)
    np.testing.assert_array_equal(found["predicted"][~own], found["in_sample"][~own])
    np.testing.assert_allclose(found["residual"], rows["rsei"] - found["predicted"])
    explained = 100 * engine.oob_score_
    assert forest.scores["var_explained"][0] == pytest.approx(explained, abs=1e-4)


def test_scores_are_scikit_learns(table: pd.DataFrame, forest: forests.Forest) -> None:
    valid = table["split"] == "valid"
    truth, guess = table["rsei"][valid], maps(forest, table)["predicted"][valid]
    row = forest.scores.iloc[0]
    assert row["r2"] == pytest.approx(metrics.r2_score(truth, guess), rel=1e-12)
    assert row["rmse"] == pytest.approx(metrics.root_mean_squared_error(truth, guess), rel=1e-12)
    assert row["mae"] == pytest.approx(metrics.mean_absolute_error(truth, guess), rel=1e-12)
    assert (row["n_train"], row["n_valid"]) == (628, 269)
    assert 0.4 < row["r2_block"] < 1


def test_what_was_put_in_comes_back(forest: forests.Forest) -> None:
    table = forest.importance.set_index("driver")
    assert table["rank"].nsmallest(2).index.tolist() == ["dem", "gdp"]
    assert set(table["rank"].nsmallest(4).index[2:]) == {"slope", "prec"}
    assert (table.loc[["ntl", "elec"], "raw"].abs() < 3 * table.loc[["ntl", "elec"], "se"]).all()
    assert (table["estimator"] == "oob").all()
    kept = forest.stability.set_index("driver")
    assert kept["rank_kept"]["dem"] > 0.99
    assert (kept["rank_p5"] <= kept["rank"]).all() and (kept["rank"] <= kept["rank_p95"]).all()


def test_importance_agrees_with_a_loop_over_trees(table: pd.DataFrame) -> None:
    train = table[table["split"] == "train"]
    values, target = train[NAMES].to_numpy(np.float32), train["rsei"].to_numpy()
    trees, unseen = grown(tuple(NAMES), values, target, 60, 3, 1)
    found = scaled(added_error(trees, values, target, unseen, 1))
    engine = RandomForestRegressor(60, max_features=3, min_samples_split=4, random_state=1)
    engine.fit(values, target)
    rng, added = np.random.default_rng(5), np.zeros((60, len(NAMES)))
    for t, estimator in enumerate(engine.estimators_):
        rows, truth = values[unseen[t]], target[unseen[t]]
        base = np.mean((truth - estimator.predict(rows)) ** 2)
        for j in range(len(NAMES)):
            other = rows.copy()
            other[:, j] = rng.permutation(other[:, j])
            added[t, j] = np.mean((truth - estimator.predict(other)) ** 2) - base
    expected = scaled(added)
    joint = np.sqrt(found[1] ** 2 + expected[1] ** 2)
    assert (np.abs(found[0] - expected[0]) < 4 * joint).all()
    gains = np.zeros(len(NAMES))
    for estimator in engine.estimators_:
        tree = estimator.tree_
        gains += tree.compute_feature_importances(normalize=False) * tree.weighted_n_node_samples[0]
    np.testing.assert_allclose(trees.purity, gains / 60, rtol=1e-9)


def test_a_standard_error_of_zero_is_rs_one() -> None:
    raw, error, ratio = scaled(np.array([[0.0, 1.0], [0.0, 3.0]]))
    np.testing.assert_array_equal(raw, [0, 2])
    np.testing.assert_allclose(error, [0, 1 / np.sqrt(2)])
    np.testing.assert_allclose(ratio, [0, 2 * np.sqrt(2)])


def test_batches_of_trees_do_not_show(
    table: pd.DataFrame, forest: forests.Forest, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = forests.held_out_importance(forest, table, FEW)
    monkeypatch.setattr("rsei.engine.analysis.importance.BATCH", 8 * 269 * 7)
    parts = forests.held_out_importance(forest, table, FEW)
    pd.testing.assert_frame_equal(parts, whole)
    assert (whole["estimator"] == "validation").all()
    assert whole.set_index("driver")["rank"]["dem"] == 1


def test_an_engine_without_a_record_of_draws(table: pd.DataFrame, forest: forests.Forest) -> None:
    def forgetful(*asked: Any) -> tuple[Trees, None]:
        return grown(*asked)[0], None

    found = forests.forest(table, NAMES, FEW, "Demo", grow=forgetful)
    expected = forests.held_out_importance(forest, table, FEW)
    pd.testing.assert_frame_equal(found.importance, expected)
    assert np.isnan(found.scores["var_explained"][0])
    same = ["n_train", "n_valid", "r2", "rmse", "mae", "r2_block"]
    pd.testing.assert_frame_equal(found.scores[same], forest.scores[same])
    everywhere = maps(found, table)
    np.testing.assert_array_equal(everywhere["predicted"], everywhere["in_sample"])


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, 900), max_size=5), ballot=st.integers(3000, 40_000))
def test_parts_and_ballots_change_no_prediction(
    cuts: list[int], ballot: int, table: pd.DataFrame, forest: forests.Forest
) -> None:
    parts = np.split(np.arange(len(table)), sorted(cuts))
    with patch.object(trees_module, "BALLOT", ballot):
        found = maps(forest, *(table.iloc[part] for part in parts))
    pd.testing.assert_frame_equal(found, maps(forest, table), check_exact=True)


@settings(max_examples=15)
@given(share=st.floats(0.0, 1.2))
def test_a_gpu_never_holds_more_of_a_forest_than_it_has_room_for(
    share: float, table: pd.DataFrame, forest: forests.Forest
) -> None:
    """Trees and rows in groups, down to a tree and a row: the same numbers to the bit."""
    valid = table[table["split"] == forests.VALID]
    values, target = valid[list(NAMES)].to_numpy(np.float32), valid["rsei"].to_numpy(np.float64)
    judged = np.random.default_rng(2).random((forest.trees.count, len(valid))) < 0.4
    least = least_room(len(valid), len(NAMES))
    most = least + forest.trees.nodes.nbytes + 4 * judged.nbytes
    put = Room(int(least + share * (most - least)))
    votes = forest.trees.predict(values, judged, put)
    np.testing.assert_array_equal(votes, forest.trees.predict(values, judged))
    assert put.held == 0 < put.most <= put.room
    put.most = 0
    error = added_error(forest.trees, values, target, judged, 3, put)
    np.testing.assert_array_equal(error, added_error(forest.trees, values, target, judged, 3))
    assert put.held == 0 < put.most <= put.room


def test_tuning_falls_with_trees(table: pd.DataFrame) -> None:
    found = forests.tuning(table, NAMES, FEW, "Demo")
    assert found[["trees", "mtry"]].to_numpy().tolist() == [[20, 2], [20, 3], [60, 2], [60, 3]]
    errors = found.set_index(["trees", "mtry"])["oob_mse"]
    assert errors[60, 3] < errors[20, 3]


def test_the_forest_pulls_towards_the_mean(forest: forests.Forest) -> None:
    assert forest.bias["n"].sum() == 269
    assert forest.bias["bias"].iloc[0] > 0 > forest.bias["bias"].iloc[-1]


def test_saved_without_pickle_it_predicts_the_same(
    table: pd.DataFrame, forest: forests.Forest
) -> None:
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **forest.trees.arrays())
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        again = Trees.of_arrays(arrays)
    pd.testing.assert_frame_equal(
        forests.applied(again, table), forests.applied(forest.trees, table)
    )
    assert forests.applied(again, table)["predicted"].isna().sum() == 2
    with pytest.raises(InputError, match=r"found no \['gdp'\]"):
        forests.applied(again, table.drop(columns="gdp"))
    with pytest.raises(InputError, match="expected a forest of this program"):
        Trees.of_arrays({"nodes": again.nodes})


HARM: dict[str, Callable[[dict[str, Any]], Any]] = {
    "a way back": lambda a: a["nodes"].__setitem__(0, a["nodes"][0] & ~0xFFFFFF00),
    "a way out": lambda a: a["nodes"].__setitem__(0, a["nodes"][0] | 0xFFFFFE00),
    "an unknown driver": lambda a: a["nodes"].__setitem__(0, a["nodes"][0] | 0xFE),
    "no leaf at the end": lambda a: a.update(nodes=a["nodes"][:-1]),
    "roots out of order": lambda a: a.update(roots=a["roots"][::-1].copy()),
    "roots beyond": lambda a: a["roots"].__setitem__(-1, a["nodes"].size),
    "other numbers": lambda a: a.update(nodes=a["nodes"].astype(np.float64)),
    "no scale": lambda a: a.update(scale=np.array([0.0, np.nan])),
    "purity of others": lambda a: a.update(purity=a["purity"][1:]),
    "another format": lambda a: a.update(format=np.array([1, 1])),
}


@pytest.mark.parametrize("harm", HARM)
def test_a_damaged_forest_is_never_walked(harm: str, forest: forests.Forest) -> None:
    arrays = {name: array.copy() for name, array in forest.trees.arrays().items()}
    assert np.array_equal(Trees.of_arrays(arrays).nodes, forest.trees.nodes)
    HARM[harm](arrays)
    with pytest.raises(InputError, match="expected a forest"):
        Trees.of_arrays(arrays)


def test_ranking_is_the_rank_of_the_sum() -> None:
    tables = {
        "A": pd.DataFrame({"driver": ["dem", "gdp", "ntl"], "rank": [1.0, 2.0, 3.0]}),
        "B": pd.DataFrame({"driver": ["ntl", "gdp", "dem"], "rank": [1.0, 2.0, 3.0]}),
        "C": pd.DataFrame({"driver": ["gdp", "dem", "ntl"], "rank": [1.0, 2.0, 3.0]}),
    }
    found = ranking(tables)
    assert found.to_numpy().tolist() == [["gdp", 5.0, 1.0], ["dem", 6.0, 2.0], ["ntl", 7.0, 3.0]]


def test_bad_samples_are_named(table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"Anshan: expected at least 30 pixels .* found 20"):
        forests.forest(table[table["split"] == "train"].head(20), NAMES, FEW, "Anshan")
    with pytest.raises(InputError, match="Anshan: expected RSEI to differ"):
        forests.forest(table.assign(rsei=0.5), NAMES, FEW, "Anshan")
    with pytest.raises(StudyError, match="at most the 2 drivers, found 3"):
        forests.forest(table, NAMES[:2], FEW, "Anshan")


def test_a_treelite_dump_becomes_the_same_trees() -> None:
    inner = {"node_id": 0, "split_feature_id": 1, "threshold": 0.5, "comparison_op": "<="}
    nodes = [
        inner | {"left_child": 2, "right_child": 1},
        {"node_id": 1, "leaf_value": 3.0},
        {"node_id": 2, "leaf_value": 1.0},
    ]
    trees = of_treelite(("a", "b"), json.dumps({"trees": [{"nodes": nodes}]}), 1, 3)
    found = trees.predict(np.array([[0, 0.5], [0, 0.6]], np.float32))
    np.testing.assert_allclose(found, [1, 3], atol=1e-8)
    assert importance(trees, np.ones((1, 2)), "validation")["inc_node_purity"].isna().all()
    nodes[0] = inner | {"comparison_op": "<", "left_child": 2, "right_child": 1}
    with pytest.raises(InputError, match="kind <=, found <"):
        of_treelite(("a", "b"), json.dumps({"trees": [{"nodes": nodes}]}), 1, 3)
