# SPDX-License-Identifier: Apache-2.0
"""HDF4 decode: our reader against pyhdf and against the inflate rate in memory.

    python benchmarks/bench_decode.py [--repeats 5] [--json FILE]

Simulated full granules of MOD09A1, 2400 x 2400, seven bands with the noise of a real surface, qc
and state: once as one deflate stream a layer, once in chunks of 32 rows as NASA's own. Every
reader's arrays are asserted equal, byte for byte. CPU seconds, so that a busy machine counts
little; the two-thread figures are wall time, and say nothing on one. Files lie in the page cache.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pyhdf.SD import SD

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from chunked_files import rechunk
from granule_files import write_hdf4
from measured import keep

from rsei.engine.run.machine import processor
from rsei.engine.sources.grids import Window
from rsei.engine.sources.hdf4 import HDF4File, Request, read_layers
from rsei.engine.sources.sds import Chunks, Stored

SIDE = 2400
WHOLE = Window(0, 0, SIDE, SIDE)
NAMES = [f"sur_refl_b0{band}" for band in range(1, 8)] + ["sur_refl_qc_500m", "sur_refl_state_500m"]
Arrays = dict[str, NDArray[Any]]


def scene(seed: int = 1) -> Arrays:
    """Bands that compress as real ones do (ratio 1.3), and quality words in patches of cloud."""
    rng = np.random.default_rng(seed)
    wave = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None])
    wave[0, 0] = 1
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) * wave**-1.6
    field = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    field = (field - field.mean()) / field.std()
    arrays: Arrays = {}
    for k, name in enumerate(NAMES[:7]):
        noise = 40 * rng.standard_normal((SIDE, SIDE))
        arrays[name] = np.clip(2000 + 300 * k + 600 * field + noise, -100, 16000).astype("int16")
    arrays[NAMES[7]] = np.where(field < -1, 0xC0000031, 0x40000000).astype("uint32")
    aerosol = rng.integers(0, 4, (SIDE, SIDE)) << 6
    arrays[NAMES[8]] = ((field < -0.5) * 1 | aerosol | 8).astype("uint16")
    return arrays


def with_pyhdf(path: Path) -> Arrays:
    file = SD(str(path))
    arrays = {name: file.select(name).get() for name in NAMES}
    file.end()
    return arrays


def ours(path: Path, outs: Arrays, threads: int) -> Arrays:
    with HDF4File(path) as file:
        read_layers(file, [Request(name, WHOLE, outs[name]) for name in NAMES], threads)
    return outs


Held = list[tuple[bytes, NDArray[np.uint8]]]


def streams(path: Path) -> Held:
    """Every deflate stream of the layers, in memory, and room for what it holds."""
    found = []
    with HDF4File(path) as file:
        for name in NAMES:
            dataset = file.dataset(name)
            pieces = [dataset.layout]
            if isinstance(dataset.layout, Chunks):
                found_chunks = file._chunks(dataset, dataset.layout, WHOLE) or []
                pieces = [stored for _, stored in found_chunks]
            for piece in pieces:
                assert isinstance(piece, Stored) and piece.deflated
                found.append((file.element(*piece.element), np.zeros(piece.size, np.uint8)))
    return found


def inflate(held: Held) -> None:
    for data, room in held:
        imagecodecs.deflate_decode(data, out=room)


def in_threads(held: Held, pool: ThreadPoolExecutor) -> None:
    list(pool.map(lambda part: inflate([part]), sorted(held, key=lambda part: -len(part[0]))))


def interleaved(cases: dict[str, Callable[[], Any]], repeats: int) -> dict[str, dict[str, float]]:
    """Least wall and CPU seconds of each case; one of each in turn, after a warm-up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in cases}
    for turn in range(repeats + 1):
        for name, case in cases.items():
            wall, cpu = time.perf_counter(), time.process_time()
            case()
            if turn:
                times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: {"wall": min(wall for wall, _ in runs), "cpu": min(cpu for _, cpu in runs)}
        for name, runs in times.items()
    }


def measure(path: Path, right: Arrays, repeats: int) -> dict[str, Any]:
    outs = {
        name: np.empty(array.shape, array.dtype.newbyteorder(">")) for name, array in right.items()
    }
    for arrays in (with_pyhdf(path), ours(path, outs, 1), ours(path, outs, 2)):
        for name in NAMES:
            assert np.array_equal(arrays[name], right[name]), name
    held = streams(path)
    size = sum(array.nbytes for array in right.values())
    assert sum(len(room) for _, room in held) == size
    with ThreadPoolExecutor(2) as pool:
        times = interleaved(
            {
                "pyhdf": lambda: with_pyhdf(path),
                "ours, 1 thread": lambda: ours(path, outs, 1),
                "ours, 2 threads": lambda: ours(path, outs, 2),
                "inflate in memory, 1 thread": lambda: inflate(held),
                "inflate in memory, 2 threads": lambda: in_threads(held, pool),
            },
            repeats,
        )
    window = Window(1200, 0, 240, SIDE)
    part = {name: np.empty(window.shape, outs[name].dtype) for name in NAMES}

    def tenth() -> None:
        with HDF4File(path) as file:
            read_layers(file, [Request(name, window, part[name]) for name in NAMES], 1)

    times |= interleaved({"ours, a tenth of the rows": tenth}, repeats)
    cpu, wall = ({name: t[key] for name, t in times.items()} for key in ("cpu", "wall"))
    return {
        "bytes": size,
        "file": path.stat().st_size,
        "seconds": times,
        "ratios": {
            "1 thread, times pyhdf (CPU)": cpu["pyhdf"] / cpu["ours, 1 thread"],
            "2 threads, times pyhdf (wall)": wall["pyhdf"] / wall["ours, 2 threads"],
            "share of the inflate rate, 1 thread (CPU)": cpu["inflate in memory, 1 thread"]
            / cpu["ours, 1 thread"],
            "share of the inflate rate, 2 threads (wall)": wall["inflate in memory, 2 threads"]
            / wall["ours, 2 threads"],
        },
    }


GOALS = {
    "1 thread, times pyhdf (CPU)": 2.2,
    "2 threads, times pyhdf (wall)": 4.0,
    "share of the inflate rate, 1 thread (CPU)": 0.90,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    arrays = scene()
    results: dict[str, Any] = {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
        "versions": {name: version(name) for name in ("imagecodecs", "pyhdf", "numpy")},
    }
    with tempfile.TemporaryDirectory() as folder:
        path = write_hdf4(Path(folder) / "tile.hdf", arrays, {})
        results["one stream a layer"] = measure(path, arrays, options.repeats)
        rechunk(path, (32, SIDE))
        results["chunks of 32 rows"] = measure(path, arrays, options.repeats)
    print(f"{results['machine']}, load {results['load']:.1f}")
    for form in ("one stream a layer", "chunks of 32 rows"):
        found = results[form]
        print(f"{form}: {found['bytes'] / 1e6:.1f} MB from {found['file'] / 1e6:.1f} MB")
        for name, taken in found["seconds"].items():
            rate = found["bytes"] / taken["wall"] / 1e6
            print(
                f"  {name:32s} {taken['wall']:.3f} s wall {taken['cpu']:.3f} s CPU {rate:5.0f} MB/s"
            )
        for name, ratio in found["ratios"].items():
            goal = f"(goal {GOALS[name]})" if name in GOALS else ""
            print(f"  {name:46s} {ratio:5.2f} {goal}")
    keep(results, options.json)


if __name__ == "__main__":
    main()
