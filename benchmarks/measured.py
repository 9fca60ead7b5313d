# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks share: time and memory of several ways to do the same, and their figures."""

import gc
import json
import statistics
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psutil

Work = Callable[[], Any]


def medians(
    works: Mapping[str, Work], repeats: int, most: Mapping[str, int] | None = None
) -> dict[str, tuple[float, float]]:
    """Median processor and wall time of each, s, taking turns; of some in so many turns at most."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for turn in range(repeats):
        for name, work in works.items():
            if turn >= (most or {}).get(name, repeats):
                continue
            gc.collect()
            cpu, wall = time.process_time(), time.perf_counter()
            work()
            taken[name].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {
        name: (statistics.median(c for c, _ in runs), statistics.median(w for _, w in runs))
        for name, runs in taken.items()
    }


def peak_bytes(work: Work) -> int:
    """Most memory above the start, sampled every 2 ms."""
    gc.collect()
    process, done = psutil.Process(), threading.Event()
    start = peak = process.memory_info().rss

    def sample() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, process.memory_info().rss)

    sampler = threading.Thread(target=sample)
    sampler.start()
    try:
        work()
    finally:
        done.set()
        sampler.join()
    return peak - start


def keep(found: Any, path: Path | None) -> None:
    """Write the figures of a benchmark as JSON, if the user said where."""
    if path:
        path.write_text(json.dumps(found, indent=1) + "\n")
