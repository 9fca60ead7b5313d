# SPDX-License-Identifier: Apache-2.0
"""Kernels beside the same in array expressions, on a GPU where there is one.

Everything is on the device beforehand. Every answer is compared; each rate is also given as a share
of what the device copies in the same run, and as times the expressions'.

    python benchmarks/bench_device.py [--device cuda] [--pixels 2400] [--dates 16] [--json FILE]
"""

import argparse
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from measured import keep

from rsei.engine.index.indicators import Block, IndicatorSettings, Layers, epoch_block
from rsei.engine.index.quality import Policy
from rsei.engine.run.bench import copy_rate, timed
from rsei.engine.run.devices import free_memory, gpus, home, on_host
from rsei.engine.run.machine import processor, versions
from rsei.engine.run.scenes import Work
from rsei.engine.sources import simulated_stack as scenes
from rsei.kernels.quality import accumulate
from rsei.kernels.zonal import LabelSums, Runs

ZONES = 31
Row = tuple[str, int, Work, Work, Callable[[Any, Any], None]]


def expected_sums(xp: Any, stored: Any, state: Any, qc: Any) -> tuple[Any, Any]:
    """Sums and counts under the standard policy, in expressions: the whole stack at a time."""
    cloud = state & 3
    good = ((cloud == 0) | (cloud == 3)) & (state & 0b1010010000000100 == 0)
    good &= ((state >> 8) & 3 < 2) & (state != 65535) & (qc != 0xFFFFFFFF) & (qc & 3 < 2)
    sums = xp.empty(stored.shape[1:], np.int32)
    counts = xp.empty(stored.shape[1:], np.uint8)
    for band in range(7):
        values = stored[:, band]
        used = good & ((qc >> (2 + 4 * band)) & 15 < 2) & (values >= -100) & (values <= 16000)
        sums[band] = xp.where(used, values, 0).sum(axis=0, dtype=np.int32)
        counts[band] = used.sum(axis=0, dtype=np.uint8)
    return sums, counts


def fused_sums(xp: Any, layers: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    """The same by the kernel."""
    shape = layers[0].shape[1:]
    sums, counts = xp.empty(shape, np.int32), xp.empty(shape, np.uint8)
    accumulate(layers, Policy().bands().tables, sums, counts, fresh=True)
    return sums, counts


def expected_moments(xp: Any, layers: Layers) -> tuple[int, Any, Any]:
    """Count, mean and covariance of four indicators outside water, in expressions."""
    sums, counts = layers.sums.reshape(7, -1), layers.counts.reshape(7, -1)
    with np.errstate(invalid="ignore"):
        bands = sums.astype(np.float32) / (counts.astype(np.float32) * np.float32(1e4))
    red, nir, blue, green, nir2, swir1, swir2 = bands
    wet = 0.1147 * red + 0.2489 * nir + 0.2408 * blue + 0.3132 * green
    wet += -0.3122 * nir2 - 0.6416 * swir1 - 0.5087 * swir2
    bare = ((swir1 + red) - (nir + blue)) / ((swir1 + red) + (nir + blue))
    built, natural = 2 * swir1 / (swir1 + nir), nir / (nir + red) + green / (green + swir1)
    ndbsi = (bare + (built - natural) / (built + natural)) / 2
    every = xp.stack([(nir - red) / (nir + red), wet, ndbsi, layers.rasters["lst"].reshape(-1)])
    valid = xp.isfinite(bands).all(axis=0) & (xp.abs(every[:3]) <= 4).all(axis=0)
    valid &= (bands[xp.asarray([0, 1, 2, 3, 5])] >= np.float32(1e-4)).all(axis=0)
    valid &= (green <= swir1) & (xp.abs(every[0]) <= 1) & (xp.abs(every[2]) <= 1)
    values = every[:, valid].astype(np.float64)
    mean = values.mean(axis=1)
    apart = values - mean[:, None]
    return values.shape[1], mean, apart @ apart.T / values.shape[1]


def expected_zones(xp: Any, values: Any, labels: Any) -> tuple[Any, Any]:
    """Count and mean of each zone, by counting bins: values weigh in float64."""
    counts = xp.bincount(labels, minlength=ZONES + 1)[1:]
    totals = xp.bincount(labels, weights=values.astype(np.float64), minlength=ZONES + 1)[1:]
    return counts, totals / counts


def rows(xp: Any, side: int, dates: int) -> Iterator[Row]:
    """Name, least bytes, kernel, expressions and comparison of each."""
    pixels = side * side
    scene = scenes.stack(side, dates, seed=3)
    layers = tuple(xp.asarray(one.reshape(*one.shape[:-2], pixels)) for one in scene.layers)
    yield (
        "fused QA + accumulation",
        sum(layer.nbytes for layer in layers) + pixels * 7 * 5,
        partial(fused_sums, xp, (layers[0], layers[1], layers[2])),
        partial(expected_sums, xp, *layers),
        same_integers,
    )
    sums, counts = fused_sums(xp, (layers[0], layers[1], layers[2]))
    del layers
    free_memory()
    lst = 300 + 3 * scenes.rough(side, 2.8, np.random.default_rng(1))
    made = Layers(
        inside=xp.ones((side, side), bool),
        rasters={"lst": xp.asarray(lst)},
        sums=sums.reshape(7, side, side),
        counts=counts.reshape(7, side, side),
    )
    yield (
        "indicators + moments",
        pixels * (7 * 10 + 5 * 4 + 1),
        partial(epoch_block, made, IndicatorSettings(greenness="bands"), 0.0),
        partial(expected_moments, xp, made),
        same_moments,
    )
    labels = (np.arange(side) * ZONES // side + 1).repeat(side)
    runs, on_device = Runs.of(labels, ZONES).moved(xp.asarray), xp.asarray(labels)
    values = made.rasters["lst"].reshape(-1)
    yield (
        "zonal over labels",
        pixels * 4,
        lambda: LabelSums.of(values, runs, 512.0),
        partial(expected_zones, xp, values, on_device),
        same_zones,
    )


def same_integers(found: Any, exact: Any) -> None:
    for mine, theirs in zip(found, exact, strict=True):
        np.testing.assert_array_equal(on_host(mine), on_host(theirs))


def same_moments(found: Block, exact: Any) -> None:
    """Means that cancel, and roundings of float32, leave 1e-4."""
    count, mean, covariance = exact
    mine = found.summary.moments
    assert mine.count == count, f"expected {count} valid pixels, found {mine.count}"
    np.testing.assert_allclose(mine.mean(), on_host(mean), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(mine.covariance(), on_host(covariance), rtol=1e-4, atol=1e-6)


def same_zones(found: LabelSums, exact: Any) -> None:
    stats = found.statistics()
    np.testing.assert_array_equal(stats[:, 0], on_host(exact[0]))
    np.testing.assert_allclose(stats[:, 1], on_host(exact[1]), rtol=1e-6)


def report(device: str, side: int, dates: int, repeats: int) -> dict[str, Any]:
    """Rates of every kernel and of its peer."""
    xp = home(device)
    copied = copy_rate(repeats, xp)
    found = []
    for name, size, kernel, peer, same in rows(xp, side, dates):
        same(kernel(), peer())
        mine, theirs = (timed(work, repeats, xp)[0] for work in (kernel, peer))
        rate = size / mine
        row = {"gb_per_s": rate / 1e9, "of_copy": rate / copied, "x_expressions": theirs / mine}
        found.append({"kernel": name, "bytes": size, "seconds": mine, **row})
        free_memory()
    cards = [gpu.__dict__ for gpu in gpus()] if device == "cuda" else []
    machine = {"processor": processor(), "gpus": cards, "versions": versions()}
    sizes = {"device": device, "pixels": side, "dates": dates}
    return {"machine": machine, **sizes, "copy_gb_per_s": copied / 1e9, "rows": found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda")
    parser.add_argument("--pixels", type=int, default=2400, help="side of the square tile")
    parser.add_argument("--dates", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    found = report(options.device, options.pixels, options.dates, options.repeats)
    print(f"copy {found['copy_gb_per_s']:.1f} GB/s")
    print(f"{'':26}{'ms':>9}{'GB/s':>9}{'of copy':>9}{'x':>7}")
    for row in found["rows"]:
        print(
            f"{row['kernel']:26}{row['seconds'] * 1e3:9.2f}{row['gb_per_s']:9.1f}"
            f"{row['of_copy']:9.3f}{row['x_expressions']:7.1f}"
        )
    keep(found, options.json)


if __name__ == "__main__":
    main()
