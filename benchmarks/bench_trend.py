# SPDX-License-Identifier: Apache-2.0
"""Theil-Sen slope and Mann-Kendall test of every pixel over 22 epochs, beside pixel by pixel peers.

Answers are checked against the peers on a sample. Times are processor time of one process on one
thread, medians; the peers run on a sample of the pixels and are scaled to all of them.

    python benchmarks/bench_trend.py [--pixels 500] [--epochs 22] [--sample 400] [--json FILE]
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("RSEI_THREADS", "1")

import numba
import numpy as np
import pymannkendall
import xarray as xr
from measured import keep
from numpy.typing import NDArray
from scipy import stats

from rsei.engine.run.machine import processor
from rsei.kernels.trend import SLOPE, P, trend

LEAST = 4
Floats = NDArray[np.float32]


def scene(pixels: int, epochs: int) -> tuple[Floats, Floats]:
    """Drifting series of RSEI, (T, N), and their years."""
    rng = np.random.default_rng(1)
    drift = rng.normal(0, 0.005, pixels) * np.arange(epochs)[:, None]
    values = np.clip(0.5 + drift + rng.normal(0, 0.05, (epochs, pixels)), 0, 1)
    return values.astype(np.float32), np.arange(2001, 2001 + epochs).astype(np.float32)


def own(values: Floats, years: Floats) -> Floats:
    """Slope, score and probability of every pixel."""
    out = np.empty((3, values.shape[1]), np.float32)
    trend(values, years, LEAST, out)
    return out


def by_pymannkendall(values: Floats, years: Floats) -> Floats:
    """A loop over the pixels; its slope counts by epoch, which is by year here."""
    found = [pymannkendall.original_test(series) for series in values.T]
    return np.array([[each.slope, each.p] for each in found], np.float32).T


def by_scipy(values: Floats, years: Floats) -> Floats:
    """scipy's slope alone, applied by xarray."""
    cube = xr.DataArray(values, dims=("time", "pixel"))
    slope = xr.apply_ufunc(
        lambda series: stats.theilslopes(series, years).slope,
        cube,
        input_core_dims=[["time"]],
        vectorize=True,
    )
    return np.asarray(slope, np.float32)


def seconds(work: Callable[[], Any], repeats: int) -> float:
    """Median processor time."""
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


def report(side: int, epochs: int, sample: int, repeats: int) -> dict[str, Any]:
    """Time a pixel of each, and how many times ours it takes."""
    values, years = scene(side * side, epochs)
    few = np.ascontiguousarray(values[:, :sample])
    found, theirs, slopes = own(few, years), by_pymannkendall(few, years), by_scipy(few, years)
    np.testing.assert_allclose(found[SLOPE], slopes, rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found[SLOPE], theirs[0], rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(found[P], theirs[1], rtol=1e-4, atol=1e-7)
    works: dict[str, tuple[Callable[[], Any], int]] = {
        "rsei, slope and test": (lambda: own(values, years), side * side),
        "pymannkendall, pixel by pixel": (lambda: by_pymannkendall(few, years), sample),
        "scipy theilslopes by xarray": (lambda: by_scipy(few, years), sample),
    }
    each = {name: seconds(work, repeats) / pixels for name, (work, pixels) in works.items()}
    least = each["rsei, slope and test"]
    rows = {name: {"us_per_pixel": s * 1e6, "x_rsei": s / least} for name, s in each.items()}
    machine = f"{processor()}, 1 thread, numba {numba.__version__}"
    return {"machine": machine, "pixels": side, "epochs": epochs, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=500, help="side of the square raster")
    parser.add_argument("--epochs", type=int, default=22)
    parser.add_argument("--sample", type=int, default=400, help="pixels for the peers")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    found = report(options.pixels, options.epochs, options.sample, options.repeats)
    print(f"{found['machine']}; {found['pixels']}^2 x {found['epochs']} epochs")
    print(f"{'':32}{'us/pixel':>10}{'x':>8}")
    for name, row in found["rows"].items():
        print(f"{name:32}{row['us_per_pixel']:10.2f}{row['x_rsei']:8.1f}")
    keep(found, options.json)


if __name__ == "__main__":
    main()
