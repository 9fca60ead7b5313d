# SPDX-License-Identifier: Apache-2.0
"""Exact distances beside SciPy's, and ways round barriers beside scikit-fmm's, where installed.

Times are processor time of one process on one thread, the contestants taking turns, medians; each
answer is checked. The fractal coast blocks a quarter of the raster; clutter, which is no coast and
the worst that can be asked for, a tenth of it by single pixels, each with corners to bend at.

    python benchmarks/bench_distance.py [--pixels 2000] [--repeats 5] [--json FILE]
"""

import argparse
import importlib
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("RSEI_THREADS", "1")

import numpy as np
from measured import keep
from numpy.typing import NDArray
from scipy import ndimage

from rsei.engine.run.machine import processor
from rsei.engine.sources.simulated_stack import rough
from rsei.kernels.barriers import shortest_ways
from rsei.kernels.distance import nearest_source

Work = Callable[[], Any]
SOURCES = 60


def seconds(works: dict[str, Work], repeats: int) -> dict[str, float]:
    """Median processor time of each, s, taking turns after one turn that does not count."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(repeats + 1):
        for name, work in works.items():
            start = time.process_time()
            work()
            if turn:
                times[name].append(time.process_time() - start)
    return {name: statistics.median(found) for name, found in times.items()}


def scene(side: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Mines on land, and the sea."""
    rng = np.random.default_rng(5)
    blocked = rough(side, 3.2, rng) > 0.7
    land = np.argwhere(~blocked)
    sources = np.zeros_like(blocked)
    sources[tuple(land[rng.integers(0, len(land), SOURCES)].T)] = True
    return sources, blocked


def clutter(side: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Sources among barriers of single pixels."""
    rng = np.random.default_rng(6)
    blocked = rng.random((side, side)) < 0.1
    sources = np.zeros_like(blocked)
    free = np.argwhere(~blocked)
    sources[tuple(free[rng.integers(0, len(free), SOURCES)].T)] = True
    return sources, blocked


def wall_error(ways: Callable[..., Any]) -> dict[str, float]:
    """Largest relative errors of ``ways(sources, blocked)``, %, by the analytic way round a wall.

    The wall is 3 pixels thick; the first 10 pixels around the source do not count.
    """
    side, at, near, far = 1000, (400.5, 300.5), (700.0, 500.0), (700.0, 503.0)
    sources, blocked = np.zeros((side, side), bool), np.zeros((side, side), bool)
    sources[400, 300] = blocked[:700, 500:503] = True
    y, x = np.indices((side, side)) + 0.5
    direct = np.hypot(y - at[0], x - at[1])
    to_near = float(np.hypot(near[0] - at[0], near[1] - at[1]))
    under = to_near + np.hypot(y - near[0], x - near[1])
    behind = to_near + 3 + np.hypot(y - far[0], x - far[1])
    step = np.where(x == at[1], 1, x - at[1])
    meets = [at[0] + (y - at[0]) * (edge - at[1]) / step for edge in (500, 503)]
    hidden = (x > 500) & ((meets[0] < 700) | ((x > 503) & (meets[1] < 700)))
    exact = np.where(hidden, np.where(y > 700, under, behind), direct)
    free = ~blocked & (direct > 10)
    error = 100 * np.abs(ways(sources, blocked) - exact)[free] / exact[free]
    return {"free": float(error[~hidden[free]].max()), "bent": float(error[hidden[free]].max())}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pixels", type=int, default=2000)
    options.add_argument("--repeats", type=int, default=5)
    options.add_argument("--json", type=Path)
    asked = options.parse_args()
    sources, blocked = scene(asked.pixels)

    def ours() -> NDArray[np.float64]:
        return np.sqrt(nearest_source(sources)[1])

    def scipys() -> NDArray[np.float64]:
        return ndimage.distance_transform_edt(~sources)

    np.testing.assert_allclose(ours(), scipys(), rtol=1e-12)
    times = seconds({"rsei distance": ours, "scipy distance": scipys}, asked.repeats)
    cluttered = clutter(asked.pixels)
    works: dict[str, Work] = {"rsei barriers": lambda: shortest_ways(sources, blocked)}
    worst: dict[str, Work] = {"rsei clutter": lambda: shortest_ways(*cluttered)}
    errors = {"rsei barriers": wall_error(shortest_ways)}
    try:
        fmm = importlib.import_module("skfmm")
    except ImportError:
        print("scikit-fmm is not installed: pip install scikit-fmm")
    else:

        def marched(sources: NDArray[np.bool_], blocked: NDArray[np.bool_]) -> NDArray[np.float64]:
            front = np.ma.MaskedArray(np.where(sources, -0.5, 0.5), blocked)
            return np.asarray(fmm.distance(front, order=2)) + 0.5  # a source's front is its edge

        works["scikit-fmm, order 2"] = lambda: marched(sources, blocked)
        worst["scikit-fmm, clutter"] = lambda: marched(*cluttered)
        errors["scikit-fmm, order 2"] = wall_error(marched)
    for scenes in (works, worst):
        times |= seconds(scenes, min(asked.repeats, 3))
    found = {
        "machine": processor(),
        "pixels": asked.pixels,
        "seconds": times,
        "error_percent": errors,
    }
    for name, value in times.items():
        same = (one for one in ("distance", "clutter") if one in name)
        ours = f"rsei {next(same, 'barriers')}"
        print(f"{name:24} {1e3 * value:10.1f} ms {value / times[ours]:8.2f} x {ours}")
    print("largest error at a wall, %:", errors)
    keep(found, asked.json)


if __name__ == "__main__":
    main()
