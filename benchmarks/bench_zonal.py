# SPDX-License-Identifier: Apache-2.0
"""Zonal mean, std and count of 31 zones, the zones made once and used again, beside peers.

Every answer is checked against a loop over the zones. Times are processor time of one process on
one thread, the contestants taking turns, medians. A study has 22 epochs of 4 layers: what is made
once is also given as its share of that many passes.

    python benchmarks/bench_zonal.py [--pixels 2000] [--repeats 5] [--no-peers] [--json FILE]
"""

import argparse
import gc
import os
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("RSEI_THREADS", "1")
warnings.filterwarnings("ignore", category=DeprecationWarning)

import numba  # noqa: E402
import numpy as np  # noqa: E402
import xarray as xr  # noqa: E402
from exactextract import exact_extract  # noqa: E402
from exactextract.raster import NumPyRasterSource  # noqa: E402
from flox import groupby_reduce  # noqa: E402
from measured import keep  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from scipy import ndimage  # noqa: E402
from shapely.geometry import mapping  # noqa: E402

from rsei.engine.analysis.zones import Coverage  # noqa: E402
from rsei.engine.run.machine import processor  # noqa: E402
from rsei.engine.sources.grids import Lattice, Window  # noqa: E402
from rsei.kernels.zonal import LabelSums, Runs  # noqa: E402

ZONES = 31
PASSES = 22 * 4
"""Passes over the same zones: epochs and layers of a study."""

LATTICE = Lattice("EPSG:32650", 0.0, 1e6, 500.0, 500.0)
Work = Callable[[], Any]


@dataclass(frozen=True)
class Scene:
    """A layer with gaps, and labels 1 to 31 around mines or over everything."""

    layer: NDArray[np.float32]
    labels: NDArray[np.int32]

    @classmethod
    def of(cls, side: int, dense: bool) -> "Scene":
        """Rings 1 km wide around 40 mines, or the same rings out to every pixel."""
        rng = np.random.default_rng(1)
        noise = ndimage.gaussian_filter(rng.normal(size=(side, side)), 8)
        layer = np.clip(0.5 + 0.15 * noise / noise.std(), 0, 1).astype(np.float32)
        gaps = ndimage.gaussian_filter(rng.normal(size=(side, side)), 20)
        layer[gaps > np.quantile(gaps, 0.9)] = np.nan
        free = np.ones((side, side), bool)
        for y, x in rng.integers(0, side, (40, 2)):
            free[max(0, y - 3) : y + 4, max(0, x - 3) : x + 4] = False
        km = ndimage.distance_transform_edt(free) / 2
        width = km.max() / (ZONES - 1) if dense else 1.0
        labels = np.ceil(km / width).astype(np.int32) + 1
        labels[labels > ZONES] = 0
        return cls(layer, labels)


def by_loop(scene: Scene) -> NDArray[np.float64]:
    """Count, mean and std, (31, 3), zone by zone: the oracle."""
    rows = []
    for zone in range(1, ZONES + 1):
        held = scene.layer[scene.labels == zone].astype(np.float64)
        held = held[~np.isnan(held)]
        rows.append([held.size, held.mean(), held.std()])
    return np.array(rows)


def by_bincount(scene: Scene) -> NDArray[np.float64]:
    """Three bincounts of the labelled, valid pixels."""
    held = (scene.labels > 0) & ~np.isnan(scene.layer)
    labels, values = scene.labels[held], scene.layer[held].astype(np.float64)
    count = np.bincount(labels, minlength=ZONES + 1)[1:]
    mean = np.bincount(labels, values, ZONES + 1)[1:] / count
    square = np.bincount(labels, values * values, ZONES + 1)[1:] / count
    return np.stack([count, mean, np.sqrt(square - mean * mean)], axis=1)


def by_flox(scene: Scene) -> NDArray[np.float64]:
    """flox with its NumPy engine, a pass for each statistic."""
    expected = np.arange(1, ZONES + 1)
    found = [
        groupby_reduce(
            scene.layer, scene.labels, func=name, expected_groups=expected, engine="numpy"
        )[0]
        for name in ("count", "nanmean", "nanstd")
    ]
    return np.stack(found, axis=1).astype(np.float64)


def by_xarray_spatial(scene: Scene) -> NDArray[np.float64]:
    """xarray-spatial's zonal statistics."""
    from xrspatial import zonal

    zones, layer = (xr.DataArray(each, dims=("y", "x")) for each in (scene.labels, scene.layer))
    names = ["count", "mean", "std"]
    table = zonal.stats(zones, layer, zone_ids=list(range(1, ZONES + 1)), stats_funcs=names)
    return np.asarray(table[names].to_numpy(), np.float64)


def outlines(scene: Scene) -> list[Any]:
    """The zones as polygons along the pixel edges, in zone order."""
    import shapely
    from rasterio.features import shapes

    window = Window(0, 0, *scene.labels.shape)
    found: dict[int, list[Any]] = {}
    for outline, zone in shapes(
        scene.labels, scene.labels > 0, transform=LATTICE.transform(window)
    ):
        found.setdefault(int(zone), []).append(shapely.geometry.shape(outline))
    return [shapely.MultiPolygon(found[zone]) for zone in range(1, ZONES + 1)]


def by_exactextract(scene: Scene, features: list[Any]) -> NDArray[np.float64]:
    """exactextract, which finds the coverage anew at every call."""
    left, bottom, right, top = LATTICE.bounds(Window(0, 0, *scene.labels.shape))
    source = NumPyRasterSource(
        scene.layer, xmin=left, ymin=bottom, xmax=right, ymax=top, nodata=np.nan
    )
    names = ["count", "mean", "stdev"]
    rows = exact_extract(source, features, names)
    return np.array([[row["properties"][name] for name in names] for row in rows], np.float64)


@numba.njit
def read(words: Any) -> int:
    """Sum of the layer's bytes, eight at a time."""
    total = 0
    for word in words:
        total += word
    return total


def contestants(scene: Scene, peers: bool) -> dict[str, Work]:
    """Everything that is timed, by name; those of rsei give count, mean and std."""
    flat, words = scene.layer.reshape(-1), scene.layer.reshape(-1).view(np.int64)
    runs = Runs.of(scene.labels.reshape(-1), ZONES)
    works: dict[str, Work] = {
        "read of the layer": lambda: read(words),
        "rsei, labels": lambda: LabelSums.of(flat, runs).statistics()[:, :3],
        "numpy bincount": lambda: by_bincount(scene),
        "runs, once": lambda: Runs.of(scene.labels.reshape(-1), ZONES),
    }
    if peers:
        polygons = outlines(scene)
        window = Window(0, 0, *scene.labels.shape)
        features = [
            {"type": "Feature", "id": k, "properties": {}, "geometry": mapping(each)}
            for k, each in enumerate(polygons)
        ]
        coverage = Coverage.of(polygons, LATTICE.crs, LATTICE, window)
        works["rsei, coverage"] = lambda: coverage.shares.statistics(flat)[:, :3]
        works["coverage, once"] = lambda: Coverage.of(polygons, LATTICE.crs, LATTICE, window)
        works["numpy, loop over zones"] = lambda: by_loop(scene)
        works["flox"] = lambda: by_flox(scene)
        works["xarray-spatial"] = lambda: by_xarray_spatial(scene)
        works["exactextract"] = lambda: by_exactextract(scene, features)
    return works


def check(scene: Scene, works: dict[str, Work]) -> None:
    """Raise AssertionError unless every answer is that of the loop."""
    expected = by_loop(scene)
    for name, work in works.items():
        if "once" not in name and "read" not in name:
            # These two sum float32 in float32.
            tolerance = 1e-4 if name in ("flox", "xarray-spatial") else 1e-6
            np.testing.assert_allclose(work(), expected, rtol=tolerance, err_msg=name)


def seconds(works: dict[str, Work], repeats: int) -> dict[str, float]:
    """Median processor time of each, taking turns; the slow ones run once."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            if taken[name] and taken[name][0] > 5:
                continue
            gc.collect()
            start = time.process_time()
            work()
            taken[name].append(time.process_time() - start)
    return {name: statistics.median(runs) for name, runs in taken.items()}


def report(side: int, repeats: int, peers: bool) -> dict[str, Any]:
    """Times and ratios of every contestant on both scenes."""
    scenes = {}
    for name, dense in (("rings", False), ("everywhere", True)):
        scene = Scene.of(side, dense)
        works = contestants(scene, peers)
        check(scene, works)
        times = seconds(works, repeats)
        own = times["rsei, labels"]
        scenes[name] = {
            "labelled": float((scene.labels > 0).mean()),
            "rows": {
                each: {
                    "cpu_s": taken,
                    "x_rsei": taken / own,
                    "pixels_per_s": side * side / taken,
                    "of_a_study": taken / (PASSES * own) if "once" in each else None,
                }
                for each, taken in times.items()
            },
        }
    machine = f"{processor()}, 1 thread, numba {numba.__version__}, numpy {np.__version__}"
    return {"machine": machine, "pixels": side, "zones": ZONES, "scenes": scenes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=2000, help="side of the square raster")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="time bincount alone beside")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    found = report(options.pixels, options.repeats, not options.no_peers)
    print(f"{found['machine']}; {found['pixels']}^2, {found['zones']} zones")
    for name, scene in found["scenes"].items():
        title = f"{name}: {scene['labelled']:.0%} labelled"
        print(f"\n{title:32}{'cpu ms':>10}{'x':>9}{'Mpx/s':>9}{'of study':>10}")
        for each, row in scene["rows"].items():
            share = f"{row['of_a_study']:10.2%}" if row["of_a_study"] else ""
            speed = row["pixels_per_s"] / 1e6
            print(f"{each:32}{row['cpu_s'] * 1e3:10.1f}{row['x_rsei']:9.1f}{speed:9.0f}{share}")
    keep(found, options.json)


if __name__ == "__main__":
    main()
