# SPDX-License-Identifier: Apache-2.0
"""The measurement of a machine: right sums, right sizes, and a comparison that can fail."""

import ctypes
import json
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rsei.cli.main import app
from rsei.engine.run import bench, devices, scenes, streaming
from rsei.engine.run.bench import Timed
from rsei.engine.run.blocks import Blocks
from rsei.engine.run.partials import LAYERS
from rsei.engine.run.scenes import BenchOptions, Scenes
from rsei.engine.sources.errors import StudyError
from rsei.engine.sources.simulated_stack import stack

SMALL = BenchOptions(side=96, dates=6, repeats=1, device="cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    return bench.bench(SMALL, folder)


@pytest.mark.slow
def test_what_is_timed_is_right(folder: Path, found: dict[str, Any]) -> None:
    """The sums that the stages take are those of a loop over the dates."""
    made = Scenes.made(SMALL, folder, "cpu")
    scene = stack(96, scenes.FILES)
    dates = [t % scenes.FILES for t in range(6)]
    np.testing.assert_array_equal(made.stacks["bands"], scene.bands[dates])
    np.testing.assert_array_equal(made.stacks["qc"], scene.qc[dates])
    state, qc = scene.state, scene.qc
    cloud = state & 3
    good = ((cloud == 0) | (cloud == 3)) & (state & 0b1011010000000100 == 0)
    good &= ((state >> 8) & 3 < 2) & (state != 65535) & (qc != 0xFFFFFFFF) & (qc & 3 < 2)
    for band in range(7):
        used = good & ((qc >> (2 + 4 * band)) & 15 < 2) & (scene.bands[:, band] >= -100)
        used &= scene.bands[:, band] <= 16000
        sums = sum(np.where(used[t], scene.bands[t, band].astype(int), 0) for t in dates)
        np.testing.assert_array_equal(made.added.sums[band], sums)
        np.testing.assert_array_equal(made.added.counts[band], sum(used[t] for t in dates))


def test_what_is_sent_is_what_is_decoded(folder: Path) -> None:
    """The way from the host without the decode, whose rooms are filled again for other files."""
    made = Scenes.made(SMALL, folder, "cpu")
    total = made._add(made._sent({})).partial()
    np.testing.assert_array_equal(total.sums, made.added.sums)
    assert total.losses == made.added.losses
    assert made.stacks["bands"].dtype == ">i2"
    dates, kept = range(4, 6), dict[int, tuple[int, ...]]()
    room = {name: np.zeros((4, *one.shape[1:]), one.dtype) for name, one in made.stacks.items()}
    assert np.array_equal(made._filled(kept, dates, room)["bands"], made.stacks["bands"][:2])
    room["bands"][:] = 7  # is kept: no file is another
    assert (made._filled(kept, range(2), room)["bands"] == 7).all()
    assert np.array_equal(made._filled(kept, range(1), room)["qc"], made.stacks["qc"][:1])
    files = [granule.files[0] for granule in made.task.shelf.granules["reflectance"]]
    assert made.stored == sum(file.stat().st_size for file in files) and len(files) == 6


def timed(stage: str, seconds: float, first: float) -> Timed:
    return Timed(stage, 10**9, 10**6, seconds, 1e10, begun=first)


@pytest.mark.slow
def test_a_gpu_is_worth_its_start_from_some_bytes_on(found: dict[str, Any]) -> None:
    """It opens for 2 s and compiles for 3; then it saves 4 s on each GB of granules."""
    stages = [timed(name, 1.0, 1.0) for name in bench.COMPILED[1:]]
    stages += [timed("mask and add", 1.0, 4.0), timed("decode, mask and add", 6.0, 9.0)]
    quick = [*stages, timed(scenes.ON_CORES, 10.0, 10.0)]
    gpu = bench._worth(quick, 2.0, 10**9)
    assert gpu == {"start_s": pytest.approx(5.0), "worth_bytes": pytest.approx(1.25e9)}
    assert 'from 1.16 GiB of granules on: RSEI_GPU_WORTH="1.16 GiB"' in bench.report(
        found | {"gpu": gpu, "pinned_copy_gb_per_s": 50.0}
    )
    none = bench._worth([*stages, timed(scenes.ON_CORES, 6.0, 6.0)], 2.0, 10**9)
    assert none["worth_bytes"] is None
    assert "saves nothing on the way from files to sums" in bench.report(found | {"gpu": none})


@pytest.mark.slow
def test_every_stage_is_told_with_its_bytes(found: dict[str, Any]) -> None:
    stages = {row["stage"]: row for row in found["stages"]}
    assert list(stages) == [
        "decode",
        "mask and add",
        "decode, mask and add",
        "partial, committed",
        "indicators and moments",
        "index",
        "zonal sums",
        "trend",
    ]
    assert stages["decode"]["bytes"] == 96 * 96 * 6 * (7 * 2 + 2 + 4)
    assert all(row["seconds"] > 0 for row in stages.values())
    for row in stages.values():
        rate = row["bytes"] / row["seconds"] / 1e9
        assert row["gb_per_s"] == pytest.approx(rate)
        assert row["of_copy"] == pytest.approx(rate / found["copy_gb_per_s"])
    text = bench.report(found)
    assert all(f"| {stage} |" in text for stage in stages) and "times decode alone" in text
    assert set(LAYERS["reflectance"]) >= {"state", "qc"} and json.dumps(found)


class Near(np.ndarray[Any, Any]):
    """An array that a GPU's copies reach, though it is the host's: they are done at once."""

    __module__ = "numpy"

    @property
    def data(self) -> Any:
        return SimpleNamespace(copy_from_host_async=self.copy_from)

    def copy_from(self, address: int, size: int, stream: Any = None) -> None:
        assert size <= self.nbytes
        ctypes.memmove(self.ctypes.data, address, size)


def test_the_stages_of_a_gpu(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a stand-in for CuPy that calculates on the cores: what is asked for, not its speed."""
    stream = SimpleNamespace(wait_event=lambda event: None, synchronize=lambda: None)
    event = SimpleNamespace(record=lambda stream: None, synchronize=lambda: None)
    cuda = SimpleNamespace(
        get_current_stream=lambda: stream,
        Stream=lambda non_blocking: stream,
        Event=lambda block, disable_timing: event,
        Device=lambda: SimpleNamespace(synchronize=lambda: None),
    )
    library = ModuleType("cupy")
    library.__dict__.update(
        {name: getattr(np, name) for name in ("asarray", "zeros", "full", "ones", "arange", "sin")}
    )
    library.cuda = cuda  # type: ignore[attr-defined]
    library.empty = lambda *args: np.empty(*args).view(Near)  # type: ignore[attr-defined]
    card = devices.Gpu("H100", 80 << 30, "13.0")
    for module in (bench, scenes, streaming):
        monkeypatch.setattr(module, "home", lambda device: library if device == "cuda" else np)
    blocks = Blocks(lambda size: np.zeros(size, np.uint8))
    monkeypatch.setattr(streaming, "PINNED", blocks)
    monkeypatch.setattr(bench, "PINNED", blocks)
    monkeypatch.setattr(bench, "COPY", 1 << 20)
    monkeypatch.setattr(bench, "gpus", lambda: (card,))
    monkeypatch.setattr(bench, "choice", lambda *args: devices.Choice("cuda", "asked"))
    found = bench.bench(replace(SMALL, device="cuda"), folder)
    rows = {row["stage"]: row for row in found["stages"]}
    assert {name for name, row in rows.items() if row["bound"] == "pinned copy"} == set(
        scenes.FROM_HOST
    )
    pinned = found["pinned_copy_gb_per_s"]
    for name, row in rows.items():
        bound = pinned if name in scenes.FROM_HOST else found["copy_gb_per_s"]
        assert row["of_copy"] == pytest.approx(row["gb_per_s"] / bound)
    assert rows["copy to the GPU"]["bytes"] == rows["decode"]["bytes"]
    assert scenes.ON_CORES in rows and found["gpu"]["start_s"] >= 0
    text = bench.report(found)
    assert "the GPU takes" in text and "from pinned memory" in text and "* |" in text
    made = Scenes.made(SMALL, folder, "cuda")
    np.testing.assert_array_equal(made._add(made._sent({})).partial().sums, made.added.sums)
    np.testing.assert_array_equal(made.task.added("reflectance")[0].sums, made.added.sums)


@pytest.mark.slow
def test_a_stage_that_lost_a_fifth_is_named(found: dict[str, Any], tmp_path: Path) -> None:
    last = json.loads(json.dumps(found))
    assert bench.slower(found, last) == []
    last["stages"][1]["of_copy"] *= 1.3
    last["stages"][2]["of_copy"] *= 1.1
    last["stages"].pop(4)
    assert bench.slower(found, last) == ["mask and add"]
    assert "| - |" in bench.report(found, last)
    bench.put(last, tmp_path / "last.json")
    assert bench.earlier(tmp_path / "last.json", SMALL) == last
    with pytest.raises(
        StudyError, match=r"found 96 and 6; measure again with --pixels 96 --dates 6"
    ):
        bench.earlier(tmp_path / "last.json", replace(SMALL, dates=7))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"stages": [{"stage": "a"}]}'])
def test_figures_of_nobody_are_an_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(StudyError, match="figures that `rsei bench --json` wrote"):
        bench.earlier(tmp_path / "a.json", SMALL)


def test_the_command(folder: Path, tmp_path: Path) -> None:
    small = ["bench", "--pixels", "96", "--dates", "6", "--repeats", "1", "--in", str(folder)]
    file = str(tmp_path / "new.json")
    first = CliRunner().invoke(app, [*small, "--json", file])
    assert first.exit_code == 0 and "| trend |" in first.output
    last = json.loads(Path(file).read_text())
    for row in last["stages"]:
        row["of_copy"] *= 1e6
    (tmp_path / "last.json").write_text(json.dumps(last))
    again = CliRunner().invoke(app, [*small, "--against", str(tmp_path / "last.json")])
    assert again.exit_code == 1 and "slower than before: decode" in again.output


@pytest.mark.parametrize("options", [["--pixels", "10"], ["--dates", "0"], ["--repeats", "0"]])
def test_too_little_to_measure_is_a_usage_error(options: list[str]) -> None:
    found = CliRunner().invoke(app, ["bench", *options])
    assert found.exit_code == 2 and "expected a side of 64 to 2400" in found.output


def test_a_gpu_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ())
    found = CliRunner().invoke(app, ["bench", "--device", "cuda"])
    assert found.exit_code == 4 and 'expected a GPU for "cuda"' in found.output


def test_ranges_are_marked_where_cupy_is_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    @contextmanager
    def time_range(name: str) -> Any:
        seen.append(name)
        yield

    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    with devices.marked("alone"):
        pass
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "cupyx.profiler", SimpleNamespace(time_range=time_range))
    with devices.marked("decode"):
        pass
    assert seen == ["decode"]
