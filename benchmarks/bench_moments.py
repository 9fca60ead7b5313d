# SPDX-License-Identifier: Apache-2.0
"""Moments and normalised PCA of four indicators, beside scikit-learn and NumPy.

LST is in kelvin. Loadings are compared with a reference in long double on the raw float32 values.
Times are processor time of one process, the contestants taking turns, medians.

    python benchmarks/bench_moments.py [--pixels 10000000] [--repeats 5] [--json FILE]
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba
import numpy as np
import sklearn
from measured import keep, medians, peak_bytes
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from rsei.engine.index.indicators import RANGES
from rsei.engine.index.pca import Components, Limits, canonical, components
from rsei.engine.run.machine import processor
from rsei.kernels import launch
from rsei.kernels.moments import Moments

SPANS = tuple(RANGES.values())
SIZES = (5, 50, 1_000, 100_000)
"""Regions whose loadings are checked besides the large one."""

PIECE = 1 << 16
"""Pixels whose least and greatest values are taken at a time, from a core's own cache. (The engine
has them from the pass that makes the moments.)"""

PART = 1_000_000
"""Pixels of which the reference is in long double at a time."""

Work = Callable[[], NDArray[np.float64]]


def scene(pixels: int, seed: int = 0) -> NDArray[np.float32]:
    """NDVI, wetness, NDBSI and LST, (4, N), correlated as they are."""
    rng = np.random.default_rng(seed)
    values = np.empty((4, pixels), np.float32)
    green = rng.standard_normal(pixels, np.float32)
    sizes = ((0.55, 0.2, 0.1), (0.02, 0.05, 0.03), (-0.1, -0.12, 0.06), (302, -3, 2.5))
    for row, (middle, slope, noise) in zip(values, sizes, strict=True):
        row[:] = middle + slope * green + noise * rng.standard_normal(pixels, np.float32)
    values[[0, 2]] = np.clip(values[[0, 2]], -1, 1)
    return values


def ours(values: NDArray[np.float32]) -> Components:
    """Exact moments of the raw values, and normalisation by algebra."""
    pieces = [values[:, k : k + PIECE] for k in range(0, values.shape[1], PIECE)]
    low = np.min([piece.min(axis=1) for piece in pieces], axis=0)
    high = np.max([piece.max(axis=1) for piece in pieces], axis=0)
    scales = 1 / Limits(tuple(low.tolist()), tuple(high.tolist())).widths
    return components(Moments.of(values, SPANS).covariance() * np.outer(scales, scales))


def normalised(values: NDArray[np.float32], dtype: Any) -> NDArray[Any]:
    """Indicators from 0 to 1, (N, 4)."""
    wide = values.astype(dtype)
    low, high = wide.min(axis=1, keepdims=True), wide.max(axis=1, keepdims=True)
    return np.ascontiguousarray(((wide - low) / (high - low)).T)


def by_numpy(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Loadings by numpy.cov and eigh, in double precision."""
    return np.asarray(
        np.linalg.eigh(np.cov(normalised(values, np.float64), rowvar=False))[1][:, -1]
    )


def reference(values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Loadings of PC1 with means and covariance in long double, two passes, in parts."""
    parts = [values[:, k : k + PART] for k in range(0, values.shape[1], PART)]
    low, high = (np.array(f(values, axis=1), np.longdouble) for f in (np.min, np.max))
    mean = sum(part.astype(np.longdouble).sum(axis=1) for part in parts) / values.shape[1]
    total = np.zeros((4, 4), np.longdouble)
    for part in parts:
        centred = (part.astype(np.longdouble) - mean[:, None]) / (high - low)[:, None]
        total += centred @ centred.T
    covariance = (total / values.shape[1]).astype(np.float64)
    return canonical(np.linalg.eigh(covariance)[1][:, -1])


def contestants(values: NDArray[np.float32]) -> dict[str, Work]:
    """Everything that is timed, by name; each gives the loadings of PC1."""
    ready = normalised(values, np.float64)
    return {
        "moments and PCA": lambda: ours(values).first,
        "scikit-learn, float64": lambda: PCA().fit(normalised(values, np.float64)).components_[0],
        "scikit-learn, its fit alone": lambda: PCA().fit(ready).components_[0],
        "scikit-learn, float32": lambda: PCA().fit(normalised(values, np.float32)).components_[0],
        "numpy cov and eigh, float64": lambda: by_numpy(values),
    }


def same_bits(values: NDArray[np.float32]) -> bool:
    """Whether order, parts and chunks leave the sums as they are."""
    whole = Moments.of(values, SPANS)
    half = values.shape[1] // 3
    parts = [np.ascontiguousarray(part) for part in (values[:, half:], values[:, :half])]
    added = Moments.of(parts[0], SPANS) + Moments.of(parts[1], SPANS)
    backwards = Moments.of(np.ascontiguousarray(values[:, ::-1]), SPANS)
    return whole == added == backwards


def report(pixels: int, repeats: int) -> dict[str, Any]:
    """Times, ratios, errors and memory of every contestant."""
    errors = {
        size: float(np.abs(ours(scene(size, size)).first - reference(scene(size, size))).max())
        for size in SIZES
    }
    values = scene(pixels)
    assert same_bits(values[:, : 10**6].copy())
    expected = reference(values)
    works = contestants(values)
    times = medians(works, repeats)
    own = times["moments and PCA"][0]
    rows = {
        name: {
            "cpu_s": cpu,
            "wall_s": wall,
            "ns_per_pixel": cpu / pixels * 1e9,
            "x_ours": cpu / own,
            "loadings_error": float(np.abs(canonical(works[name]()) - expected).max()),
            "extra_memory": peak_bytes(works[name]) / values.nbytes,
        }
        for name, (cpu, wall) in times.items()
    }
    versions = f"numba {numba.__version__}, scikit-learn {sklearn.__version__}"
    return {
        "machine": f"{processor()}, {launch.cores()} threads, {versions}",
        "pixels": pixels,
        "errors_of_small_regions": errors,
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    found = report(options.pixels, options.repeats)
    print(f"{found['machine']}; {found['pixels']:,} pixels")
    print(f"{'':30}{'cpu ms':>9}{'wall ms':>9}{'ns/px':>8}{'x':>7}{'error':>10}{'memory':>8}")
    for name, row in found["rows"].items():
        print(
            f"{name:30}{row['cpu_s'] * 1e3:9.1f}{row['wall_s'] * 1e3:9.1f}"
            f"{row['ns_per_pixel']:8.1f}{row['x_ours']:7.1f}{row['loadings_error']:10.1e}"
            f"{row['extra_memory']:8.3f}"
        )
    for size, error in found["errors_of_small_regions"].items():
        print(f"loadings of {size:,} pixels: off by {error:.1e}")
    keep(found, options.json)


if __name__ == "__main__":
    main()
