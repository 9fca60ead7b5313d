# SPDX-License-Identifier: Apache-2.0
"""A study from granules to tables: what it gives, and that nothing but the study decides it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rasterio
import studies
from run_hashes import hashes
from studies import EPOCHS, written

from rsei.engine.report.tabular import check_run_tables
from rsei.engine.run import pipeline
from rsei.engine.sources.areas import areas, inside
from rsei.engine.sources.grids import SINUSOIDAL_500M
from rsei.engine.sources.simulate import truth


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.write_all(tmp_path_factory.mktemp("granules"))


@pytest.fixture(scope="module")
def done(granules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of the small study as it stands, as far as its tables."""
    outcome = studies.run(written(tmp_path_factory.mktemp("study"), granules))
    assert (outcome.exit_code, outcome.failed) == (0, ())
    return outcome.out


@pytest.fixture(scope="module")
def whole(granules: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in a folder of its own, to the end."""
    outcome = studies.run(written(tmp_path_factory.mktemp("whole"), granules), until=None)
    assert (outcome.exit_code, outcome.complete, outcome.failed) == (0, True, ())
    assert check_run_tables(outcome.out) == []
    return outcome.out


def rows_of(path: Path) -> list[Any]:
    """The rows of a table, each with its columns as attributes."""
    return list(pd.read_csv(path).itertuples())


def layers(path: Path) -> dict[str, np.ndarray]:
    with rasterio.open(path) as file:
        return dict(zip(file.descriptions, file.read()))


def test_tables_are_as_described(done: Path) -> None:
    assert check_run_tables(done) == []
    names = {path.name for path in (done / "tables").iterdir()}
    assert names >= {"pca.csv", "directions.csv", "exclusions.csv", "extremes.csv", "series.csv"}


def test_every_pixel_is_valid_or_has_a_reason(done: Path) -> None:
    reasons = pd.read_csv(done / "tables/exclusions.csv").groupby("epoch").n.sum()
    for row in rows_of(done / "tables/pca.csv"):
        found = layers(done / f"indicators/small-town/{row.epoch}.tif")
        assert int(found["valid"].sum()) == row.n
        assert row.n + reasons[row.epoch] == found["valid"].size


def test_index_is_the_definition(done: Path) -> None:
    """RSEI from the written indicators, by NumPy alone."""
    for row in rows_of(done / "tables/pca.csv"):
        found = layers(done / f"indicators/small-town/{row.epoch}.tif")
        valid = found["valid"] == 1
        raw = np.stack([found[name][valid] for name in ("ndvi", "wet", "ndbsi", "lst")])
        scaled = raw.astype(np.float64)
        scaled -= scaled.min(axis=1, keepdims=True)
        scaled /= scaled.max(axis=1, keepdims=True)
        values, vectors = np.linalg.eigh(np.cov(scaled))
        first = vectors[:, -1] * np.sign(vectors[:, -1] @ [1, 1, -1, -1])
        np.testing.assert_allclose([row.ndvi, row.wet, row.ndbsi, row.lst], first, atol=1e-8)
        np.testing.assert_allclose(
            [row.pc1, row.pc2, row.pc3, row.pc4], 100 * values[::-1] / values.sum(), atol=1e-6
        )
        rsei0 = first @ scaled
        expected = (rsei0 - rsei0.min()) / np.ptp(rsei0)
        index = layers(done / f"rsei/small-town/{row.epoch}.tif")["rsei"]
        np.testing.assert_allclose(index[valid], expected, atol=2e-6)
        assert np.isnan(index[~valid]).all()


def test_truth_comes_back(done: Path) -> None:
    """The indicators that the simulator put in, under its clouds, noise and gaps."""
    (area,) = areas(studies.BOUNDS, "Small town")
    for epoch in EPOCHS:
        with rasterio.open(done / f"indicators/small-town/{epoch}.tif") as file:
            window = SINUSOIDAL_500M.window(file.transform, file.shape)
            found = dict(zip(file.descriptions, file.read()))
        shared = window & studies.WINDOW
        ours, theirs = shared.slices(window), shared.slices(studies.WINDOW)
        valid = found["valid"] == 1
        assert (valid <= inside(area, SINUSOIDAL_500M, window)).all()
        assert valid.sum() == valid[ours].sum() > 500
        true = truth(studies.world(), epoch, reach=0).indicators()
        for name, bound in {"ndvi": 0.03, "wet": 0.02, "ndbsi": 0.03, "lst": 1.5}.items():
            error = found[name][ours][valid[ours]] - true[name][theirs][valid[ours]]
            assert np.sqrt(np.mean(error**2)) < bound, name


def test_no_seam_between_tiles(done: Path, granules: Path, tmp_path: Path) -> None:
    """The composite of two tiles is, pixel by pixel, that of each of them alone."""
    whole = layers(done / "composites/small-town/2012.tif")
    with rasterio.open(done / "composites/small-town/2012.tif") as file:
        window = SINUSOIDAL_500M.window(file.transform, file.shape)
    seam = 12000 - window.top
    assert 0 < seam < window.height
    for tile, rows in {"h27v04": slice(0, seam), "h27v05": slice(seam, None)}.items():
        alone = tmp_path / tile
        alone.mkdir()
        for path in granules.glob(f"*.{tile}.*"):
            (alone / path.name).symlink_to(path)
        outcome = studies.run(written(tmp_path / f"study-{tile}", alone), until="composite")
        assert any("outside the granules" in one for one in outcome.warnings)
        found = layers(outcome.out / "composites/small-town/2012.tif")
        for name, layer in whole.items():
            np.testing.assert_array_equal(found[name][rows], layer[rows], err_msg=name)
        other = slice(seam, None) if rows.start == 0 else slice(0, seam)
        assert np.isnan(found["red"][other]).all()


def test_second_run_finds_everything_done(done: Path) -> None:
    before = hashes(done)
    outcome = studies.run(done.parent / "study.toml")
    assert (outcome.done, outcome.exit_code) == (0, 0)
    assert hashes(done) == before


@pytest.mark.slow
def test_limit_and_until_then_resume_give_the_same_bytes(
    whole: Path, granules: Path, tmp_path: Path
) -> None:
    file = written(tmp_path, granules)
    first = studies.run(file, limit=3)
    assert (first.done, first.complete) == (3, False)
    studies.run(file, until="project")
    last = studies.run(file, until=None)
    assert last.failed == ()
    assert hashes(last.out) == hashes(whole)


@pytest.mark.slow
def test_number_of_workers(done: Path, granules: Path, tmp_path: Path) -> None:
    outcome = studies.run(written(tmp_path, granules), workers=3)
    assert hashes(outcome.out) == hashes(done)


@pytest.mark.slow
def test_height_of_strips(
    done: Path, granules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rsei.engine.run.composites.CompositeTask.rows", 7)
    monkeypatch.setattr("rsei.engine.run.areatasks.ROWS", 5)
    outcome = studies.run(written(tmp_path, granules))
    assert hashes(outcome.out) == hashes(done)


def test_a_changed_setting_makes_anew_what_depends_on_it(granules: Path, tmp_path: Path) -> None:
    file = written(tmp_path, granules)
    studies.run(file)
    written(tmp_path, granules, water="mndwi = 0.1")
    status = pipeline.status(tmp_path / "run", why=True)
    stages = {name: made for name, _, made in status.stages}
    assert (stages["partial"], stages["composite"], stages["write"]) == (4, 0, 0)
    assert stages["analyse"] == stages["report"] == 0
    reasons = dict(status.why)
    assert "settings.water.mndwi: 0.0 -> 0.1" in reasons["composite small-town/2012"]
    outcome = studies.run(file)
    assert outcome.committed == 4
    written(tmp_path, granules, rsei='direction = "ndvi"', water="mndwi = 0.1")
    assert studies.run(file).committed == 4 + 2


@pytest.mark.slow
def test_percentiles_pooled_and_otsu(granules: Path, tmp_path: Path) -> None:
    changes = {"rsei": 'limits = [2, 98]\nnormalisation = "pooled"', "water": 'mndwi = "otsu"'}
    outcome = studies.run(written(tmp_path, granules, **changes))
    values = [layers(outcome.out / f"indicators/small-town/{epoch}.tif") for epoch in EPOCHS]
    pooled = np.concatenate([found["lst"][found["valid"] == 1] for found in values])
    expected = np.percentile(pooled.astype(np.float64), [2, 98])
    for row in rows_of(outcome.out / "tables/pca.csv"):
        np.testing.assert_allclose([row.lst_min, row.lst_max], expected, rtol=1e-12)
    maps = [layers(outcome.out / f"rsei/small-town/{epoch}.tif")["rsei"] for epoch in EPOCHS]
    shares = [np.mean(np.concatenate([m[np.isfinite(m)] for m in maps]) == end) for end in (0, 1)]
    np.testing.assert_allclose(shares, 0.02, atol=0.005)


def test_reference_and_fixed_scopes(granules: Path, tmp_path: Path) -> None:
    rsei = (
        'normalisation = "reference"\npca = "reference"\nreference = 2012\ndirection = "reference"'
    )
    table = pd.read_csv(
        studies.run(written(tmp_path / "a", granules, rsei=rsei)).out / "tables/pca.csv"
    )
    assert table.ndvi.nunique() == table.lst_min.nunique() == table.rsei0_max.nunique() == 1
    rows = [
        f"{n},{table[f'{n}_min'][0]},{table[f'{n}_max'][0]}"
        for n in ("ndvi", "wet", "ndbsi", "lst")
    ]
    limits = tmp_path / "b" / "limits.csv"
    limits.parent.mkdir()
    scale = f"rsei0,{table.rsei0_min[0]},{table.rsei0_max[0]}"
    limits.write_text("\n".join(["indicator,min,max", *rows, scale]))
    loadings = [f"{n},{table[n][0]}" for n in ("ndvi", "wet", "ndbsi", "lst")]
    (tmp_path / "b" / "loadings.csv").write_text("\n".join(["indicator,loading", *loadings]))
    rsei = (
        'normalisation = "fixed"\npca = "fixed"\nlimits_table = "limits.csv"\n'
        'loadings_table = "loadings.csv"'
    )
    fixed = studies.run(written(tmp_path / "b", granules, rsei=rsei)).out
    for epoch in EPOCHS:
        mine = layers(fixed / f"rsei/small-town/{epoch}.tif")["rsei"]
        theirs = layers(tmp_path / f"a/run/rsei/small-town/{epoch}.tif")["rsei"]
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


def test_record_names_granules_and_versions(done: Path, granules: Path) -> None:
    record = json.loads((done / "run.json").read_text())
    assert len(record["granules"]) == len(list(granules.glob("*.hdf")))
    name, one = next(iter(record["granules"].items()))
    path = granules / Path(name).name
    assert one["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["versions"]["rsei"] and record["settings"]["granules"]["reach"] == 0
    assert str(granules) not in (done / "tables/coverage.csv").read_text()


def test_plan_says_what_a_run_then_does(granules: Path, tmp_path: Path) -> None:
    file = written(tmp_path, granules)
    plan = pipeline.plan(studies.load(file))
    assert not (tmp_path / "run").exists()
    assert plan.granules == len(list(granules.glob("*.hdf")))
    outcome = studies.run(file)
    drawn = {stage.stage: stage.tasks for stage in plan.stages}.pop("report")
    assert outcome.done == sum(stage.tasks for stage in plan.stages) - drawn
    missing = {(one.product, one.date.isoformat(), one.tile) for one in plan.missing}
    table = pd.read_csv(outcome.out / "tables/coverage.csv")
    found = table[table.status == "missing"]
    assert missing == set(zip(found["product"], found.date, found.tile))
    assert ("MOD09A1", "2012-07-27", "h27v04") in missing
