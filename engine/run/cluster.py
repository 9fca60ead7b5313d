# SPDX-License-Identifier: Apache-2.0
"""Where tasks run: in this process, in several of this machine, or on a running cluster."""

import cProfile
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from ...kernels.launch import cores
from ..sources.errors import MachineError, RseiError
from .devices import free_memory, limit_memory, out_of_memory
from .disk import fleeting
from .orders import SLURM, Device, Progress, RunOptions, Stop
from .store import Store
from .tasks import Done, Missing, Task, carry_out, lighter

PAUSES = (1.0, 5.0)
"""Seconds to wait before a task is tried again whose file system failed for a moment."""


HALVINGS = 3
"""Times that a task's memory is halved before it is given up."""

BESIDE = frozenset({"composite", "project", "write"})
"""Stages whose tasks may run side by side in one process: they pack and unpack small rasters, each
on one core and without Python's lock. The others use all cores themselves, or draw."""


class TaskError(RseiError):
    """A task could not be carried out, for a reason that nobody foresaw; the others can."""

    exit_code = 4


@dataclass(frozen=True)
class Failed:
    """A task that could not be done."""

    task: Task
    """The task."""

    error: RseiError
    """Why."""

    trace: str | None = None
    """Where an unforeseen error happened, for the log."""


class Crew(Protocol):
    """Somebody who carries out tasks."""

    def each(self, tasks: Iterable[Task], store: Store, stop: Stop) -> Iterator[Done | Failed]:
        """What came of each task, as they end; when ``stop`` is asked, no other is begun."""


class Alone:
    """This process: one task after the other, and up to ``threads`` of small ones side by side.

    Those that run side by side take ``memory`` bytes at most.
    """

    def __init__(self, threads: int = 1, memory: int = 0) -> None:
        self.threads, self.memory = threads, memory

    def each(self, tasks: Iterable[Task], store: Store, stop: Stop) -> Iterator[Done | Failed]:
        """What came of each task, in their order."""
        running: deque[tuple[Task, Future[Done | Failed]]] = deque()
        with ThreadPoolExecutor(self.threads, "task") as pool:
            for task in tasks:
                while running and not self._has_room(task, [other for other, _ in running]):
                    yield running.popleft()[1].result()
                if stop.asked:
                    break
                if self.threads > 1 and task.stage in BESIDE:
                    running.append((task, pool.submit(attempt, task, store)))
                else:
                    yield attempt(task, store)
            while running:
                yield running.popleft()[1].result()

    def _has_room(self, task: Task, others: list[Task]) -> bool:
        needed = task.memory + sum(other.memory for other in others)
        return task.stage in BESIDE and len(others) < self.threads and needed <= self.memory


def attempt(task: Task, store: Store) -> Done | Failed:
    """Carry out a task; what goes wrong is returned, so that the other tasks go on.

    Where the memory of the machine or of its GPU is too small, the task is tried again in half of
    it, which changes no result, as long as it can do with less.
    """
    tried = task
    for _ in range(HALVINGS + 1):
        try:
            return replace(_attempt(tried, store), task=task)
        except MemoryError:
            pass  # while it is at hand, its traceback keeps every array of the try
        free_memory()
        less = lighter(tried)
        if less is None:
            break
        tried = less
    reason = (
        "not enough memory; set a lower compute.memory, of a GPU compute.device_memory, or fewer "
        "--workers; where a GPU is too small whatever it is cut to, --device cpu"
    )
    return Failed(task, TaskError(reason))


def _attempt(task: Task, store: Store) -> Done | Failed:
    """As ``attempt``, with the memory that it has; raises MemoryError where that is too little."""
    for pause in (*PAUSES, None):
        try:
            return carry_out(task, store)
        except MachineError as error:
            # Half an artefact is never committed, so it can be made once more from the start:
            # calling fsync again would not do, as the second call forgets the first one's loss.
            if pause is None or not fleeting(error):
                return Failed(task, error)
            time.sleep(pause)
        except RseiError as error:
            return Failed(task, error)
        except Missing as error:
            gone = f"{store.folder}: {error}; was it removed while the run went on? Run it again"
            return Failed(task, MachineError(gone))
        except Exception as error:
            if out_of_memory(error):
                raise MemoryError from error
            reason = f"unexpected {type(error).__name__}: {error}; please report it with the log"
            return Failed(task, TaskError(reason), traceback.format_exc())
    raise AssertionError("the last try returns")


@contextmanager
def _profiled(file: Path | None) -> Iterator[None]:
    """Write where this thread's time goes to ``file``, for ``python -m pstats`` or snakeviz."""
    if file is None:
        yield
        return
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(file)


@contextmanager
def crew(
    options: RunOptions,
    memory: int,
    progress: Progress,
    device: Device = "cpu",
    device_memory: int | None = None,
) -> Iterator[Crew]:
    """Who carries out the tasks: a cluster, ``memory`` bytes of processes, or this one.

    Each of them takes ``device_memory`` bytes of its GPU, if the tasks are for one.

    Raises MachineError where the scheduler does not answer, StudyError where the workers' share of
    the memory is too small.
    """
    if options.scheduler is None and options.workers < 2:
        # A profile follows one thread, and a GPU has the memory for one task.
        beside = options.profile is None and device == "cpu"
        if device_memory is not None:
            limit_memory(device_memory)
        with _profiled(options.profile):
            yield Alone(cores() if beside else 1, memory)
        return
    from . import clusters  # takes a second to import

    if options.scheduler == SLURM:
        people = clusters.slurm_jobs(options.workers, memory, options.profile)
    elif options.scheduler:
        people = clusters.joined_cluster(options.scheduler, options.profile)
    elif device == "cuda":
        people = clusters.gpus(options.workers, memory, device_memory, options.profile)
    else:
        people = clusters.processes(options.workers, memory, options.profile)
    with people as found:
        if found.dashboard:
            progress.say(f"dashboard: {found.dashboard}")
        yield found
