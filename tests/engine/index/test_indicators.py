# SPDX-License-Identifier: Apache-2.0
import pickle
from itertools import pairwise
from typing import Any

import dask
import numpy as np
import oracles
import pytest
import xarray as xr
from conftest import Home
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from worlds_index import ground, layers

from rsei.engine.index.indicators import (
    IndicatorSettings,
    UserRaster,
    WaterSettings,
    epoch_block,
    indicators,
)
from rsei.engine.index.summaries import INDICATORS, REASONS
from rsei.engine.sources.errors import StudyError
from rsei.engine.sources.products import BANDS

SHAPE = (50, 41)
FROM_BANDS = IndicatorSettings(greenness="bands")


def scene(home: Home) -> xr.Dataset:
    """Reflectance of seven bands, (50, 41)."""
    rng = np.random.default_rng(7)
    return xr.Dataset(
        {name: (("y", "x"), home.put(rng.random(SHAPE, np.float32))) for name in BANDS}
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_matches_definition(home: Home, chunked: bool) -> None:
    reflectance = scene(home).chunk(y=16, x=16) if chunked else scene(home)
    found = indicators(reflectance).compute()
    bands = np.stack([home.get(reflectance[name].compute().data).ravel() for name in BANDS])
    for name, expected in oracles.spectral_indices(bands).items():
        assert found[name].dtype == np.float32
        assert found[name].dims == ("y", "x")
        np.testing.assert_allclose(home.get(found[name].data).ravel(), expected, atol=1e-6)


def refuse(*_: object, **__: object) -> None:
    raise AssertionError("a stage computed a chunk before it was asked to")


def test_stage_is_lazy(home: Home) -> None:
    reflectance = scene(home).chunk(y=16)
    with dask.config.set(scheduler=refuse):
        found = indicators(reflectance)
    assert found["ndvi"].chunks == reflectance["red"].chunks


@pytest.mark.parametrize(
    "scheduler", ["threads", pytest.param("processes", marks=pytest.mark.slow)]
)
def test_every_scheduler(scheduler: str) -> None:
    layer = xr.DataArray(np.ones((8, 8), np.float32), dims=("y", "x")).chunk(y=4)
    found = indicators(xr.Dataset(dict.fromkeys(BANDS, layer)))
    with dask.config.set(scheduler=scheduler, num_workers=2):
        assert float(found["ndvi"].sum()) == 0.0


def test_stage_pickles_by_name() -> None:
    assert len(pickle.dumps(indicators)) < 80


def expected_reasons(
    parts: dict[str, Any], settings: IndicatorSettings, threshold: float | None
) -> list[str]:
    flat = {name: layer.reshape(*layer.shape[:-2], -1) for name, layer in parts.items()
            if name != "rasters"}  # fmt: skip
    rasters = {name: layer.ravel() for name, layer in parts["rasters"].items()}
    *_, why = oracles.screened(
        flat["sums"], flat["counts"], flat["inside"], flat["land_cover_water"],
        rasters, settings.ranges, threshold,
    )  # fmt: skip
    return list(why)


PARTS = ground(SHAPE, given=("ndvi", "wet", "ndbsi"))
OWN = UserRaster(raster="mine.tif", range=(-1, 1))


@pytest.mark.parametrize(
    "settings",
    [
        IndicatorSettings(),
        FROM_BANDS,
        IndicatorSettings(wetness=OWN),
        IndicatorSettings(ndbsi=OWN, greenness="bands"),
        IndicatorSettings(greenness=OWN, wetness=OWN, ndbsi=OWN),
    ],
)
@pytest.mark.parametrize("threshold", [0.0, None])
def test_reasons_are_counted(
    home: Home, settings: IndicatorSettings, threshold: float | None
) -> None:
    names = [name for name in INDICATORS if name not in settings.computed]
    parts = PARTS | {"rasters": {name: PARTS["rasters"][name] for name in names}}
    block = epoch_block(layers(home, parts), settings, threshold)
    why = expected_reasons(parts, settings, threshold)
    assert [("valid", *REASONS)[code] for code in home.get(block.reason).ravel()] == why
    assert block.summary.reasons == {name: why.count(name) for name in ("valid", *REASONS)}
    assert block.summary.count == why.count("valid") > 0


def test_no_band_is_needed_where_all_is_given(home: Home) -> None:
    settings = IndicatorSettings(greenness=OWN, wetness=OWN, ndbsi=OWN)
    parts = PARTS | {"sums": None, "counts": None}
    whole = layers(home, PARTS)
    bare = type(whole)(whole.inside, whole.rasters)
    block = epoch_block(bare, settings, None)
    assert block.summary.reasons["no_reflectance"] == 0
    assert block.summary.count > 0
    assert parts["sums"] is None


def test_what_is_missing_is_named() -> None:
    whole = ground(SHAPE)
    bare = type(layers(Home("numpy", 0), whole))(whole["inside"], whole["rasters"])
    with pytest.raises(StudyError, match="expected a layer of ndvi"):
        epoch_block(bare, IndicatorSettings(), 0.0)
    with pytest.raises(StudyError, match="expected reflectance for red, nir"):
        epoch_block(bare, FROM_BANDS, 0.0)


@given(st.sets(st.integers(1, SHAPE[0] - 1), max_size=4))
def test_blocks_add_up(cuts: set[int]) -> None:
    home = Home("numpy", 0)
    whole = epoch_block(layers(home, PARTS | {"rasters": {"lst": PARTS["rasters"]["lst"]}}),
                        FROM_BANDS, 0.0)  # fmt: skip
    edges = [0, *sorted(cuts), SHAPE[0]]
    parts = [
        epoch_block(layers(home, PARTS, slice(a, b)), FROM_BANDS, 0.0).summary
        for a, b in pairwise(edges)
    ]
    assert sum(parts[1:], parts[0]) == whole.summary
    assert sum(parts[-2::-1], parts[-1]) == whole.summary


def test_masked_pixels_change_nothing() -> None:
    """`.unmask()` turns nodata into zeros; here what is left out enters no sum and no limit."""
    home = Home("numpy", 0)
    block = epoch_block(layers(home, PARTS), FROM_BANDS, 0.0)
    out = block.reason != 0
    changed = PARTS | {
        "sums": np.where(out & (block.reason != 5), 9999, PARTS["sums"]).astype(np.int32)
    }
    changed["inside"] = PARTS["inside"] & ~out
    again = epoch_block(layers(home, changed), FROM_BANDS, 0.0)
    assert again.summary.moments == block.summary.moments
    assert again.summary.extremes == block.summary.extremes


def test_one_mask_is_common_to_all() -> None:
    """An indicator that is known where another is not stands in the layer, not in the sums."""
    home = Home("numpy", 0)
    block = epoch_block(layers(home, PARTS), FROM_BANDS, 0.0)
    alone = np.isfinite(block.indicators[1]) & (block.reason != 0) & PARTS["inside"]
    assert alone.any()
    valid = block.indicators[:4, block.reason == 0]
    np.testing.assert_allclose(block.summary.moments.mean(), valid.mean(axis=1, dtype=float), 1e-9)


def test_settings_refuse_what_they_cannot_mean() -> None:
    with pytest.raises(ValidationError, match="low < high"):
        UserRaster(raster="x.tif", range=(1, -1))
    with pytest.raises(ValidationError):
        WaterSettings(mndwi="otzu")
    with pytest.raises(ValidationError):
        WaterSettings(mndwi=3.0)


@pytest.mark.parametrize(("units", "low", "high"), [("C", 250, 330), ("K", -20, 60), ("", -20, 60)])
def test_kelvin_called_celsius_and_the_reverse_are_refused(
    units: str, low: float, high: float
) -> None:
    heat = UserRaster(raster="t.tif", range=(low, high), units=units)
    with pytest.raises(
        ValueError, match=r"heat\.range: expected temperatures .* check heat\.units"
    ):
        IndicatorSettings(heat=heat)


def test_celsius_becomes_kelvin() -> None:
    heat = UserRaster(raster="t.tif", range=(-20, 50), units="C")
    assert IndicatorSettings(heat=heat).ranges[3] == pytest.approx((253.15, 323.15))
