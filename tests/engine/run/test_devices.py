# SPDX-License-Identifier: Apache-2.0
"""The machine is described as it is, and a GPU is taken only where there is one."""

import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest

from rsei.engine.run import devices, doctor, machine
from rsei.engine.sources.errors import MachineError, StudyError


def test_memory_is_what_the_system_says_without_a_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "CONTROL_GROUPS", (tmp_path, tmp_path / "cgroup"))
    assert machine.memory() == psutil.virtual_memory().total


@pytest.mark.parametrize(
    ("membership", "files"),
    [
        ("", {"memory.max": "1000"}),
        ("0::/slurm/job_7/step_0", {"memory.max": "max", "slurm/job_7/memory.max": "1000"}),
        ("0::/a", {"a/memory.max": "1000", "memory.max": "5000"}),
        ("0::/a", {"a/memory.max": "5000", "memory.max": "1000"}),
        ("7:cpu,memory:/job", {"memory/job/memory.limit_in_bytes": "1000"}),
        ("0::/../other", {"memory.max": "1000"}),
    ],
)
def test_the_least_limit_of_the_control_groups_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, membership: str, files: dict[str, str]
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    (tmp_path / "cgroup").write_text(membership + "\n")
    monkeypatch.setattr(machine, "CONTROL_GROUPS", (tmp_path, tmp_path / "cgroup"))
    assert machine.memory() == 1000


GPU = devices.Gpu("H100", 80 << 30, "13.0")


@pytest.mark.parametrize(
    ("wanted", "found", "size", "device"),
    [
        ("cpu", (GPU,), 1 << 50, "cpu"),
        ("auto", (), 1 << 50, "cpu"),
        ("auto", (GPU,), devices.GPU_WORTH - 1, "cpu"),
        ("auto", (GPU,), devices.GPU_WORTH, "cuda"),
        ("cuda", (GPU,), 0, "cuda"),
    ],
)
def test_the_choice_of_a_processor(
    monkeypatch: pytest.MonkeyPatch, wanted: Any, found: Any, size: int, device: str
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: found)
    choice = devices.choice(wanted, size)
    assert choice.device == device and choice.reason


def test_what_was_measured_decides_in_place_of_the_estimate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: (GPU,))
    monkeypatch.setenv("RSEI_GPU_WORTH", "1.5 GiB")
    assert devices.choice("auto", (3 << 29) - 1).device == "cpu"
    assert devices.choice("auto", 3 << 29).device == "cuda"
    monkeypatch.setenv("RSEI_GPU_WORTH", "much")
    with pytest.raises(StudyError, match=r"RSEI_GPU_WORTH: expected a number and a unit"):
        devices.choice("auto", 1)
    monkeypatch.setenv("RSEI_GPU_WORTH", "")
    assert devices.worth() == devices.GPU_WORTH


class Library:
    """What of CuPy and RMM decides where arrays come from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, rmm: bool) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.allocator: Any = "of CuPy"
        self.of_rmm = object()
        pool = SimpleNamespace(set_limit=lambda size: self.asked.append(("limit", size)))
        runtime = SimpleNamespace(memGetInfo=lambda: (10_000, 20_000))
        cuda = SimpleNamespace(
            runtime=runtime, get_allocator=lambda: self.allocator, set_allocator=self.take
        )
        cupy = SimpleNamespace(cuda=cuda, get_default_memory_pool=lambda: pool)
        modules = {
            "cupy": cupy,
            "rmm": SimpleNamespace(reinitialize=self.reinitialize),
            "rmm.allocators.cupy": SimpleNamespace(rmm_cupy_allocator=self.of_rmm),
        }
        for name, module in modules.items():
            monkeypatch.setitem(sys.modules, name, module)
        found = {"rmm": object() if rmm else None}
        monkeypatch.setattr("importlib.util.find_spec", lambda name: found.get(name))

    def take(self, allocator: Any) -> None:
        self.asked.append(("allocator", allocator is self.of_rmm))
        self.allocator = allocator

    def reinitialize(self, **options: Any) -> None:
        assert options.pop("pool_allocator") is True
        self.asked.append(("pool", options))


def test_arrays_of_a_gpu_come_from_a_pool_of_rmm(monkeypatch: pytest.MonkeyPatch) -> None:
    """It grows to a multiple of 256 bytes; one that dask-cuda has given to CuPy is left alone."""
    library = Library(monkeypatch, rmm=True)
    devices.limit_memory(1000)
    size = {"initial_pool_size": 256, "maximum_pool_size": 512}
    assert library.asked == [("pool", size), ("allocator", True)]
    devices.limit_memory(5000)
    assert len(library.asked) == 2


def test_without_rmm_cupys_own_pool_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library(monkeypatch, rmm=False)
    devices.limit_memory(1000)
    assert library.asked == [("limit", 1000)]


def test_most_of_what_is_free_on_a_gpu_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    Library(monkeypatch, rmm=False)
    assert devices.device_memory("cpu", 500) is None
    assert devices.device_memory("cuda", 500) == 500
    assert devices.device_memory("cuda", None) == 8000
    assert devices.device_memory("cuda", 50_000) == 10_000


def test_a_gpu_that_is_not_there_is_an_error_that_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: ())
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MachineError, match=r'expected a GPU.*pip install "rsei\[gpu\]"'):
        devices.choice("cuda", 0)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    with pytest.raises(MachineError, match="no NVIDIA driver"):
        devices.choice("cuda", 0)


def test_cupy_without_a_driver_counts_as_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimpleNamespace(CUDARuntimeError=RuntimeError)
    cuda = SimpleNamespace(is_available=lambda: False, runtime=runtime)
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace(cuda=cuda))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object())
    assert devices.gpus() == ()


def test_versions_are_those_of_the_installed_libraries() -> None:
    found = machine.versions()
    assert found["numpy"] == np.__version__ and "rsei" in found
    assert machine.version("no-such-distribution") is None


def test_facts_know_the_disk_of_a_folder_that_is_not_made_yet(tmp_path: Path) -> None:
    found = doctor.facts(tmp_path / "not" / "yet")
    assert found["disk"]["free"] > 0 and found["cores"] >= 1


def test_every_extra_for_users_is_told_of() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    extras = set(project["project"]["optional-dependencies"])
    assert {extra.name for extra in doctor.EXTRAS} == extras - DEVELOPERS


DEVELOPERS = {"benchmarks", "docs", "ptx", "test"}
"""Extras that no command needs."""


@dataclass(frozen=True)
class Pair:
    name: str
    values: Any


class Remote:
    """An array that passes for CuPy's."""

    def get(self) -> Any:
        return np.ones(2)


Remote.__module__ = "cupy"


def test_arrays_come_to_the_host_alone_or_in_a_dataclass() -> None:
    here = np.zeros(2)
    assert devices.on_host(here) is here and devices.home("cpu") is np
    moved = devices.on_host(Pair("a", Remote()))
    assert moved.name == "a" and np.array_equal(moved.values, [1, 1])


def test_only_a_gpu_is_waited_for() -> None:
    waited = []
    device = SimpleNamespace(synchronize=lambda: waited.append(True))
    cupy = SimpleNamespace(__name__="cupy", cuda=SimpleNamespace(Device=lambda: device))
    devices.settled(np)
    assert waited == []
    devices.settled(cupy)
    assert waited == [True]
