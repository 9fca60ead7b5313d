# SPDX-License-Identifier: Apache-2.0
"""Partials of real granules: Munich's sixteen dates, and eighteen years of western New York."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
import oracles_quality as oracles
import pytest
import rasterio
from numpy.typing import NDArray

from rsei.engine.index.composite import HeatSum, Partial, ReflectanceSum
from rsei.engine.index.quality import Policy
from rsei.engine.index.season import Season

Layers = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


@pytest.fixture(scope="module")
def munich(real_data: Path) -> Layers:
    """Bands (16, 7, 108, 110), state and qc of June to September 2022."""

    def stack(name: str) -> NDArray[Any]:
        layers = []
        for path in sorted((real_data / "munich-2022").glob(f"*_{name}_doy*.tif")):
            with rasterio.open(path, driver="GTiff") as file:
                layers.append(file.read(1))
        return np.stack(layers)

    bands = np.stack([stack(f"sur_refl_b0{n}") for n in range(1, 8)], axis=1)
    return bands, stack("sur_refl_state_500m"), stack("sur_refl_qc_500m")


def summed(layers: Layers, policy: Policy) -> Partial:
    total = ReflectanceSum(layers[0].shape[2:], policy)
    total.add(*layers)
    return total.partial()


def test_munich_matches_digits(munich: Layers) -> None:
    bands, state, qc = (layer.reshape(*layer.shape[:-2], -1) for layer in munich)
    assert [layer.dtype for layer in munich] == [np.int16, np.uint16, np.uint32]
    usable = oracles.bands_used(
        state,
        qc,
        {(0, 1): {0, 3}, (2, 2): {0}, (8, 9): {0, 1}}
        | {(bit, bit): {0} for bit in (10, 12, 13, 15)},
        {(0, 1): {0, 1}} | {bits: {0, 1} for bits in oracles.NIBBLES},
        None,
        (65535, 0xFFFFFFFF),
    )
    sums, counts = oracles.summed(bands, usable, (-100, 16000))
    found = summed(munich, Policy())
    np.testing.assert_array_equal(found.sums.reshape(7, -1), sums)
    np.testing.assert_array_equal(found.counts.reshape(7, -1), counts)
    assert found.observations == 16


def test_munich_pixels_with_all_bands(munich: Layers) -> None:
    found = summed(munich, Policy())
    assert round(float((found.counts.min(axis=0) > 0).mean()), 4) == 0.9966
    red, nir, *_ = found.mean(1e-4)
    assert float(np.nanmedian((nir - red) / (nir + red))) == pytest.approx(0.678, abs=2e-3)


def test_munich_band_5_would_cost_the_other_bands(munich: Layers) -> None:
    qc = munich[2]
    nibbles = (qc[:, None] >> np.arange(2, 30, 4, dtype=np.uint32)[:, None, None]) & 15
    assert 0.085 < (nibbles[:, 4] == 0b0111).mean() < 0.11
    assert 0.04 < (nibbles[:, 4] == 0b1000).mean() < 0.06
    # A word may call all bands ideal and yet hold a bad nibble: both are tested.
    assert ((qc & 3 == 0) & (nibbles > 1).any(axis=1)).mean() > 0.14
    own = summed(munich, Policy())
    words = {"modland": [0, 1], "all_bands": [0]}
    together = summed(munich, Policy.model_validate({"fields": {"qc": words}}))
    red = int(own.counts[0].sum())
    assert 0.14 < 1 - together.counts[0].sum() / red < 0.17
    assert own.losses["qc.b5"] > 100 * own.losses["qc.b1"]
    assert int(own.counts[4].sum()) == red + own.losses["qc.b1"] - own.losses["qc.b5"]


@pytest.fixture(scope="module")
def new_york(real_data: Path) -> tuple[list[date], NDArray[Any], NDArray[Any]]:
    """Dates, stored temperature and QC of 811 periods, (811, 47, 42); read without decoding."""
    with h5netcdf.File(real_data / "western-new-york" / "MOD11A2.006_aid0001.nc") as file:
        days = file.variables["time"][:]
        lst, qc = (file.variables[name][:] for name in ("LST_Day_1km", "QC_Day"))
    assert (lst.min(), lst.dtype, qc.dtype) == (0, np.int32, np.int16)
    dates = [date(2000, 1, 1) + timedelta(int(day)) for day in days]
    return dates, lst.astype(np.uint16), qc.astype(np.uint8)


@pytest.mark.parametrize(
    ("preset", "celsius"),
    [("lenient", (26.41, 26.16, 26.13, 27.22)), ("standard", (26.48, 26.25, 26.22, 27.26))],
)
def test_new_york_three_year_means(new_york: Any, preset: str, celsius: tuple[float, ...]) -> None:
    dates, lst, qc = new_york
    season, policy = Season(), Policy.model_validate({"preset": preset})
    for epoch, expected in zip((2001, 2005, 2010, 2016), celsius, strict=True):
        years = []
        for year in (epoch - 1, epoch, epoch + 1):
            chosen = [t for t, day in enumerate(dates) if season.holds(day, 8, year)]
            heat = HeatSum(lst.shape[1:], policy)
            heat.add(lst[chosen], qc[chosen], np.full_like(qc[chosen], 255))
            years.append(heat.partial())
        total = years[0] + years[1] + years[2]
        means = total.mean((0.02, 0.1), (-273.15, 0.0))
        assert total.observations == (46 if epoch == 2001 else 48)  # two of 2001 do not exist
        assert np.isfinite(means[0]).sum() == 1488
        assert round(float(np.nanmean(means[0], dtype=np.float64)), 2) == expected
        assert np.isnan(means[1]).all()  # this file has no view times


def test_new_york_fill_is_not_good_although_its_qc_is(new_york: Any) -> None:
    _, lst, qc = new_york
    heat = HeatSum(lst.shape[1:], Policy())
    assert ((lst == 0) & (qc == 0)).sum() > 100_000
    for t in range(0, len(lst), 200):
        heat = HeatSum(lst.shape[1:], Policy())
        heat.add(lst[t : t + 200], qc[t : t + 200], np.full_like(qc[t : t + 200], 255))
        assert heat.partial().losses["fill"] == (lst[t : t + 200] == 0).sum()
        assert not heat.partial().counts[0][(lst[t : t + 200] == 0).all(axis=0)].any()
