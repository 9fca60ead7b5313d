# SPDX-License-Identifier: Apache-2.0
"""What a machine does with whole tiles: each stage apart, and decode and calculation together."""

import json
import statistics
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ...kernels.launch import cores
from ..sources.errors import StudyError
from .blocks import PINNED
from .devices import choice, gpus, home, settled
from .machine import memory, processor, versions
from .scenes import FROM_HOST, ON_CORES, BenchOptions, Scenes, Work

COPY = 1 << 28
"""Bytes that are copied to measure the memory: beyond every cache."""

COMPILED = ("mask and add", "indicators and moments", "index", "zonal sums", "trend")
"""Stages whose first go on a GPU is longer by the compiling of their kernels."""

WORSE = 0.8
"""A stage has become slower where its share of the copy rate is below this times the last one's."""


@dataclass(frozen=True)
class Timed:
    """One stage."""

    stage: str
    """Its name."""

    size: int
    """Bytes it takes in and gives out at least."""

    pixel_dates: int
    """Pixels times dates, or times layers."""

    seconds: float
    """Median time."""

    copied: float
    """Bytes in a second that bound it: what this device copies, read and written; or what comes
    to it from pinned memory of the host."""

    bound: str = "copy"
    """Which of the two: ``copy`` or ``pinned copy``."""

    begun: float = 0.0
    """Time of the first go, which compiles."""

    @property
    def rate(self) -> float:
        """Bytes in a second."""
        return self.size / self.seconds

    def record(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "stage": self.stage,
            "bytes": self.size,
            "seconds": self.seconds,
            "gb_per_s": self.rate / 1e9,
            "mpixel_dates_per_s": self.pixel_dates / self.seconds / 1e6,
            "bound": self.bound,
            "of_copy": self.rate / self.copied,
        }


def bench(options: BenchOptions, folder: Path) -> dict[str, Any]:
    """Measure every stage on granules made in ``folder``; the machine, its software and the stages.

    Raises MachineError for a GPU that is asked for and not there, StudyError for too small a tile.
    """
    if options.side < 64 or options.side > 2400 or options.dates < 1 or options.repeats < 1:
        raise StudyError(
            "bench: expected a side of 64 to 2400, and one date and repeat or more, found "
            f"{options.side}, {options.dates} and {options.repeats}"
        )
    begun = time.perf_counter()
    device = choice(options.device, 1 << 62).device  # type: ignore[arg-type]
    xp = home(device)
    xp.zeros(1)
    settled(xp)
    opened = time.perf_counter() - begun
    scenes = Scenes.made(options, folder, device)
    rates = {"copy": copy_rate(options.repeats, xp)}
    if device == "cuda":
        rates["pinned copy"] = COPY / timed(_from_pinned(xp), options.repeats, xp)[0]
    stages = []
    for name, size, pixels, work in scenes.stages():
        seconds, first = timed(work, options.repeats, xp)
        bound = "pinned copy" if name in FROM_HOST else "copy"
        stages.append(Timed(name, size, pixels, seconds, rates[bound], bound, first))
    return {
        "machine": {
            "processor": processor(),
            "cores": cores(),
            "memory": memory(),
            "gpus": [gpu.__dict__ for gpu in gpus()],
        },
        "versions": versions(),
        "options": options.__dict__ | {"device": device},
        "copy_gb_per_s": rates["copy"] / 1e9,
        "pinned_copy_gb_per_s": rates["pinned copy"] / 1e9 if device == "cuda" else None,
        "gpu": _worth(stages, opened, scenes.stored) if device == "cuda" else None,
        "stages": [stage.record() for stage in stages],
    }


def _worth(stages: list[Timed], opened: float, stored: int) -> dict[str, float | None]:
    """What the GPU takes to start, s, and the bytes of granules from which it pays for that.

    It opens once, and every process compiles its kernels; then it saves, on each byte of a
    granule, the difference of the two ways of the same dates. None where it saves nothing.
    """
    of = {stage.stage: stage for stage in stages}
    start = opened + sum(max(0.0, of[name].begun - of[name].seconds) for name in COMPILED)
    saved = (of[ON_CORES].seconds - of["decode, mask and add"].seconds) / stored
    return {"start_s": start, "worth_bytes": start / saved if saved > 0 else None}


def _from_pinned(xp: Any) -> Work:
    """A copy to the GPU from memory that is pinned, which nothing on this way can beat."""
    source, target = PINNED.take(COPY), xp.empty(COPY, np.uint8)
    source[:] = 1  # memory that was never written is not there yet
    return lambda: target.data.copy_from_host_async(source.ctypes.data, COPY)


def copy_rate(repeats: int, xp: Any) -> float:
    """Bytes a second that the memory of ``xp`` reads and writes in a copy."""
    return 2 * COPY / timed(partial(_copy, *_two(xp)), repeats, xp)[0]


def timed(work: Work, repeats: int, xp: Any) -> tuple[float, float]:
    """Seconds of ``work``, the device's part included: the median, and of the first go before."""
    taken = []
    for _ in range(repeats + 1):
        begun = time.perf_counter()
        work()
        settled(xp)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:]), taken[0]


def _two(xp: Any) -> tuple[Any, Any]:
    """Two arrays that the device has touched: memory that was never written costs nothing."""
    return tuple(xp.full(COPY // 8, value, np.int64) for value in (1, 2))


def _copy(source: Any, target: Any) -> None:
    """Copy by every core, or by the GPU."""
    if not isinstance(source, np.ndarray):
        target[...] = source
        return
    parts = np.array_split(np.arange(source.size), cores())
    cuts = [slice(part[0], part[-1] + 1) for part in parts if part.size]
    with ThreadPoolExecutor(cores()) as pool:
        list(pool.map(lambda cut: np.copyto(target[cut], source[cut]), cuts))


def report(found: Mapping[str, Any], last: Mapping[str, Any] | None = None) -> str:
    """The figures as a table in Markdown; with an earlier run's shares beside its own."""
    machine, options = found["machine"], found["options"]
    gpu = machine["gpus"][0]["name"] if options["device"] == "cuda" else "no GPU used"
    before = {row["stage"]: row["of_copy"] for row in last["stages"]} if last else {}
    lines = [
        f"{machine['processor']}, {machine['cores']} cores, {gpu}; rsei "
        f"{found['versions']['rsei']}, {options['side']} x {options['side']} pixels, "
        f"{options['dates']} dates; copy {found['copy_gb_per_s']:.1f} GB/s{_pinned(found)}",
        "",
        "| stage | MB | ms | GB/s | Mpixel-dates/s | of copy |" + (" before |" if last else ""),
        "|---|--:|--:|--:|--:|--:|" + ("--:|" if last else ""),
    ]
    for row in found["stages"]:
        cells = [
            row["stage"],
            f"{row['bytes'] / 1e6:.0f}",
            f"{row['seconds'] * 1e3:.1f}",
            f"{row['gb_per_s']:.2f}",
            f"{row['mpixel_dates_per_s']:.0f}",
            f"{row['of_copy']:.3f}" + ("*" if row["bound"] == "pinned copy" else ""),
        ]
        if last:
            share = before.get(row["stage"])
            cells.append("-" if share is None else f"{share:.3f}")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, "", _overlap(found), *_paid_off(found)])


def _pinned(found: Mapping[str, Any]) -> str:
    rate = found.get("pinned_copy_gb_per_s")
    return (
        f"; from pinned memory {rate:.1f} GB/s, of which stages with * are a share" if rate else ""
    )


def _paid_off(found: Mapping[str, Any]) -> list[str]:
    """What the GPU has to be given to do, so that it is worth its start."""
    gpu = found.get("gpu")
    if not gpu:
        return []
    start = f"the GPU takes {gpu['start_s']:.1f} s to start"
    if gpu["worth_bytes"] is None:
        return [f'{start}, and saves nothing on the way from files to sums: take device = "cpu"']
    least = f"{gpu['worth_bytes'] / 2**30:.2f} GiB"
    return [f'{start}, and saves time from {least} of granules on: RSEI_GPU_WORTH="{least}"']


def _overlap(found: Mapping[str, Any]) -> str:
    """How much of the calculation hides behind the decode."""
    taken = {row["stage"]: row["seconds"] for row in found["stages"]}
    decode, both = taken["decode"], taken["decode, mask and add"]
    apart = decode + taken["mask and add"] + taken.get("copy to the GPU", 0.0)
    return (
        f"decode with calculation takes {both / decode:.2f} times decode alone; one after the "
        f"other would take {apart / decode:.2f}"
    )


def slower(found: Mapping[str, Any], last: Mapping[str, Any]) -> list[str]:
    """Stages whose share of the copy rate fell below ``WORSE`` times that of the ``last`` run."""
    before = {row["stage"]: row["of_copy"] for row in last["stages"]}
    return [
        row["stage"]
        for row in found["stages"]
        if row["stage"] in before and row["of_copy"] < WORSE * before[row["stage"]]
    ]


def put(found: Mapping[str, Any], file: Path) -> None:
    """Write the figures for a later run to be compared with."""
    file.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def earlier(file: Path, options: BenchOptions) -> dict[str, Any]:
    """The figures that an earlier run wrote.

    Raises StudyError where the file holds none, or those of other pixels or dates: what fits into
    a cache has other shares.
    """
    try:
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        {row["stage"]: row["of_copy"] + 0.0 for row in found["stages"]}
        side, dates = found["options"]["side"], found["options"]["dates"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StudyError(
            f"{file}: expected figures that `rsei bench --json` wrote, found {_fault(error)}; "
            "name such a file"
        ) from error
    if (side, dates) != (options.side, options.dates):
        raise StudyError(
            f"{file}: expected figures of {options.side} pixels and {options.dates} dates, found "
            f"{side} and {dates}; measure again with --pixels {side} --dates {dates}"
        )
    return found


def _fault(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return f"none of {error}" if isinstance(error, KeyError) else f"another content ({error})"
