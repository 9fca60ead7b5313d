# SPDX-License-Identifier: Apache-2.0
"""Clusters that a run starts beyond plain processes: jobs of Slurm, and the GPUs of a machine."""

import logging
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dask
from distributed import Client

from ..sources.errors import MachineError
from .workers import CONFIG, Steadfast, Workers, environment, profiled, require_share

POOL = 0.8
"""Share of a GPU's memory that its worker takes at the start, unless the study says how much."""


@contextmanager
def slurm_jobs(workers: int, memory: int, profile: Path | None) -> Iterator[Workers]:
    """Jobs of Slurm with a worker each, which share ``memory`` bytes; they end with the run.

    In place of a job that is killed another one comes. Partition, account and time limit are those
    of the user's ``~/.config/dask/jobqueue.yaml``. Raises StudyError where the share of a worker
    is too small, MachineError without dask-jobqueue, and where Slurm would not take such a job.
    """
    require_share(workers, memory)
    if find_spec("dask_jobqueue") is None:
        raise MachineError(
            "--scheduler slurm: expected the package dask-jobqueue, found none; "
            "pip install 'rsei[hpc]', or use rsei slurm, which needs no package"
        )
    start = import_module("dask_jobqueue").SLURMCluster
    with dask.config.set(CONFIG), start(**job(memory // workers)) as cluster:
        require_accepted(cluster.job_script())
        cluster.adapt(minimum_jobs=workers, maximum_jobs=workers)
        with Client(cluster) as client, profiled(profile):
            client.register_plugin(Steadfast())
            # Jobs wait in the queue for as long as it takes.
            yield Workers(client, client.dashboard_link, patience=math.inf)


def require_accepted(script: str) -> None:
    """Raise MachineError where ``sbatch`` refuses a job: a run would wait for it for ever."""
    command = ["sbatch", "--test-only"]
    try:
        done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise MachineError("--scheduler slurm: expected the program sbatch, found none") from None
    if done.returncode:
        raise MachineError(
            f"--scheduler slurm: expected Slurm to take a job, found: {done.stderr.strip()}; set "
            "partition and account in ~/.config/dask/jobqueue.yaml, or a compute.memory of which a "
            "node has each worker's share"
        )


def job(memory: int) -> dict[str, Any]:
    """What a job of Slurm is: one worker with one thread, and ``memory`` bytes."""
    return {
        "cores": 1,
        "processes": 1,
        "memory": f"{memory >> 20} MiB",
        "job_name": "rsei-worker",
        "python": sys.executable,
        "job_extra_directives": ["--requeue"],
        "job_script_prologue": ["export RSEI_THREADS=1"],
    }


@contextmanager
def gpus(
    workers: int, memory: int, device_memory: int | None, profile: Path | None
) -> Iterator[Workers]:
    """A worker on each of ``workers`` GPUs of this machine, with a pool of its memory.

    Raises StudyError where the share of a worker is too small, MachineError without dask-cuda.
    """
    require_share(workers, memory)
    if find_spec("dask_cuda") is None:
        raise MachineError(
            "--device cuda --workers: expected the package dask-cuda, found none; "
            "pip install 'rsei[rapids]', or take one worker"
        )
    start = import_module("dask_cuda").LocalCUDACluster
    arguments = {
        "n_workers": workers,
        "threads_per_worker": 1,
        "memory_limit": memory // workers,
        "rmm_pool_size": device_memory or POOL,
        "rmm_allocator_external_lib_list": ["cupy"],  # our arrays are CuPy's
        "dashboard_address": "127.0.0.1:0",
        "silence_logs": logging.CRITICAL,
    }
    with dask.config.set(CONFIG), environment(RSEI_THREADS="1"):
        with (
            start(**arguments) as cluster,
            Client(cluster) as client,
            profiled(profile),
        ):
            client.register_plugin(Steadfast())
            yield Workers(client, client.dashboard_link, cluster)
