# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import oracles_quality as oracles
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from rsei.engine.index.quality import QUALITY_FIELDS, Policy
from rsei.engine.index.reflectance import composite
from rsei.engine.sources.errors import InputError
from rsei.engine.sources.products import BANDS

DATES, SHAPE = 20, (9, 11)
GRID = ("time", "y", "x")


def observations() -> xr.Dataset:
    """Twenty dates, more than are held at a time, with cloud and fill among them."""
    rng, size = np.random.default_rng(3), (DATES, *SHAPE)
    bands: dict[str, Any] = {
        name: (GRID, rng.integers(-300, 16400, size, np.int16)) for name in BANDS
    }
    state = rng.integers(0, 2, size, np.uint16)  # clear or cloudy
    state[rng.random(size) < 0.1] = 65535
    qc = (rng.random(size) < 0.3) * np.uint32(8 << 10)  # blue interpolated from a dead detector
    words = {"state": (GRID, state), "qc": (GRID, qc.astype(np.uint32))}
    return xr.Dataset(bands | words, coords={"y": range(9), "x": range(11)})


def test_is_the_mean_of_what_the_bits_allow() -> None:
    scene, policy = observations(), Policy()
    fields = {
        word: {QUALITY_FIELDS[word][name]: kept for name, kept in policy.accepted(word).items()}
        for word in ("state", "qc")
    }
    state, qc = (scene[word].values.reshape(DATES, -1) for word in ("state", "qc"))
    usable = oracles.bands_used(state, qc, fields["state"], fields["qc"], None, (65535, 0xFFFFFFFF))
    bands = np.stack([scene[name].values.reshape(DATES, -1) for name in BANDS], axis=1)
    sums, counts = oracles.summed(bands, usable, (-100, 16000))
    found = composite(scene, policy)
    for b, name in enumerate(BANDS):
        with np.errstate(invalid="ignore"):
            mean = sums[b] / counts[b] * 1e-4
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name].values.ravel(), mean, rtol=1e-6)
        np.testing.assert_array_equal(found[f"count_{name}"].values.ravel(), counts[b])
    assert int(found["count_blue"].sum()) < int(found["count_red"].sum())


@given(st.permutations(range(DATES)), st.permutations(GRID), st.sampled_from([None, 7]))
@settings(max_examples=15)
def test_order_axes_and_chunks_change_nothing(
    order: list[int], axes: list[str], chunk: int | None
) -> None:
    scene = observations()
    other = scene.isel(time=order).transpose(*axes)
    other = other if chunk is None else other.chunk(time=chunk, y=4)
    found, expected = composite(other), composite(scene)
    xr.testing.assert_identical(found.transpose("y", "x"), expected)


def test_labels_stay() -> None:
    found = composite(observations())
    assert found["red"].dims == ("y", "x")
    assert list(found.coords) == ["y", "x"]


def test_scaled_reflectance_is_refused() -> None:
    scene = observations()
    for name in BANDS:
        scene[name] = scene[name] * 1e-4
    with pytest.raises(InputError, match="expected int16"):
        composite(scene)
