# SPDX-License-Identifier: Apache-2.0
"""What a session on a machine with a GPU runs, as far as it goes without one."""

import functools
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import rasterio
from numba import cuda

from rsei.kernels import launch

SCRIPTS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def device() -> ModuleType:
    spec = importlib.util.spec_from_file_location("device", SCRIPTS / "device.py")
    assert spec and spec.loader
    module = sys.modules["device"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_step_that_fails_does_not_end_the_others(device: ModuleType, tmp_path: Path) -> None:
    python = [sys.executable, "-c"]
    good = device.Step("good", lambda place: [[*python, "print(7)"]])
    bad = device.Step("bad", lambda place: [[*python, "exit(3)"], [*python, "print(8)"]])
    none = device.Step("none", lambda place: [["no-such-program"]])
    absent = device.Step("absent", lambda place: [], needs="no-such-program")
    place = device.Place(tmp_path, tmp_path, True)
    states = [device.carried_out(one, place)["state"] for one in (good, bad, none, absent)]
    assert states[0] == "done" and states[1].startswith("failed with 3: ")
    assert states[2] == "failed with 127: no-such-program"
    assert states[3] == "left out: there is no no-such-program"
    assert (tmp_path / "good.log").read_text().endswith("7\n")
    assert "8\n" not in (tmp_path / "bad.log").read_text()


def test_a_step_that_takes_too_long_is_killed_with_its_children_and_keeps_what_it_said(
    device: ModuleType, tmp_path: Path
) -> None:
    """The child waits for ever, and would keep the log open; what came before is in the figures."""
    child = "import subprocess, sys; wait = 'import signal; signal.pause()'; "
    child += "subprocess.run([sys.executable, '-c', wait])"
    (tmp_path / "found.json").write_text("[1]")
    slow = device.Step(
        "slow",
        lambda place: [[sys.executable, "-c", child], [sys.executable, "-c", "print(8)"]],
        0.5,
        figures=device.read(first="found", second="not-yet"),
    )
    found = device.carried_out(slow, device.Place(tmp_path, tmp_path))
    assert found["state"].startswith("out of time after 0 s") and found["figures"] == {"first": [1]}
    assert "8\n" not in (tmp_path / "slow.log").read_text()
    late = device.carried_out(slow, device.Place(tmp_path, tmp_path), 0.0)
    assert late["state"] == "out of time after 0 s"


def test_tests_that_are_all_left_out_prove_nothing(device: ModuleType, tmp_path: Path) -> None:
    """As where CuPy is not installed: pytest is content then."""
    file = tmp_path / "test_it.py"
    file.write_text("import pytest\ndef test_it():\n    pytest.skip('no CUDA device')\n")
    step = device.Step(
        "it", lambda place: [device.pytest(place, "it", str(file))], figures=device.passed("it")
    )
    place = device.Place(tmp_path, tmp_path)
    none = device.carried_out(step, place)
    assert none["state"] == "failed: no test passed of ['it']"
    assert none["figures"]["tests"]["it"] == {"passed": 0, "failed": 0, "left out": 1}
    report = (tmp_path / "it.xml").read_text()
    (tmp_path / "it.xml").write_text(report.replace('skipped="1"', 'skipped="0"'))
    assert step.figures(place)["fault"] is None


def test_every_script_and_test_that_a_step_names_is_there(
    device: ModuleType, tmp_path: Path
) -> None:
    words = [
        word
        for step in (*device.STEPS, *device.MORE)
        for command in step.commands(device.Place(tmp_path, tmp_path))
        for word in command
        if word.endswith(".py") or word.startswith("tests/")
    ]
    assert len(words) > 10 and all((device.ROOT / word).exists() for word in words)


def written(run: Path, values: list[float], score: float) -> None:
    path = run / "rsei" / "a" / "2001.tif"
    path.parent.mkdir(parents=True)
    (run / "tables").mkdir()
    layer = np.array([values], np.float32)
    form = {"driver": "GTiff", "height": 1, "width": len(values), "count": 1, "dtype": "float32"}
    place = rasterio.Affine(2, 0, 0, 0, -2, 0)
    with rasterio.open(path, "w", **form, transform=place) as file:
        file.write(layer, 1)
    rows = f"area,epoch,n,pc1,agreement\na,2001,3,{score},true\na,2004,3,{score},\n"
    (run / "tables" / "pca.csv").write_text(rows)


@pytest.mark.parametrize(
    ("values", "score", "least", "most"),
    [
        ([0.5, 1.0, np.nan], 80.0, 0.0, 0.0),
        ([0.5, 1.001, np.nan], 80.0, 0.0009, 0.0011),
        ([0.5, 1.0, np.nan], 84.0, 0.04, 0.06),
        ([0.5, np.nan, 1.0], 80.0, np.inf, np.inf),
    ],
)
def test_two_runs_are_compared(
    device: ModuleType,
    tmp_path: Path,
    values: list[float],
    score: float,
    least: float,
    most: float,
) -> None:
    written(tmp_path / "run", [0.5, 1.0, np.nan], 80.0)
    written(tmp_path / "other", values, score)
    found = device.differences(tmp_path / "run", tmp_path / "other")
    assert len(found) == 2 and least <= max(found.values()) <= most
    (tmp_path / "other" / "tables" / "pca.csv").unlink()
    assert np.inf in device.differences(tmp_path / "run", tmp_path / "other").values()


@pytest.mark.slow
def test_kernels_and_expressions_agree(tmp_path: Path) -> None:
    """On the cores, so that a GPU finds expressions that are right."""
    figures = tmp_path / "kernels.json"
    command = [sys.executable, str(SCRIPTS / "bench_device.py"), "--device", "cpu"]
    small = ["--pixels", "96", "--dates", "5", "--repeats", "1", "--json", str(figures)]
    done = subprocess.run([*command, *small], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(figures.read_text())["rows"]
    assert len(rows) == 3 and all(row["x_expressions"] > 0 for row in rows)


def test_each_candidate_is_a_change_of_the_launch(device: ModuleType) -> None:
    """As the kernels will find it: shape, blocks, or what compiles them."""
    for change in device.CANDIDATES.values():
        changed = SimpleNamespace(**vars(launch))
        exec(change, {"launch": changed, "functools": functools})
        others = {name for name, value in vars(launch).items() if vars(changed)[name] is not value}
        assert others and others <= {"THREADS", "BLOCKS", "gpu_grid"}
        if "registers" in change:
            assert changed.gpu_grid.func is cuda.jit
