# SPDX-License-Identifier: Apache-2.0
"""The clusters of workers that a run may have: processes, jobs of Slurm, GPUs, or a running one."""

import logging
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import dask
from distributed import Client, LocalCluster, WorkerPlugin, performance_report

from ..sources.errors import MachineError
from .budgets import require_share
from .workers import Workers

POOL = 0.8
"""Share of a GPU's memory that its worker takes at the start, unless the study says how much."""

ANSWER = 30.0
"""Seconds in which a scheduler has to answer."""

CONFIG = {
    # We count the tries ourselves: Dask's count also blames the tasks that only stood in line.
    "distributed.scheduler.allowed-failures": 0,
    # Our results are a few kB; a worker that pauses or spills would only stand still.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.95,
    # A worker that starts again on a busy machine takes long, and would be closed meanwhile.
    "distributed.deploy.lost-worker-timeout": "60s",
}
"""Settings of a cluster of our own."""


class Steadfast(WorkerPlugin):
    """A worker that leaves interruptions, which a terminal sends to all, to the run."""

    def setup(self, worker: Any) -> None:
        """Ignore the signals that ask a run to stop; the run stops its workers itself."""
        for name in ("SIGINT", "SIGUSR1"):
            if number := getattr(signal, name, None):
                signal.signal(number, signal.SIG_IGN)


@contextmanager
def processes(workers: int, memory: int, profile: Path | None) -> Iterator[Workers]:
    """``workers`` processes of this machine, which share ``memory`` bytes; they end with it.

    Raises StudyError where the share of a worker is too small.
    """
    require_share(workers, memory)
    seen = find_spec("bokeh") is not None
    # Dask looks at every worker a hundred times a second, for what --profile writes.
    watched = {"distributed.worker.profile.enabled": profile is not None}
    with dask.config.set(CONFIG | watched), environment(RSEI_THREADS="1"):
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            memory_limit=memory // workers,
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )
        with cluster, Client(cluster) as client, profiled(profile):
            client.register_plugin(Steadfast())
            yield Workers(client, client.dashboard_link if seen else None, cluster)


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


@contextmanager
def joined_cluster(address: str, profile: Path | None) -> Iterator[Workers]:
    """The workers of the scheduler at ``address``, which stay when the run ends.

    Raises MachineError where none answers.
    """
    try:
        client = Client(address, timeout=ANSWER)
    except (OSError, ValueError, TypeError) as error:  # a TypeError: tls without a certificate
        raise MachineError(
            f"--scheduler {address}: expected a Dask scheduler, found none: {error}; start one "
            "with `dask scheduler`, and name the address that it prints"
        ) from error
    # Where the scheduler dies, Dask logs a page; what we say of it is a line.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    with client, profiled(profile):
        yield Workers(client, client.dashboard_link)


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set variables that processes inherit, for now."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def profiled(profile: Path | None) -> Any:
    """Dask's performance report, written to ``profile`` at the end."""
    if profile is None:
        return nullcontext()
    if find_spec("bokeh") is None:
        raise MachineError("--profile: with workers, it needs bokeh; pip install 'rsei[hpc]'")
    return performance_report(str(profile))
