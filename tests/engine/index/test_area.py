# SPDX-License-Identifier: Apache-2.0
"""From summaries to loadings, direction and the final scale, on scenes with a known answer."""

from itertools import product
from typing import Any

import numpy as np
import oracles
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.decomposition import PCA

from rsei.engine.index.area import area_pca
from rsei.engine.index.assessment import Assessed, assess, rsei_of
from rsei.engine.index.directions import EXPECTED, directions
from rsei.engine.index.indicators import (
    RANGES,
    Block,
    IndicatorSettings,
    Layers,
    UserRaster,
    epoch_block,
)
from rsei.engine.index.pca import ConstantIndicator, NothingValid, canonical
from rsei.engine.index.rsei import RseiSettings
from rsei.engine.index.scopes import FixedTables
from rsei.engine.index.summaries import INDICATORS
from rsei.engine.sources.errors import StudyError

OWN = [UserRaster(raster=name, range=RANGES[name]) for name in INDICATORS]
GIVEN = IndicatorSettings(greenness=OWN[0], wetness=OWN[1], ndbsi=OWN[2], heat=OWN[3])
UNIT = FixedTables({"ndvi": (0, 1), "wet": (0, 1), "ndbsi": (0, 1), "lst": (300, 301)}, {})
FIXED = RseiSettings(normalisation="fixed", limits_table="limits.csv")


def block(values: NDArray[Any], inside: NDArray[Any] | None = None) -> Block:
    """The screened block of four given indicators, (4, h, w)."""
    rasters = dict(zip(INDICATORS, values.astype(np.float32), strict=True))
    everywhere = np.ones(values.shape[1:], bool)
    return epoch_block(Layers(everywhere if inside is None else inside, rasters), GIVEN, None)


def city(seed: int = 0, shape: tuple[int, int] = (40, 30)) -> NDArray[np.float32]:
    """Correlated indicators, (4, h, w), with gaps."""
    rng = np.random.default_rng(seed)
    green = rng.random(shape)
    slopes = np.array([0.6, 0.25, -0.35, -11.0])[:, None, None]
    levels = np.array([0.2, -0.3, 0.1, 311.0])[:, None, None] + seed * 0.01
    noise = rng.normal(0, 1, (4, *shape)) * [[[0.05]], [[0.02]], [[0.04]], [[1.0]]]
    values = (levels + slopes * green + noise).astype(np.float32)
    values[rng.integers(4), rng.random(shape) < 0.1] = np.nan
    return values


def with_eigenvector(first: NDArray[Any], seed: int = 0) -> NDArray[np.float32]:
    """Indicators, already normalised but for LST, whose covariance has ``first`` as PC1."""
    rng = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(np.column_stack([first, rng.normal(size=(4, 3))]))
    scores = rng.normal(size=(1600, 4))
    scores, _ = np.linalg.qr(scores - scores.mean(axis=0))  # uncorrelated to the last bit
    values = 0.5 + (scores * [3.0, 1.0, 0.6, 0.3]) @ basis.T
    values[:, 3] += 300
    return values.T.reshape(4, 40, 40).astype(np.float32)


def kept(values: NDArray[Any]) -> NDArray[Any]:
    return values[:, ~np.isnan(values).any(axis=0)]


@pytest.mark.parametrize("shape", [(1, 5), (5, 10), (25, 40), (250, 400)])
def test_loadings_of_the_raw_values(shape: tuple[int, int]) -> None:
    values = city(3, shape)
    values = np.where(np.isnan(values), values[:, :1, :1], values)
    found = assess({2001: block(values)})[2001].pca.components
    expected = oracles.loadings(values.reshape(4, -1))
    np.testing.assert_allclose(found.vectors, expected, rtol=0, atol=1e-8)


def test_loadings_of_scikit_learn() -> None:
    values = city()
    wide = kept(values).astype(np.float64)
    low, high = wide.min(axis=1, keepdims=True), wide.max(axis=1, keepdims=True)
    peer = PCA().fit(((wide - low) / (high - low)).T)
    found = assess({2001: block(values)})[2001]
    assert found.pca.summary.count == wide.shape[1]
    np.testing.assert_allclose(
        found.pca.components.first, canonical(peer.components_[0]), rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(
        found.pca.components.contributions, 100 * peer.explained_variance_ratio_, atol=1e-8
    )
    scores = peer.transform(((wide - low) / (high - low)).T)[:, 0]
    scores *= np.sign(found.pca.vector @ peer.components_[0])
    expected = (scores - scores.min()) / (scores.max() - scores.min())
    np.testing.assert_allclose(kept(values * 0 + found.rsei)[0], expected, rtol=0, atol=2e-6)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_order_and_masked_pixels_change_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = city()
    order = rng.permutation(values[0].size)
    shuffled = values.reshape(4, -1)[:, order].reshape(values.shape)
    inside = np.ones((40, 31), bool)
    inside[:, -1] = False
    padded = np.concatenate([shuffled, np.zeros((4, 40, 1), np.float32)], axis=2)
    one, other = assess({1: block(values)})[1], assess({1: block(padded, inside)})[1]
    assert one.pca.vector.tolist() == other.pca.vector.tolist()
    assert one.scale == other.scale
    expected = one.rsei.ravel()[order].reshape(values[0].shape)
    np.testing.assert_array_equal(other.rsei[:, :-1], expected)


def test_rsei_fills_nought_to_one() -> None:
    found = assess({2001: block(city())})[2001]
    assert (np.nanmin(found.rsei), np.nanmax(found.rsei), found.clipped) == (0, 1, (0, 0))
    assert np.isnan(found.rsei).sum() == np.isnan(city()).any(axis=0).sum()


def test_the_pixels_of_the_limits_are_named() -> None:
    found = assess({2001: block(city())})[2001]
    low, high = found.projected.extremes.lowest[0], found.projected.extremes.highest[0]
    assert low is not None
    assert high is not None
    assert found.rsei[low.row, low.column] == 0
    assert found.rsei[high.row, high.column] == 1
    assert found.scale == (low.value, high.value)


def test_turning_an_indicator_turns_its_loading_alone() -> None:
    """NI becomes 1 - NI: the component turns its sign, and nothing else does."""
    values = city()
    turned = values * np.array([1, -1, 1, 1], np.float32)[:, None, None]
    one, other = (assess({1: block(v)})[1].pca.components for v in (values, turned))
    np.testing.assert_allclose(np.abs(one.vectors), np.abs(other.vectors), atol=1e-12)
    np.testing.assert_allclose(one.contributions, other.contributions, atol=1e-9)
    signs = np.sign(one.first * other.first)
    assert signs.tolist() in ([1, -1, 1, 1], [-1, 1, -1, -1])


PANZHIHUA = {
    epoch: np.array(vector) / np.linalg.norm(vector)
    for epoch, vector in {
        2001: (0.52, -0.32, -0.40, 0.594),
        2004: (0.42, -0.58, -0.12, 0.66),
        2007: (0.40, -0.60, -0.10, 0.67),
    }.items()
}
"""Loadings of its kind: NDVI and LST on one side, v . e of 2001 a hair above zero."""


def test_epochs_of_an_area_point_one_way() -> None:
    """Epoch by epoch, 2001 would be kept and the others flipped, against their likeness."""
    blocks = {epoch: block(with_eigenvector(v, epoch)) for epoch, v in PANZHIHUA.items()}
    found = assess(blocks, FIXED, UNIT)
    alone = {epoch: float(np.sign(v @ EXPECTED)) * v for epoch, v in PANZHIHUA.items()}
    assert 0 < alone[2001] @ EXPECTED < 0.01
    assert alone[2001] @ alone[2004] < -0.85
    for epoch, vector in PANZHIHUA.items():
        result = found[epoch].pca
        assert abs(abs(result.vector @ vector) - 1) < 1e-9
        assert result.vector @ found[2004].pca.vector > 0.85
        assert not result.directions.agreement
        assert any("disagree" in notice for notice in result.notices)
    sums = sum(result.pca.vector @ EXPECTED for result in found.values())
    assert sums > 0
    notices = found[2001].pca.notices
    assert any("point the other way" in notice for notice in notices)
    assert any("|v . e| is 0.0" in notice for notice in notices)


def test_a_plain_city_has_no_warning() -> None:
    found = assess({1: block(city(1)), 2: block(city(2))})
    assert all(one.pca.notices == () for one in found.values())
    assert all(one.pca.directions.agreement for one in found.values())
    assert all((np.sign(one.pca.vector) == np.sign(EXPECTED)).all() for one in found.values())


@given(
    st.lists(
        st.lists(st.floats(-1, 1), min_size=4, max_size=4).filter(
            lambda v: np.linalg.norm(v) > 0.1
        ),
        min_size=1,
        max_size=5,
    )
)
def test_rules(vectors: list[list[float]]) -> None:
    unit = {2000 + k: canonical(np.array(v) / np.linalg.norm(v)) for k, v in enumerate(vectors)}
    found = directions(unit)
    for epoch, vector in unit.items():
        verdicts = found[epoch].verdicts
        assert verdicts["ndvi"].sign * vector[0] >= 0
        assert verdicts["heat"].sign * vector[3] <= 0
        assert verdicts["none"].sign == 1
        assert found[epoch].own == (1 if vector @ EXPECTED >= 0 else -1)
    aligned = np.array([found[epoch].verdicts["expected"].sign * v for epoch, v in unit.items()])
    clearest = aligned[np.abs(aligned @ EXPECTED).argmax()]
    assert (aligned @ clearest >= -1e-12).all()
    assert (aligned @ EXPECTED).sum() >= -1e-12


@pytest.mark.parametrize("rule", ["expected", "ndvi", "heat", "none"])
def test_the_whole_vector_is_flipped_or_kept(rule: Any) -> None:
    """Single coefficients flipped would no longer be an eigenvector."""
    values = with_eigenvector(PANZHIHUA[2004])
    result = assess({1: block(values)}, FIXED.model_copy(update={"direction": rule}), UNIT)[1].pca
    assert result.vector.tolist() in (
        result.components.first.tolist(),
        (-result.components.first).tolist(),
    )


def test_reference_direction_correlates_pixels() -> None:
    values = {2001: city(1), 2004: city(1)}
    values[2004][3] = 622 - values[2004][3]  # heat turned: loadings alike but for LST
    blocks = {epoch: block(layer) for epoch, layer in values.items()}
    asked = RseiSettings(direction="reference", reference=2001)
    found = assess(blocks, asked)
    r = {epoch: one.pca.directions.verdicts["reference"].margin for epoch, one in found.items()}
    both = ~np.isnan(found[2001].rsei) & ~np.isnan(found[2004].rsei)
    expected = np.corrcoef(found[2001].rsei[both], found[2004].rsei[both])[0, 1]
    assert abs(r[2001]) == pytest.approx(1)
    assert abs(r[2004]) == pytest.approx(expected, abs=1e-6)
    assert expected > 0


def final(found: dict[int, Assessed], epoch: int) -> tuple[float, float]:
    return float(np.nanmin(found[epoch].rsei)), float(np.nanmax(found[epoch].rsei))


@pytest.mark.parametrize(
    ("scope", "pca"), list(product(["epoch", "pooled", "reference"], repeat=2))
)
@pytest.mark.parametrize("limits", ["minmax", (2, 97)])
def test_scopes(scope: Any, pca: Any, limits: Any) -> None:
    values = {2001: city(0), 2004: city(5), 2007: city(9)}
    asked = RseiSettings(limits=limits, normalisation=scope, pca=pca, reference=2004)
    found = assess({epoch: block(layer) for epoch, layer in values.items()}, asked)
    pixels = {epoch: kept(layer).astype(np.float64) for epoch, layer in values.items()}
    ends = (0, 100) if limits == "minmax" else limits
    every = np.concatenate(list(pixels.values()), axis=1)
    normal = {}
    for epoch, own in pixels.items():
        setting = {"epoch": own, "pooled": every, "reference": pixels[2004]}[scope]
        low, high = np.percentile(setting, ends, axis=1)[..., None]
        np.testing.assert_allclose(found[epoch].pca.limits.low, low[:, 0], rtol=1e-12)
        normal[epoch] = (own - low) / (high - low)
    scores = {}
    for epoch, own in normal.items():
        pool = np.concatenate(list(normal.values()), axis=1)
        setting = {"epoch": own, "pooled": pool, "reference": normal[2004]}[pca]
        vector = np.linalg.eigh(np.cov(setting, ddof=0))[1][:, -1]
        result = found[epoch].pca
        assert abs(vector @ result.vector) == pytest.approx(1, abs=1e-12)
        scores[epoch] = result.vector @ own
    for epoch, own in scores.items():
        pool = np.concatenate(list(scores.values()))
        setting = {"epoch": own, "pooled": pool, "reference": scores[2004]}[scope]
        low, high = np.percentile(setting, ends)
        layer = found[epoch].rsei
        expected = np.clip((own - low) / (high - low), 0, 1)
        np.testing.assert_allclose(layer[~np.isnan(layer)], expected, rtol=0, atol=3e-6)
        clipped = int((own < low - 1e-6).sum()), int((own > high + 1e-6).sum())
        assert np.abs(np.subtract(found[epoch].clipped, clipped)).max() <= 1


def test_fixed_tables() -> None:
    asked = RseiSettings(normalisation="fixed", pca="fixed", limits_table="a", loadings_table="b")
    loadings = {"ndvi": 1.0, "wet": 1.0, "ndbsi": -1.0, "lst": -1.0}
    values = with_eigenvector(EXPECTED / 2)
    blocks = {1: block(values), 2: block(values[:, ::-1] * [[[0.9]], [[1]], [[1]], [[1]]])}
    found = assess(blocks, asked, FixedTables({**UNIT.limits, "rsei0": (-0.5, 0.5)}, loadings))
    assert found[1].pca.vector.tolist() == [0.5, 0.5, -0.5, -0.5]
    assert found[1].scale == (-0.5, 0.5)
    expected = np.tensordot([0.5, 0.5, -0.5, -0.5], values - [[[0]], [[0]], [[0]], [[300]]], 1)
    np.testing.assert_allclose(found[1].rsei, np.clip(expected + 0.5, 0, 1), atol=1e-6)
    free = assess(blocks, asked, FixedTables(UNIT.limits, loadings))
    assert free[1].scale == free[2].scale  # without a row rsei0 the run's epochs are pooled
    assert min(final(free, 1)[0], final(free, 2)[0]) == 0
    for tables in (FixedTables({}, loadings), FixedTables(UNIT.limits, {"ndvi": 1.0})):
        with pytest.raises(StudyError, match="expected rows ndvi, wet, ndbsi, lst"):
            assess(blocks, asked, tables)


def test_a_constant_indicator_is_named() -> None:
    values = city()
    values[2] = np.where(np.isnan(values[2]), np.nan, 0.125)
    with pytest.raises(ConstantIndicator, match=r"Handan, epoch 2001: .* ndbsi .* 0\.125"):
        assess({2001: block(values)}, area="Handan")
    pooled = RseiSettings(normalisation="pooled")
    found = assess({2001: block(values), 2004: block(city(2))}, pooled)
    assert any("ndbsi is constant" in notice for notice in found[2001].pca.notices)


def test_no_valid_pixel_says_what_took_them() -> None:
    values = city()
    values[3] = np.nan
    with pytest.raises(NothingValid, match=r"Handan, epoch 2001: .* none of 1200 .*no_lst 1200"):
        assess({2001: block(values)}, area="Handan")


def test_few_pixels_are_flagged() -> None:
    found = assess({1: block(city(1, (5, 9)))})[1]
    assert any("valid pixels, under 100" in notice for notice in found.pca.notices)


def test_zeros_for_nodata_leave_a_signature() -> None:
    """`.unmask()`: zeros in all four pull every loading to one sign, as without centring."""
    values = np.where(np.isnan(city()), 0, city())
    wide = IndicatorSettings(
        greenness=OWN[0],
        wetness=OWN[1],
        ndbsi=OWN[2],
        heat=UserRaster(raster="t", range=(0, 400)),
    )
    values[:, :10] = 0
    rasters = dict(zip(INDICATORS, np.abs(values), strict=True))
    layers = Layers(np.ones(values.shape[1:], bool), rasters)
    notices = assess({1: epoch_block(layers, wide, None)})[1].pca.notices
    assert any("filled with zeros" in notice for notice in notices)


def test_one_sign_and_a_large_share_leave_a_signature() -> None:
    values = with_eigenvector(np.array([0.5, 0.5, 0.5, 0.5]))
    values = values[:3].mean(axis=0) + 0.01 * (values - values.mean(axis=(1, 2), keepdims=True))
    values[3] += 300
    notices = assess({1: block(values)}, FIXED, UNIT)[1].pca.notices
    assert any("one sign" in notice for notice in notices)


def test_uncentred_moments_would_show() -> None:
    """Without centring, PC1 follows the mean, not the spread."""
    values = kept(city()).astype(np.float64)
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    normal = (values - low) / (high - low)
    wrong = canonical(np.linalg.eigh(normal @ normal.T)[1][:, -1])
    right = assess({1: block(city())})[1].pca.components.first
    assert (wrong > 0).all()
    assert abs(wrong @ right) < 0.9


def test_summaries_of_strips_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    values = city()
    parts = [block(values[:, k : k + 7]).summary for k in range(0, 40, 7)]
    merged = area_pca({1: sum(parts[1:], parts[0])}, RseiSettings())[1]
    whole = area_pca({1: block(values).summary}, RseiSettings())[1]
    assert merged.vector.tolist() == whole.vector.tolist()
    assert merged.limits == whole.limits


def test_own_arrays_in_few_lines() -> None:
    layers = {name: (("y", "x"), layer) for name, layer in zip(INDICATORS, city(), strict=True)}
    own = xr.Dataset(layers)
    own["mndwi"] = ("y", "x"), np.full(own["ndvi"].shape, -0.3)
    own["mndwi"][:5] = 0.4
    layer, pca = rsei_of(own)
    assert np.isnan(layer[:5]).all()
    assert pca.summary.count == int((~np.isnan(layer)).sum()) > 100


@pytest.mark.parametrize(
    "wrong",
    [
        {"limits": (99, 1)},
        {"limits": (-1, 99)},
        {"normalisation": "fixed"},
        {"pca": "fixed"},
        {"pca": "reference"},
        {"direction": "reference"},
        {"direction": "up"},
        {"scale": 1},
    ],
)
def test_settings_are_complete(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RseiSettings(**wrong)


@pytest.mark.parametrize(
    "asked",
    [
        {"normalisation": "reference"},
        {"normalisation": "reference", "limits": (1, 99)},
        {"pca": "reference"},
        {"direction": "reference"},
    ],
)
def test_a_reference_that_is_no_epoch(asked: dict[str, Any]) -> None:
    with pytest.raises(StudyError, match=r"expected rsei\.reference among the epochs"):
        assess({2001: block(city())}, RseiSettings(reference=1999, **asked))
