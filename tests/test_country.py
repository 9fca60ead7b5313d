# SPDX-License-Identifier: Apache-2.0
"""What is written of a country's bookkeeping once it is measured, and not before."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]

RUN = {"seconds": 246.4, "cpu_seconds": 431.6, "peak_mib": 1877, "peak_pss_mib": 1402}

COUNTRY = {
    "machine": "x86_64, 2 cores",
    "load_before": 0.3,
    "tiles": 22,
    "years": 24,
    "workers": 2,
    "granules": 21054,
    "plan": RUN | {"seconds": 17.2, "cpu_seconds": 15.9},
    "run": RUN,
    "run_again": RUN | {"seconds": 33.1},
    "tasks": 3400,
    "stages": [{"stage": "partial", "done": 528, "seconds": 41.5, "busy_seconds": 80.2}],
}
"""What ``bench_country.py`` writes, of numbers that nobody measured."""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder in place of the checkout: what was measured, without the country."""
    results = tmp_path / "benchmarks" / "results"
    results.mkdir(parents=True)
    for file in (ROOT / "benchmarks" / "results").glob("*.json"):
        if file.stem != "country":
            (results / file.name).write_bytes(file.read_bytes())
    return tmp_path


def written(place: Path) -> tuple[str, str]:
    """The page on scale and the table of speed, of the results in ``place``."""
    scale, speed = (
        runpy.run_path(str(ROOT / name)) for name in ("benchmarks/scale.py", "docs/speed.py")
    )
    told: list[str] = []
    for script, name, folder in (
        (scale, "page", {"HERE": place / "benchmarks"}),
        (speed, "speed", {"ROOT": place}),
    ):
        function: Any = script[name]
        function.__globals__.update(folder)
        told.append("\n".join(function()))
    return told[0], told[1]


def test_a_country_that_was_not_measured_is_not_told_of(place: Path) -> None:
    scale, speed = written(place)
    assert "bookkeeping of a country" not in scale and "22 tiles" not in speed


def test_a_country_that_was_measured_is_told_of_with_both_counts_of_its_memory(
    place: Path,
) -> None:
    (place / "benchmarks" / "results" / "country.json").write_text(json.dumps(COUNTRY))
    scale, speed = written(place)
    assert "22 tiles and 24 years, 21054 granules" in scale
    assert "3400 tasks with 2 workers in 246 s, of the processor 432 s" in scale
    assert "1877 MiB at most as each of them sees it (RSS), and 1402 MiB" in scale
    assert "| partial | 528 | 41.5 | 80.2 |" in scale
    (row,) = (line for line in speed.splitlines() if "22 tiles" in line)
    assert "3400 tasks, 2 workers | 4.1 min, 1.4 GiB |" in row
    assert row.count("|") == speed.splitlines()[0].count("|")
