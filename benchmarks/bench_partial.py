# SPDX-License-Identifier: Apache-2.0
"""From HDF4 files to a committed partial: eight full granules against pyhdf and NumPy.

    python benchmarks/bench_partial.py [--dates 8] [--repeats 3] [--json FILE]

The partial is the product's own task: granules hashed, inflated, masked by the ``standard``
preset, added, written and committed. ``sums`` is its part without hashing and writing, which is
all that the peers do: pyhdf and a loop over dates; rasterio by windows of 512 and xarray with
Dask by such windows and by whole files, on GeoTIFFs made of the granules (deflate, predictor 2, in
tiles). Every answer is compared pixel by pixel. ``decode`` reads the same layers into the same room
and does nothing else: the floor. Wall time, as both cores are used; CPU seconds beside. Files lie
in the page cache.
"""

import argparse
import datetime as dt
import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dask
import numpy as np
import rasterio
import rioxarray
import xarray as xr
from measured import keep
from numpy.typing import NDArray
from pyhdf.SD import SD
from rasterio.windows import Window as Part

from rsei.engine.index.composite import ReflectanceSum
from rsei.engine.index.quality import Policy
from rsei.engine.index.season import Season
from rsei.engine.run.machine import processor
from rsei.engine.run.partialfiles import read_partial
from rsei.engine.run.partials import PartialTask
from rsei.engine.run.store import Store
from rsei.engine.run.survey import Shelf
from rsei.engine.run.tasks import carry_out
from rsei.engine.sources import simulated_stack as scenes
from rsei.engine.sources.granules import catalogue
from rsei.engine.sources.grids import SINUSOIDAL_500M, tile_window
from rsei.engine.sources.simulated_granules import Header, write_granule

TILE, YEAR, SIDE = "h27v05", 2019, 2400
NAMES = [f"sur_refl_b0{band}" for band in range(1, 8)]
QC, STATE = "sur_refl_qc_500m", "sur_refl_state_500m"
LAYERS = "bands", "state", "qc"
WINDOW = tile_window(TILE)


def write_all(folder: Path, dates: int) -> int:
    """Write ``dates`` full granules; the bytes they decode to."""
    stack = scenes.stack(SIDE, dates)
    for t in range(dates):
        day = dt.date(YEAR, 6, 2) + dt.timedelta(8 * t)
        layers = dict(zip(NAMES, stack.bands[t])) | {QC: stack.qc[t], STATE: stack.state[t]}
        write_granule(folder, Header("MOD09A1.061", day, tile_window(TILE)), layers)
    return stack.nbytes


def usable(bands: NDArray[Any], qc: NDArray[Any], state: NDArray[Any]) -> NDArray[np.bool_]:
    """The ``standard`` preset, as a user writes it in NumPy, (7, h, w)."""
    cloud = state & 3
    clear = ((cloud == 0) | (cloud == 3)) & (state & 0b1011010000000100 == 0)
    clear &= ((state >> 8) & 3) < 2
    clear &= (state != 65535) & (qc != 0xFFFFFFFF) & ((qc & 3) < 2)
    shifts = np.arange(2, 30, 4, dtype=np.uint32)[:, None, None]
    own = ((qc >> shifts) & 15) < 2
    return clear & own & (bands >= -100) & (bands <= 16000)


def pyhdf_and_numpy(folder: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Float sums and counts, (7, h, w), in a loop over dates."""
    sums = np.zeros((7, SIDE, SIDE), np.float32)
    counts = np.zeros((7, SIDE, SIDE), np.uint8)
    for path in sorted(folder.glob("*.hdf")):
        file = SD(str(path))
        bands = np.stack([file.select(name).get() for name in NAMES])
        valid = usable(bands, file.select(QC).get(), file.select(STATE).get())
        file.end()
        sums += np.where(valid, bands, 0)
        counts += valid
    return sums, counts


def as_geotiffs(folder: Path, target: Path) -> list[Path]:
    """The granules as GeoTIFFs, a folder a date with bands, state and qc."""
    made = []
    for path in sorted(folder.glob("*.hdf")):
        file, date = SD(str(path)), target / path.stem
        date.mkdir(parents=True)
        for name, layers in {"bands": NAMES, "state": [STATE], "qc": [QC]}.items():
            values = np.stack([file.select(layer).get() for layer in layers])
            form = {"driver": "GTiff", "count": len(values), "dtype": values.dtype.name}
            form |= {"height": SIDE, "width": SIDE, "compress": "deflate", "predictor": 2}
            grid = {"crs": SINUSOIDAL_500M.crs, "transform": SINUSOIDAL_500M.transform(WINDOW)}
            with rasterio.open(date / f"{name}.tif", "w", tiled=True, **form, **grid) as dataset:
                dataset.write(values)
        file.end()
        made.append(date)
    return made


def rasterio_windows(dates: list[Path]) -> NDArray[np.float32]:
    """Means, (7, h, w), by ``nanmean`` over the dates of a window, window by window."""
    found = np.empty((7, SIDE, SIDE), np.float32)
    with ExitStack() as stack, rasterio.Env(GDAL_NUM_THREADS="ALL_CPUS"):
        files = [
            [stack.enter_context(rasterio.open(date / f"{name}.tif")) for name in LAYERS]
            for date in dates
        ]
        for top in range(0, SIDE, 512):
            for left in range(0, SIDE, 512):
                part = Part(left, top, min(512, SIDE - left), min(512, SIDE - top))
                read = [[file.read(window=part) for file in one] for one in files]
                values = [
                    np.where(usable(bands, qc[0], state[0]), bands.astype(np.float32), np.nan)
                    for bands, state, qc in read
                ]
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", RuntimeWarning)  # nothing seen: nan
                    rows, columns = part.toslices()
                    found[:, rows, columns] = np.nanmean(values, axis=0)
    return found


def xarray_and_dask(dates: list[Path], side: int) -> NDArray[np.float32]:
    """Means, (7, h, w), as xarray gives them over a stack of files in chunks of ``side`` pixels."""
    chunks = {"band": -1, "x": side, "y": side}
    stacks = {
        name: xr.concat(
            [rioxarray.open_rasterio(date / f"{name}.tif", chunks=chunks) for date in dates], "time"
        )
        for name in LAYERS
    }
    bands, state, qc = stacks["bands"], stacks["state"][:, 0], stacks["qc"][:, 0]
    shifts = xr.DataArray(np.arange(2, 30, 4, dtype=np.uint32), dims="band")
    cloud = state & 3
    clear = ((cloud == 0) | (cloud == 3)) & (state & 0b1011010000000100 == 0)
    clear &= (((state >> 8) & 3) < 2) & (state != 65535) & (qc != 0xFFFFFFFF) & ((qc & 3) < 2)
    own = ((qc >> shifts.assign_coords(band=bands.band)) & 15) < 2
    good = clear & own & (bands >= -100) & (bands <= 16000)
    mean = bands.astype(np.float32).where(good).mean("time").transpose("band", "y", "x")
    with dask.config.set(scheduler="threads", num_workers=os.cpu_count()):
        return np.asarray(mean.values)


def task_of(folder: Path) -> PartialTask:
    """The product's task on the granules in ``folder``."""
    granules = catalogue(folder).granules
    shelf = Shelf(TILE, YEAR, tile_window(TILE), {"reflectance": granules})
    season = Season().model_dump(mode="json")
    return PartialTask(shelf, Policy(), season, SINUSOIDAL_500M, None, folder, False, 8 << 30)


def decode(task: PartialTask) -> None:
    """Read every layer of every date in batches, and do nothing with them."""
    for _ in task.batches("reflectance", task.shelf.window, [], "cpu"):
        pass


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def check(name: str, result: Any, store: Store) -> None:
    """Raise AssertionError where an answer is not that of the committed partial."""
    sums, counts = read_partial(store, TILE, YEAR, "reflectance", SINUSOIDAL_500M, WINDOW)
    if name == "rsei, sums":
        result = result.sums, result.counts
    if isinstance(result, tuple):
        assert np.array_equal(sums, result[0]) and np.array_equal(counts, result[1]), name
    elif isinstance(result, np.ndarray):
        with np.errstate(invalid="ignore"):
            np.testing.assert_allclose(result, sums / counts, rtol=1e-5, err_msg=name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dates", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "granules")
        folder.mkdir()
        size = write_all(folder, chosen.dates)
        packed = sum(path.stat().st_size for path in folder.iterdir())
        task = task_of(folder)

        def rsei() -> Path:
            shutil.rmtree(Path(name, "run"), ignore_errors=True)
            carry_out(task, Store(Path(name, "run")))
            return Path(name, "run")

        memory = np.empty(ReflectanceSum.room(WINDOW.shape), np.uint8)  # as a run keeps it
        dates = as_geotiffs(folder, Path(name, "geotiffs"))
        calls: dict[str, Callable[[], Any]] = {
            "rsei, committed": rsei,
            "rsei, sums": lambda: task.added("reflectance", memory)[0],
            "decode alone": lambda: decode(task),
            "pyhdf + NumPy loop": lambda: pyhdf_and_numpy(folder),
            "rasterio windows": lambda: rasterio_windows(dates),
            "xarray + dask": lambda: xarray_and_dask(dates, 512),
            "xarray + dask, a file a chunk": lambda: xarray_and_dask(dates, SIDE),
        }
        runs: dict[str, list[tuple[float, float]]] = {name_: [] for name_ in calls}
        for repeat in range(chosen.repeats + 1):
            for name_, call in calls.items():
                wall, cpu, result = timed(call)
                if repeat:  # the first warms the caches and compiles
                    runs[name_].append((wall, cpu))
                check(name_, result, Store(Path(name, "run")))
    medians = {n: [float(np.median(x)) for x in zip(*times)] for n, times in runs.items()}
    base = medians["rsei, sums"]
    report = {
        "machine": processor(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "dates": chosen.dates,
        "decoded_bytes": size,
        "file_bytes": packed,
        "batch": task.batch,
        "seconds": medians,
        "times_sums": {n: [w / base[0], c / base[1]] for n, (w, c) in medians.items()},
    }
    print(f"{chosen.dates} granules, {size / 1e6:.0f} MB decoded, {packed / 1e6:.0f} MB packed")
    for name_, (wall, cpu) in medians.items():
        ratios = f"{wall / base[0]:5.2f} x wall, {cpu / base[1]:5.2f} x CPU"
        print(f"{name_:<30} {wall:6.2f} s wall {cpu:6.2f} s CPU  {ratios}")
    keep(report, chosen.json)


if __name__ == "__main__":
    main()
