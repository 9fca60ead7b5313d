# SPDX-License-Identifier: Apache-2.0
"""Carry out tasks in the processes of a Dask cluster, and outlive those that die."""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import fields
from functools import cache, partial
from importlib.util import find_spec
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import dask
import distributed
from distributed import Client, Future, KilledWorker, LocalCluster, WorkerPlugin
from distributed.client import FutureCancelledError
from distributed.core import Status

from ..sources.errors import MachineError, StudyError
from .batches import Batch, Stream
from .cluster import Failed, TaskError, attempt
from .disk import host
from .machine import versions
from .orders import Stop
from .store import Store
from .tasks import Done, Task
from .upkeep import RUN

Answer = Callable[[Task], Done | Failed]
"""What came of a task, once it is said of which."""

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

ANSWER = 30.0
"""Seconds in which a scheduler has to answer."""

LEAST = 512 << 20
"""Bytes that a worker needs for the libraries and one strip."""

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
        is its own fault, not a neighbour's. Raises MachineError where the cluster is lost.
        """
        lost: Counter[str] = Counter()
        alone: list[Task] = []
        stream = Stream(tasks, lambda: AHEAD * self.threads)
        for batch, future in self._ended(stream, store, stop, None):
            if results := self._results(batch, future):
                for result in results:
                    stream.learn(result)
                    yield result
                continue
            for task in batch:
                lost[_label(task)] += 1
                (stream.again if lost[_label(task)] < AMONG else alone).append(task)
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


def _label(task: Task) -> str:
    return f"{task.stage} {task.name}"


def _poison() -> TaskError:
    return TaskError(
        f"its worker died {AMONG + ALONE} times, {ALONE} of them with nothing else at work; it "
        "crashes, or takes more than a worker's memory: see the workers' logs, or try it with "
        "fewer --workers"
    )


def remotely(batch: Batch, store: Store) -> list[Answer]:
    """Carry out tasks in a worker; the answers leave out the tasks, which the asker has."""
    os.environ.setdefault("RSEI_THREADS", "1")  # a worker is one core, unless its owner says more
    return [_answer(task, store) for task in batch]


def _answer(task: Task, store: Store) -> Answer:
    found: Done | Failed
    try:
        require_same(store)
    except MachineError as error:
        found = Failed(task, error)
    else:
        found = attempt(task, store)
    return partial(type(found), **{f.name: getattr(found, f.name) for f in fields(found)[1:]})


def require_same(store: Store) -> None:
    """Raise MachineError in a worker with other software, or without the run's folder."""
    ours = versions_here()
    for name in ("python", "rsei", "numpy", "numba", "rasterio"):
        there, here = store.versions.get(name), ours.get(name)
        if there != here and there is not None:
            raise MachineError(
                f"worker on {host()}: expected {name} {there} as in the run, found {here}; "
                "install the same software on every node"
            )
    if store.disk.size(store.folder / RUN) is None:
        raise MachineError(
            f"worker on {host()}: expected the run folder {store.folder}, found none; workers "
            "need the same file system as the run"
        )


@cache
def versions_here() -> Mapping[str, str]:
    """The software of this process, looked for once."""
    return versions()


class Steadfast(WorkerPlugin):
    """A worker that leaves interruptions, which a terminal sends to all, to the run."""

    def setup(self, worker: Any) -> None:
        """Ignore the signals that ask a run to stop; the run stops its workers itself."""
        for name in ("SIGINT", "SIGUSR1"):
            if number := getattr(signal, name, None):
                signal.signal(number, signal.SIG_IGN)


def require_share(workers: int, memory: int) -> None:
    """Raise StudyError where a worker's share of ``memory`` bytes is too small."""
    if memory // workers < LEAST:
        raise StudyError(
            f"--workers: expected at least {LEAST >> 20} MiB of memory a worker, found "
            f"{memory // workers >> 20} of compute.memory; take fewer workers or set it higher"
        )


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


def profiled(profile: Path | None) -> Any:
    """Dask's performance report, written to ``profile`` at the end."""
    if profile is None:
        return nullcontext()
    if find_spec("bokeh") is None:
        raise MachineError("--profile: with workers, it needs bokeh; pip install 'rsei[hpc]'")
    return distributed.performance_report(str(profile))
