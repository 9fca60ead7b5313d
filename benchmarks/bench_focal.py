# SPDX-License-Identifier: Apache-2.0
"""Mean of a 10 x 10 window with gaps, beside SciPy's two filters and xarray-spatial's.

Times are processor time of one process on one thread, the contestants taking turns, medians; the
answers are compared. SciPy's window has the same place; xarray-spatial's must be odd: 11 x 11.

    python benchmarks/bench_focal.py [--pixels 2000] [--repeats 5] [--json FILE]
"""

import argparse
import importlib
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("RSEI_THREADS", "1")

import numpy as np
import xarray as xr
from bench_distance import Work, seconds
from measured import keep
from numpy.typing import NDArray
from scipy import ndimage

from rsei.engine.run.machine import processor
from rsei.engine.sources.simulated_stack import rough
from rsei.kernels.focal import focal_mean


def scene(side: int) -> NDArray[np.float32]:
    """Shares of 0 to 1 with a tenth missing."""
    shares = rough(side, 2.5, np.random.default_rng(0))
    shares = (shares - shares.min()) / np.ptp(shares)
    gaps = rough(side, 2.5, np.random.default_rng(1))
    return np.where(gaps > np.quantile(gaps, 0.9), np.nan, shares).astype(np.float32)


def two_filters(shares: NDArray[np.float32]) -> NDArray[Any]:
    """The sum of the window over its count, both by SciPy's uniform filter."""
    valid = np.isfinite(shares)
    options: dict[str, Any] = {"size": 10, "mode": "constant", "origin": -1}
    sums = ndimage.uniform_filter(np.where(valid, shares, 0), **options)
    return sums / ndimage.uniform_filter(valid.astype(np.float32), **options)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pixels", type=int, default=2000)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    shares = scene(asked.pixels)
    works: dict[str, Work] = {
        "rsei": lambda: focal_mean(shares, 4, 5),
        "scipy, two filters": lambda: two_filters(shares),
    }
    with np.errstate(invalid="ignore", divide="ignore"):
        found, peer = focal_mean(shares, 4, 5), two_filters(shares)
        some = np.isfinite(found)
        assert np.abs(found - peer)[some].max() < 1e-4, "the two answers differ"
        try:
            focal = importlib.import_module("xrspatial.focal")
        except ImportError:
            print("xarray-spatial is not installed: pip install xarray-spatial")
        else:
            layer, window = xr.DataArray(shares, dims=("y", "x")), np.ones((11, 11), np.float32)
            works["xarray-spatial"] = lambda: focal.focal_stats(layer, window, ["mean"]).values
        times = seconds(works, asked.repeats)
    for name, value in times.items():
        print(f"{name:24} {1e3 * value:10.1f} ms {value / times['rsei']:8.2f} x rsei")
    machine = processor()
    found_here = {"machine": machine, "pixels": asked.pixels, "seconds": times}
    keep(found_here, asked.json)


if __name__ == "__main__":
    main()
