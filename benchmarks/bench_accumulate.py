# SPDX-License-Identifier: Apache-2.0
"""Quality masking and accumulation of seven bands in memory, beside what users write themselves.

Every answer is checked against the loop over dates. Times are processor time of one process, the
contestants taking turns, medians (of two for peers, which take half a minute); the linear read sums
the same bytes in the same run. A whole tile of 2400 x 2400 pixels takes 12 GB with its peers.

    python benchmarks/bench_accumulate.py [--pixels 2400] [--dates 16] [--repeats 5] [--json FILE]
"""

import argparse
import os
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import dask
import numba
import numpy as np
import xarray as xr
from measured import keep, medians, peak_bytes
from numpy.typing import NDArray

from rsei.engine.index.composite import Partial, ReflectanceSum
from rsei.engine.index.quality import Policy
from rsei.engine.run.machine import processor
from rsei.engine.sources import simulated_stack as scenes
from rsei.engine.sources.products import BANDS
from rsei.kernels import quality

ODD = {
    "state": {"land_water": [1, 2, 3, 5], "aerosol": [0, 2, 3], "cirrus": [0, 3], "fire": [0]},
    "qc": {"all_bands": [0, 1, 7, 12, 13], "adjacency": [0], "b2": [0, 13], "b5": [0, 7]},
}
POLICIES = {
    "standard": Policy(),
    "strict": Policy(preset="strict"),
    "lenient": Policy(preset="lenient"),
    "odd table": Policy.model_validate({"fields": ODD}),
}
NIBBLES = np.arange(2, 30, 4, dtype=np.uint32)[:, None, None]
SCALE = np.float32(1e-4)
PEERS = ("numpy, loop over dates", "xarray + dask", "xarray, default mean")
PEER_TURNS = 2
Work = Callable[[], Any]


def usable(bands: Any, state: Any, qc: Any, nibbles: Any = NIBBLES) -> Any:
    """Where ``standard`` accepts each band: what a user writes with NumPy or xarray."""
    cloud, ends = state & 3, qc & 3
    pixel = (state != 65535) & (qc != 0xFFFFFFFF) & ((cloud == 0) | (cloud == 3)) & (ends < 2)
    pixel &= (state & 0b1011_0100_0000_0100 == 0) & ((state >> 8) & 3 < 2)
    own = (qc >> nibbles) & 15 < 2
    return pixel & own & (bands >= -100) & (bands <= 16000)


def numpy_loop(scene: scenes.Stack) -> NDArray[np.float32]:
    """A loop over dates that keeps a sum and a count."""
    sums = np.zeros(scene.bands.shape[1:], np.float32)
    counts = np.zeros(scene.bands.shape[1:], np.uint16)
    for t in range(len(scene.bands)):
        good = usable(scene.bands[t], scene.state[t], scene.qc[t])
        sums += np.where(good, scene.bands[t] * SCALE, np.float32(0))
        counts += good
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / counts, np.float32)


def with_xarray(scene: scenes.Stack, chunks: Mapping[str, int] | None = None) -> Any:
    """xarray's mean over the dates, with its default choices, in memory or by Dask."""
    pixels = ("time", "y", "x")
    layers = {
        "bands": (("time", "band", "y", "x"), scene.bands),
        "state": (pixels, scene.state),
        "qc": (pixels, scene.qc),
    }
    data = xr.Dataset(layers)
    data = data.chunk(chunks) if chunks else data
    nibbles = xr.DataArray(NIBBLES.ravel(), dims="band")
    good = usable(data.bands, data.state, data.qc, nibbles)
    mean = (data.bands * SCALE).where(good).mean("time").transpose("band", "y", "x")
    with dask.config.set(scheduler="threads", num_workers=1):
        return mean.values


def year(scene: scenes.Stack, policy: Policy) -> Partial:
    """What the engine does with a year, in memory of its own."""
    total = ReflectanceSum(scene.bands.shape[2:], policy)
    total.add(*scene.layers)
    return total.partial()


def means(scene: scenes.Stack, policy: Policy) -> NDArray[np.float32]:
    """The kernel and then the means: what the peers give."""
    sums, counts = (
        x.reshape(scene.bands.shape[1:]) for x in accumulate(scene, policy, place=room)[:2]
    )
    found: NDArray[np.float32] = Partial(BANDS, sums, counts, len(scene.bands), {}).mean(1e-4)
    return found


def room(size: int) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """New memory for sums and counts, (7, ``size``)."""
    return np.empty((7, size), np.int32), np.empty((7, size), np.uint8)


held = cache(room)
"""Memory that is kept from call to call, as a run keeps it from year to year."""


def accumulate(
    scene: scenes.Stack, policy: Policy, together: int = 255, place: Callable[[Any], Any] = held
) -> Any:
    """The fused kernel alone: sums, counts and losses by reason."""
    size = scene.bands.shape[2] * scene.bands.shape[3]
    sums, counts = place(size)
    other = not scene.bands.dtype.isnative
    bands, state, qc = (
        layer.view(layer.dtype.newbyteorder("=")).reshape(*layer.shape[:-2], size)
        for layer in scene.layers
    )
    tables = policy.bands().tables
    lost = np.zeros(tables.reasons, np.int64)
    for t in range(0, len(bands), together):
        here = slice(t, t + together)
        lost += quality.accumulate(
            (bands[here], state[here], qc[here]),
            *(tables, sums, counts),
            other_order=other,
            fresh=t == 0,
        )
    return sums, counts, lost


@numba.njit
def linear_read(bands: Any, state: Any, qc: Any) -> int:
    """The sum of all bytes, eight at a time, in four streams: one stream reads at half the rate."""
    total = 0
    for layer in (bands, state, qc):
        size = layer.size // 4
        for n in range(size):
            total += layer[n] + layer[size + n] + layer[2 * size + n] + layer[3 * size + n]
    return total


def contestants(scene: scenes.Stack, peers: bool) -> dict[str, Work]:
    """Everything that is timed, by name."""
    big_endian = scene.swapped()
    words = tuple(layer.reshape(-1).view(np.int64) for layer in scene.layers)
    standard, side = POLICIES["standard"], scene.bands.shape[-1]
    works: dict[str, Work] = {"linear read": lambda: linear_read(*words)}
    for name, policy in POLICIES.items():
        works[f"kernel, {name}"] = lambda policy=policy: accumulate(scene, policy)
    works["kernel, big-endian"] = lambda: accumulate(big_endian, standard)
    works["kernel, 4 dates a call"] = lambda: accumulate(scene, standard, 4)
    works["kernel, 1 date a call"] = lambda: accumulate(scene, standard, 1)
    works["a year's partial"] = lambda: year(scene, standard)
    works["kernel and means"] = lambda: means(scene, standard)
    if peers:
        quarter = {"time": -1, "band": -1, "y": side // 4, "x": side // 4}
        theirs = (numpy_loop, partial(with_xarray, chunks=quarter), with_xarray)
        works |= {name: partial(work, scene) for name, work in zip(PEERS, theirs)}
    return works


def check(scene: scenes.Stack, works: dict[str, Work]) -> None:
    """Raise AssertionError unless every mean is the same and every kernel gives the same bits."""
    expected, found = numpy_loop(scene), means(scene, POLICIES["standard"])
    np.testing.assert_allclose(found, expected, rtol=2e-6)
    for name in PEERS[1:]:
        if name in works:
            np.testing.assert_allclose(works[name](), expected, rtol=2e-6)
    exact = accumulate(scene, POLICIES["standard"], place=room)
    for name in ("kernel, big-endian", "kernel, 4 dates a call", "kernel, 1 date a call"):
        assert all(map(np.array_equal, works[name](), exact)), name


def extra_bytes(work: Work) -> int:
    """Memory that a contestant takes beside the stack, what is kept for it included."""
    held.cache_clear()
    return peak_bytes(work)


def report(side: int, dates: int, repeats: int, peers: bool) -> dict[str, Any]:
    """Times, ratios and memory of every contestant."""
    os.environ["RSEI_THREADS"] = "1"
    scene = scenes.stack(side, dates, seed=3)
    works = contestants(scene, peers)
    for name, work in works.items():
        if name.startswith(("linear", "kernel", "a year")):
            work()  # compiled
    check(scene, works)
    times = medians(works, repeats, dict.fromkeys(PEERS, PEER_TURNS))
    read, own = times["linear read"][0], times["kernel and means"][0]
    pixel_dates = dates * side * side
    rows = {
        name: {
            "cpu_s": cpu,
            "wall_s": wall,
            "gb_per_s": scene.nbytes / cpu / 1e9,
            "pixel_dates_per_s": pixel_dates / cpu,
            "of_linear_read": read / cpu,
            "x_kernel_and_means": cpu / own,
            "extra_memory": extra_bytes(works[name]) / scene.nbytes,
        }
        for name, (cpu, wall) in times.items()
    }
    policies = [rows[f"kernel, {name}"]["cpu_s"] for name in POLICIES]
    return {
        "machine": f"{processor()}, 1 thread, numba {numba.__version__}",
        "pixels": side,
        "dates": dates,
        "bytes": scene.nbytes,
        "policy_factor": max(policies) / min(policies),
        "rows": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=2400, help="side of the square tile")
    parser.add_argument("--dates", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-peers", action="store_true", help="time the kernels alone")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    found = report(options.pixels, options.dates, options.repeats, not options.no_peers)
    print(f"{found['machine']}; {found['pixels']}^2 x {found['dates']} dates x 7 bands")
    print(f"{'':26}{'cpu ms':>9}{'GB/s':>7}{'Mpx-date/s':>12}{'of read':>9}{'x':>7}{'memory':>8}")
    for name, row in found["rows"].items():
        print(
            f"{name:26}{row['cpu_s'] * 1e3:9.1f}{row['gb_per_s']:7.2f}"
            f"{row['pixel_dates_per_s'] / 1e6:12.0f}{row['of_linear_read']:9.2f}"
            f"{row['x_kernel_and_means']:7.1f}{row['extra_memory']:8.2f}"
        )
    print(f"slowest policy / fastest: {found['policy_factor']:.2f}")
    keep(found, options.json)


if __name__ == "__main__":
    main()
