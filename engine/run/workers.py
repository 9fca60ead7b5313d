# SPDX-License-Identifier: Apache-2.0
"""Carry out tasks in the processes of a Dask cluster, and outlive those that die."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any

from distributed import Client, Future, KilledWorker, LocalCluster
from distributed.client import FutureCancelledError
from distributed.core import Status

from ..sources.errors import MachineError
from ..sources.headers import State, state_of
from .answers import remotely
from .batches import Batch, Stream
from .cluster import Failed, TaskError
from .orders import Stop
from .store import Store
from .tasks import Done, Task, label

AHEAD = 3
"""Batches handed out for each worker: the next is at hand while the last one's markers travel."""

AMONG = 2
"""Workers that a task may lose among others: Dask also blames those that only stood in line."""

ALONE = 2
"""Workers that a task may lose alone on the cluster before it is given up: once can be chance."""

PULSE = 5.0
"""Seconds between two looks at a cluster that sends no result."""

PATIENCE = 300.0
"""Seconds that a cluster may be without any worker, such as between two jobs of a queue."""

SETTLED = 60.0
"""Most seconds to wait until every worker answers."""


class Workers:
    """The processes of a Dask cluster, which may come and go."""

    def __init__(
        self,
        client: Client,
        dashboard: str | None,
        own: LocalCluster | None = None,
        patience: float = PATIENCE,
    ) -> None:
        self.client, self.dashboard, self.own, self.patience = client, dashboard, own, patience
        self.wanted = len(own.worker_spec) if own else 0
        self.threads, self.asked, self.seen = 1, -PULSE, time.monotonic()

    def each(self, tasks: Iterable[Task], store: Store, stop: Stop) -> Iterator[Done | Failed]:
        """What came of each task, as they end.

        A task whose worker died is tried again among the others, and then alone: what dies then
        is its own fault, not a neighbour's. Where it was committed before the worker died, it is
        done and not found done. Raises MachineError where the cluster is lost.
        """
        tasks, lost = list(tasks), Counter[str]()
        before = {label(task): _mark(task, store) for task in tasks}
        for one in self._tried(tasks, lost, store, stop):
            name = label(one.task)
            if isinstance(one, Done) and lost[name] and _mark(one.task, store) != before[name]:
                one = replace(one, fresh=True)
            yield one

    def _tried(
        self, tasks: list[Task], lost: Counter[str], store: Store, stop: Stop
    ) -> Iterator[Done | Failed]:
        """What came of each task; ``lost`` counts the workers that each has lost."""
        alone: list[Task] = []
        stream = Stream(tasks, lambda: AHEAD * self.threads)
        for batch, future in self._ended(stream, store, stop, None):
            if results := self._results(batch, future):
                for result in results:
                    stream.learn(result)
                    yield result
                continue
            for task in batch:
                lost[label(task)] += 1
                (stream.again if lost[label(task)] < AMONG else alone).append(task)
        for task in alone:
            yield from self._alone(task, store, stop)

    def _alone(self, task: Task, store: Store, stop: Stop) -> Iterator[Done | Failed]:
        """What came of a task that has the cluster to itself; nothing where the run stopped."""
        for _ in range(ALONE):
            self._settle()
            for batch, future in self._ended(iter([(task,)]), store, stop, 1):
                if results := self._results(batch, future):
                    yield from results
                    return
        if not stop.asked:
            yield Failed(task, _poison())

    def _ended(
        self, batches: Iterator[Batch], store: Store, stop: Stop, most: int | None
    ) -> Iterator[tuple[Batch, Future]]:
        """Tasks with their ended futures; ``most`` batches are handed out at a time."""
        ended: SimpleQueue[Future] = SimpleQueue()
        running: dict[str, tuple[Batch, Future]] = {}
        stopping = False
        try:
            while True:
                cores = self._cores()  # also where it is not needed: it sees to lost workers
                room = 0 if stop.asked else (most or AHEAD * cores) - len(running)
                for _, batch in zip(range(room), batches):
                    future = self.client.submit(remotely, batch, store, pure=False)
                    running[future.key] = batch, future
                    future.add_done_callback(ended.put)
                if not running:
                    return
                if stop.asked and not stopping:
                    stopping = True
                    self._call_back(running)
                try:
                    future = ended.get(timeout=PULSE)
                except Empty:
                    continue
                found = running.pop(future.key, None)  # none where it was taken back
                if found and not (stop.asked and future.status == "error"):
                    yield found
        finally:
            self.client.cancel([future for _, future in running.values()], force=True)

    def _settle(self) -> None:
        """Wait until every worker answers, so that none dies of what came before."""
        end = time.monotonic() + SETTLED
        while time.monotonic() < end:
            try:
                if self.client.run(os.getpid):
                    return
            except Exception:  # one is dead, and the scheduler has not noticed
                pass
            self._cores()
            time.sleep(0.2)

    def _call_back(self, running: dict[str, tuple[Batch, Future]]) -> None:
        """Take back the tasks that no worker has begun yet."""
        begun = {key for keys in self.client.run(_begun).values() for key in keys}
        for key, (_, future) in list(running.items()):
            if key not in begun and not future.done():
                del running[key]
                self.client.cancel([future], force=True)

    def _results(self, batch: Batch, future: Future) -> list[Done | Failed] | None:
        """What came of each task; None where they are to be tried again, each by itself.

        Their worker died, or one of several could not be read there, or its answer here.
        """
        try:
            # An answer that was lost with its worker is waited for: Dask asks for it once more.
            return [said(task) for said, task in zip(future.result(), batch, strict=True)]
        except KilledWorker:
            return None
        except FutureCancelledError:
            raise MachineError(self._gone()) from None
        except Exception as error:
            if len(batch) > 1:
                return None
            reason = f"unexpected {type(error).__name__} in a worker: {error}"
            return [Failed(batch[0], TaskError(reason))]

    def _cores(self) -> int:
        """Threads of all workers, asked for now and then: a cluster may grow and shrink.

        Raises MachineError where the scheduler is gone, or no worker came for long.
        """
        now = time.monotonic()
        if now - self.asked < PULSE:
            return self.threads
        if self.client.status == "closed":
            raise MachineError(self._gone())
        if self.client.status == "running":
            found = sum(self.client.nthreads().values())
            self.asked, self.threads = now, max(1, found)
            self.seen = now if found else self.seen
            if self.own and found < self.wanted:
                _replace(self.own, self.wanted)
        if now - self.seen > self.patience:
            raise MachineError(
                f"{self._address}: expected workers, found none for {self.patience:.0f} s; start "
                "some, or see their logs for why they end"
            )
        return self.threads

    @property
    def _address(self) -> str:
        return str(self.client.scheduler.address if self.client.scheduler else "the cluster")

    def _gone(self) -> str:
        return f"{self._address}: lost the scheduler; start it again, then the same command"


def _replace(cluster: LocalCluster, wanted: int) -> None:
    """Start new workers in place of those that Dask has given up, which it would not miss yet."""
    for name, nanny in list(cluster.workers.items()):
        if nanny.status in (Status.closed, Status.failed):
            cluster.workers.pop(name, None)
    cluster.scale(wanted)


def _begun(dask_worker: Any) -> list[str]:
    """Keys of the tasks that a worker is carrying out."""
    return [task.key for task in dask_worker.state.executing]


def _mark(task: Task, store: Store) -> State:
    """What tells whether the marker of a task is the one that it was."""
    return state_of(store.marker_path(task.stage, task.name))


def _poison() -> TaskError:
    return TaskError(
        f"its worker died {AMONG + ALONE} times, {ALONE} of them with nothing else at work; it "
        "crashes, or takes more than a worker's memory: see the workers' logs, or try it with "
        "fewer --workers"
    )
