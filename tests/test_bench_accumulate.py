# SPDX-License-Identifier: Apache-2.0
"""The benchmark of accumulation runs, and finds its peers' answers equal to the kernel's."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "bench_accumulate.py"


@pytest.mark.slow
def test_runs_and_writes_its_figures(tmp_path: Path) -> None:
    figures = tmp_path / "accumulate.json"
    command = [sys.executable, str(SCRIPT), "--pixels", "64", "--dates", "6", "--repeats", "1"]
    done = subprocess.run([*command, "--json", str(figures)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["rows"]
    assert rows["kernel, standard"]["gb_per_s"] > 0
    assert "slowest policy / fastest" in done.stdout
