# SPDX-License-Identifier: Apache-2.0
"""Tasks that go wrong in every way a worker can."""

import ctypes
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed.chaos import KillWorker

from rsei.engine.run.answers import versions_here
from rsei.engine.run.store import Draft, Key, Store
from rsei.engine.sources.errors import GranuleError, MachineError

RELEASED = "released"
"""Name of a file, in the run folder, that lets tasks that are held go on."""


def exit_() -> None:
    os._exit(3)


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfault() -> None:
    ctypes.string_at(0)


def damaged() -> None:
    raise GranuleError("a.hdf: truncated")


def bug() -> None:
    raise ZeroDivisionError("division by zero")


def memory() -> None:
    raise MemoryError


def hoard() -> None:
    """Take more memory than a worker has."""
    held = []
    while True:
        held.append(b"x" * (64 << 20))
        time.sleep(0.05)


def full() -> None:
    raise MachineError("the disk is full")


def slow() -> None:
    time.sleep(0.7)


def brief() -> None:
    time.sleep(0.2)


def good() -> None:
    return


WAYS: dict[str, Callable[[], None]] = {
    f.__name__.strip("_"): f
    for f in (exit_, kill, segfault, damaged, bug, memory, hoard, full, slow, brief, good)
}


def held(run: Path) -> None:
    """Wait until RELEASED is in the run folder; a minute at most, as whoever puts it may fail."""
    end = time.monotonic() + 60
    while time.monotonic() < end and not (run / RELEASED).exists():
        time.sleep(0.01)


def waiting(dask_worker: Any) -> int:
    """How many tasks a worker has that it has not begun."""
    return len(dask_worker.state.ready)


def unread(name: str) -> "Faulty":
    """What a worker finds of a task that it cannot read."""
    raise LookupError(f"{name} cannot be read")


@dataclass(frozen=True)
class Unreadable:
    """A task that is lost on its way to a worker."""

    task: "Faulty"

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "task"), name)

    def __reduce__(self) -> tuple[Any, ...]:
        return unread, (self.task.name,)


@dataclass(frozen=True)
class Faulty:
    """A task that goes wrong, always or so many times."""

    name: str
    way: str = "good"
    times: int = 1 << 30
    stage: str = "partial"
    inputs: tuple[str, ...] = ()
    read: int = 100
    write: int = 6
    memory: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        return (f"store/{self.name}.bin",)

    def key(self, store: Store) -> Key:
        return Key(self.stage, self.name, 1, {}, {})

    def tries(self, store: Store) -> int:
        """How often it was begun."""
        return len(list((store.folder / "begun").glob(f"{self.name}-*")))

    def make(self, store: Store, draft: Draft) -> None:
        begun = store.folder / "begun"
        begun.mkdir(exist_ok=True)
        (begun / f"{self.name}-{time.monotonic_ns()}").touch()
        path: Path = draft.paths[self.files[0]]
        path.write_bytes(b"half")
        if self.way == "held":
            held(store.folder)
        elif self.tries(store) <= self.times:
            WAYS[self.way]()
        path.write_bytes(b"pixels")


class Killer(KillWorker):
    """Dask's own, which begins to count once the worker has imported and asked all it needs.

    On a busy machine that takes as long as a worker lives here, and none would end a task.
    """

    async def setup(self, worker: object) -> None:
        """Be ready, and then mortal."""
        versions_here()
        await super().setup(worker)
