# SPDX-License-Identifier: Apache-2.0
"""Jobs of Slurm and workers on GPUs, of which the tests have neither: what is asked for."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import studies
from faulty_tasks import Faulty

from rsei.engine.run import clusters
from rsei.engine.run.cluster import crew
from rsei.engine.run.clusters import job
from rsei.engine.run.orders import RunOptions, Stop, options
from rsei.engine.run.store import Store
from rsei.engine.run.tasks import Done
from rsei.engine.run.upkeep import RUN
from rsei.engine.sources.errors import MachineError, StudyError

distributed = pytest.importorskip("distributed")
MEMORY = 2 << 30

Installed = Callable[[str, str], dict[str, Any]]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Installed:
    """Makes a package with a cluster of one process; what that cluster was asked for."""

    def install(package: str, name: str) -> dict[str, Any]:
        asked: dict[str, Any] = {}

        class Pretended(distributed.LocalCluster):  # type: ignore[name-defined]
            def __init__(self, **arguments: Any) -> None:
                asked.update(arguments)
                super().__init__(n_workers=1, threads_per_worker=1, dashboard_address=":0")

            def job_script(self) -> str:
                return "a job"

            def adapt(self, **arguments: Any) -> None:
                asked["adapt"] = arguments

        module = ModuleType(package)
        setattr(module, name, Pretended)
        monkeypatch.setitem(sys.modules, package, module)
        monkeypatch.setattr(clusters, "find_spec", lambda wanted: module)
        sbatch = tmp_path / "sbatch"
        sbatch.write_text(f"#!/bin/sh\ncat > {tmp_path}/script\n")
        sbatch.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        return asked

    return install


def hired(chosen: RunOptions, memory: int, device_memory: int | None = None) -> Any:
    return crew(chosen, memory, studies.Silent(), chosen.device or "cpu", device_memory)


def carried_out(chosen: RunOptions, folder: Path, device_memory: int | None = None) -> None:
    store = Store(folder / "run")
    store.put_json(RUN, {})
    with hired(chosen, MEMORY, device_memory) as people:
        found = list(people.each([Faulty("a"), Faulty("b")], store, Stop()))
    assert sorted(one.task.name for one in found if isinstance(one, Done)) == ["a", "b"]


@pytest.mark.slow
def test_slurm_is_asked_for_a_job_a_worker_and_for_others_in_their_place(
    installed: Installed, tmp_path: Path
) -> None:
    asked = installed("dask_jobqueue", "SLURMCluster")
    carried_out(options(scheduler="slurm", workers=3), tmp_path)
    assert (tmp_path / "script").read_text() == "a job"  # Slurm was asked first
    assert asked["adapt"] == {"minimum_jobs": 3, "maximum_jobs": 3}
    assert (asked["cores"], asked["processes"], asked["memory"]) == (1, 1, "682 MiB")
    assert asked["python"] == sys.executable and "--requeue" in asked["job_extra_directives"]


@pytest.mark.slow
@pytest.mark.parametrize(("device_memory", "pool"), [(None, 0.8), (1 << 30, 1 << 30)])
def test_each_gpu_gets_a_worker_with_a_pool_that_cupy_takes_from(
    installed: Installed, tmp_path: Path, device_memory: int | None, pool: float
) -> None:
    asked = installed("dask_cuda", "LocalCUDACluster")
    carried_out(RunOptions(device="cuda", workers=2), tmp_path, device_memory)
    assert (asked["n_workers"], asked["threads_per_worker"]) == (2, 1)
    assert asked["rmm_pool_size"] == pool and asked["memory_limit"] == MEMORY // 2
    assert asked["rmm_allocator_external_lib_list"] == ["cupy"]


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (RunOptions(scheduler="slurm", workers=2), r"--scheduler slurm.*rsei\[hpc\]"),
        (RunOptions(device="cuda", workers=2), r"--device cuda --workers.*rsei\[rapids\]"),
    ],
)
def test_missing_packages_are_named(
    chosen: RunOptions, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "find_spec", lambda wanted: None)
    with pytest.raises(MachineError, match=text), hired(chosen, MEMORY):
        pass
    with pytest.raises(StudyError, match="at least 512 MiB"):
        with hired(chosen, 1 << 28):
            pass


def test_a_job_that_slurm_would_not_take_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sbatch = tmp_path / "sbatch"
    sbatch.write_text('#!/bin/sh\necho "Requested node configuration is not available" >&2; exit 1')
    sbatch.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        MachineError, match=r"node configuration is not available; .*jobqueue\.yaml"
    ):
        clusters.require_accepted("#!/bin/sh")
    sbatch.unlink()
    with pytest.raises(MachineError, match="program sbatch, found none"):
        clusters.require_accepted("#!/bin/sh")


def test_jobqueue_writes_what_is_asked_for_into_the_batch_file() -> None:
    """The real package, which needs no Slurm to write its file."""
    jobqueue = pytest.importorskip("dask_jobqueue")
    with jobqueue.SLURMCluster(**job(3 << 30), scheduler_options={"dashboard_address": ":0"}) as c:
        text = c.job_script()
    for line in ("#SBATCH -J rsei-worker", "#SBATCH --mem=3G", "#SBATCH --requeue"):
        assert line in text
    assert f"{sys.executable} -m distributed.cli.dask_worker" in text
    assert "--nthreads 1" in text and "export RSEI_THREADS=1" in text
