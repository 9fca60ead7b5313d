# SPDX-License-Identifier: Apache-2.0
"""Indicators of Munich in summer 2022, against an independent trial on the same files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from rsei.engine.index.composite import ReflectanceSum
from rsei.engine.index.indicators import Block, IndicatorSettings, Layers, epoch_block
from rsei.engine.index.pca import Limits, Normalised
from rsei.engine.index.quality import Policy


@pytest.fixture(scope="module")
def munich(real_data: Path) -> Block:
    """The block of all sixteen dates under ``standard``; heat is a ramp, as there is no LST."""

    def stack(name: str) -> NDArray[Any]:
        layers = []
        for path in sorted((real_data / "munich-2022").glob(f"*_{name}_doy*.tif")):
            with rasterio.open(path, driver="GTiff") as file:
                layers.append(file.read(1))
        return np.stack(layers)

    bands = np.stack([stack(f"sur_refl_b0{n}") for n in range(1, 8)], axis=1)
    total = ReflectanceSum(bands.shape[2:], Policy())
    total.add(bands, stack("sur_refl_state_500m"), stack("sur_refl_qc_500m"))
    partial = total.partial()
    heat = np.linspace(295, 305, bands[0, 0].size, dtype=np.float32).reshape(bands.shape[2:])
    layers = Layers(np.ones(heat.shape, bool), {"lst": heat}, partial.sums, partial.counts)
    return epoch_block(layers, IndicatorSettings(greenness="bands"), 0.0)


def test_pixels_that_enter(munich: Block) -> None:
    assert munich.summary.count == 11_762
    assert munich.summary.reasons["mndwi_water"] == 78
    before_water = munich.summary.count + munich.summary.reasons["mndwi_water"]
    assert round(100 * before_water / munich.reason.size, 2) == 99.66


def test_medians(munich: Block) -> None:
    medians = np.median(munich.indicators[:3, munich.reason == 0], axis=1)
    np.testing.assert_allclose(medians, [0.679, -0.164, -0.171], rtol=0, atol=6e-4)


def test_first_component_of_the_three(munich: Block) -> None:
    limits = Limits(munich.summary.minima(), munich.summary.maxima())
    three = Normalised.of(munich.summary, limits).covariance[:3, :3]
    values, vectors = np.linalg.eigh(three)
    assert round(100 * values[-1] / values.sum(), 1) == 91.1
    first = vectors[:, -1] * np.sign(vectors[0, -1])
    assert (np.sign(first) == [1, 1, -1]).all()
