# SPDX-License-Identifier: Apache-2.0
"""Blocks of an epoch with every kind of pixel in them."""

from typing import Any

import numpy as np
from conftest import Home

from rsei.engine.index.indicators import Layers


def ground(shape: tuple[int, int], seed: int = 0, given: tuple[str, ...] = ()) -> dict[str, Any]:
    """Sums, counts and layers as NumPy arrays: land, water, dark pixels, gaps."""
    rng = np.random.default_rng(seed)
    green = rng.random(shape)  # from bare to wooded
    bare = np.array([1500, 2200, 900, 1200, 2900, 3000, 2400])[:, None, None]
    wooded = np.array([400, 3700, 400, 800, 3200, 1800, 900])[:, None, None]
    mean = bare + (wooded - bare) * green
    mean += rng.normal(0, 60, mean.shape)
    water = rng.random(shape) < 0.1
    mean[:, water] = np.array([400, 250, 450, 500, 150, 90, 60])[:, None]
    dark = rng.random(shape) < 0.05
    mean[:, dark] = rng.integers(-100, 20, (7, dark.sum()))
    counts = rng.integers(1, 48, (7, *shape)).astype(np.uint16)
    counts[:, rng.random(shape) < 0.03] = 0
    counts[4, rng.random(shape) < 0.03] = 0  # nir2 alone: only wetness needs it
    rasters = {
        "ndvi": (0.2 + 0.6 * green + rng.normal(0, 0.03, shape)).astype(np.float32),
        "lst": (310 - 12 * green + rng.normal(0, 1, shape)).astype(np.float32),
        "wet": (-0.2 + 0.2 * green).astype(np.float32),
        "ndbsi": (0.1 - 0.3 * green).astype(np.float32),
    }
    for layer in rasters.values():
        layer[rng.random(shape) < 0.04] = np.nan
        layer[rng.random(shape) < 0.01] = 1e6
    return {
        "sums": (mean.astype(np.int32) * counts).astype(np.int32),
        "counts": counts,
        "inside": rng.random(shape) < 0.9,
        "land_cover_water": rng.random(shape) < 0.05,
        "rasters": {name: rasters[name] for name in ("lst", *given)},
    }


def layers(home: Home, parts: dict[str, Any], rows: slice = slice(None)) -> Layers:
    """Those ``rows`` of ``parts``, in the memory of ``home``."""
    return Layers(
        inside=home.put(parts["inside"][rows]),
        rasters={name: home.put(layer[rows]) for name, layer in parts["rasters"].items()},
        sums=home.put(parts["sums"][:, rows]),
        counts=home.put(parts["counts"][:, rows]),
        land_cover_water=home.put(parts["land_cover_water"][rows]),
        origin=(rows.start or 0, 0),
    )
