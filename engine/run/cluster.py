"""Where tasks run: in this process, or in several on this machine."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

from ..sources.errors import RseiError
from .store import Store
from .tasks import Done, Task, carry_out

AHEAD = 3
"""Tasks handed out for each worker: the next is at hand while the last one's marker travels."""


@dataclass(frozen=True)
class Failed:
    """A task that could not be done."""

    task: Task
    """The task."""

    error: RseiError
    """Why."""


class Crew(Protocol):
    """Somebody who carries out tasks."""

    def each(self, tasks: Iterable[Task], store: Store) -> Iterator[Done | Failed]:
        """What came of each task, as they end; other errors than the user's are raised."""


class Alone:
    """This process, one task after the other; a task uses every core for itself."""

    def each(self, tasks: Iterable[Task], store: Store) -> Iterator[Done | Failed]:
        """What came of each task, in their order."""
        for task in tasks:
            yield attempt(task, store)


def attempt(task: Task, store: Store) -> Done | Failed:
    """Carry out a task; the user's errors are returned, others raised."""
    try:
        return carry_out(task, store)
    except RseiError as error:
        return Failed(task, error)


class Workers:
    """Processes of a Dask cluster, one thread each."""

    def __init__(self, client: Any, workers: int) -> None:
        self.client, self.workers = client, workers

    def each(self, tasks: Iterable[Task], store: Store) -> Iterator[Done | Failed]:
        """What came of each task, as they end; few are handed out at a time."""
        from distributed import as_completed

        waiting = iter(tasks)

        def hand_out(count: int) -> list[Any]:
            return [
                self.client.submit(attempt, task, store, pure=False)
                for task in islice(waiting, count)
            ]

        running = as_completed(hand_out(AHEAD * self.workers))
        for future in running:
            yield future.result()
            for more in hand_out(1):
                running.add(more)


@contextmanager
def crew(workers: int, memory: int) -> Iterator[Crew]:
    """``workers`` processes that share ``memory`` bytes; this one where it is enough."""
    if workers < 2:
        yield Alone()
        return
    from distributed import Client, LocalCluster

    threads = os.environ.get("RSEI_THREADS")
    os.environ["RSEI_THREADS"] = "1"  # inherited: a worker is one core
    cluster = LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        memory_limit=memory // workers,
        dashboard_address=None,
        silence_logs=True,
    )
    try:
        with Client(cluster) as client:
            yield Workers(client, workers)
    finally:
        os.environ.pop("RSEI_THREADS")
        if threads is not None:
            os.environ["RSEI_THREADS"] = threads
        cluster.close()
