# SPDX-License-Identifier: Apache-2.0
"""One task: one call on one tile and year, or on one area and epoch, that commits one artefact."""

import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from ...kernels.launch import cores
from ..sources.errors import InputError
from .blocks import let_go
from .devices import marked
from .disk import Disk, host
from .store import Draft, Key, Marker, Store


class Task(Protocol):
    """What a worker can carry out; it is sent to one whole, and returns a marker."""

    @property
    def stage(self) -> str:
        """Stage of the run."""

    @property
    def name(self) -> str:
        """The artefact within its stage."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The artefacts it is made of, as ``stage name``; without them it cannot be made."""

    @property
    def files(self) -> tuple[str, ...]:
        """Paths, in the run folder, of what it writes; none where the marker says it all."""

    @property
    def read(self) -> int:
        """Bytes it reads."""

    @property
    def write(self) -> int:
        """Bytes it writes, before compression."""

    @property
    def memory(self) -> int:
        """Most bytes of memory it takes."""

    def key(self, store: Store) -> Key:
        """All that its result depends on. Raises LookupError while an input is not made yet."""

    def make(self, store: Store, draft: Draft) -> None:
        """Write its files and its payload."""


def label(task: Task) -> str:
    """What a task is called among all tasks of a run: its stage and its name."""
    return f"{task.stage} {task.name}"


@dataclass(frozen=True)
class Done:
    """What came of a task."""

    task: Task
    """The task."""

    marker: Marker
    """The proof that its artefact is complete."""

    fresh: bool
    """Whether it was made now; it was there before otherwise."""

    seconds: float
    """Time it took."""

    host: str = field(default_factory=host)
    """Machine that it was done on."""


def carry_out(task: Task, store: Store) -> Done:
    """Make what ``task`` asks for, unless it is committed already."""
    begun = time.monotonic()
    key = task.key(store)
    if marker := store.find(key):
        return Done(task, marker, fresh=False, seconds=time.monotonic() - begun)
    if task.stage != "partial":
        let_go()  # the rooms that granules are read into, which no other stage has
    with marked(label(task)), store.writing(key, task.files) as draft:
        task.make(store, draft)
    if draft.marker is None:
        raise RuntimeError(f"{label(task)}: expected a marker after the commit")
    return Done(task, draft.marker, fresh=True, seconds=time.monotonic() - begun)


def lighter(task: Task) -> Task | None:
    """The same task, of what it takes at a time half; None where it cannot do with less.

    What it ``held`` beside, if it says so, no budget makes less.
    """
    budget = getattr(task, "budget", None)
    if budget is None:
        return None
    less = min(budget, task.memory - getattr(task, "held", 0)) // 2
    found: Task = replace(task, budget=less)  # type: ignore[type-var]
    return found if found.memory < task.memory else None


def committed(task: Task, store: Store) -> Marker | None:
    """The marker of what ``task`` would make; None where it is still to be made."""
    if store.marker(task.stage, task.name) is None:
        return None  # before its key, which for a partial hashes every granule
    try:
        return store.find(task.key(store))
    except LookupError:
        return None


class Glancing(Disk):
    """A disk of which nothing is hashed: whoever needs a checksum does without an answer."""

    def checksum(self, path: Path) -> str:
        """Raises Missing."""
        raise Missing(f"the checksum of {path} is not known yet")


def glanced(task: Task, store: Store) -> Marker | None:
    """As ``committed``, where that can be told without hashing a file, such as by their times."""
    try:
        return committed(task, replace(store, disk=Glancing()))
    except Exception:  # whoever carries it out meets it again, and says what it is
        return None


class Missing(LookupError):
    """An input of a task is not made yet."""


def need(store: Store, stage: str, name: str) -> Marker:
    """The marker of an input. Raises Missing where it is not made yet."""
    marker = store.marker(stage, name)
    if marker is None:
        raise Missing(f"{stage} {name} is not made yet")
    return marker


@dataclass(frozen=True)
class Print:
    """A file as it was when it was last hashed: the same size and time mean the same bytes."""

    size: int
    """Bytes."""

    time: int
    """Time of the last change, ns."""

    sha256: str
    """Checksum, hexadecimal."""


def fingerprints(
    files: Sequence[Path], folder: Path, store: Store, known: Mapping[str, Any]
) -> dict[str, Print]:
    """Checksum of each file by its path in ``folder``; those in ``known`` are not hashed again.

    Raises InputError for a file that is gone.
    """

    prints: dict[str, Print] = {}
    changed: dict[str, tuple[Disk, Path, int, int]] = {}
    for path in files:
        name = os.path.relpath(path, folder)
        try:
            found = path.stat()
        except OSError as error:
            raise InputError(f"{path}: expected a file, found none: {error.strerror}") from error
        old = known.get(name)
        if old and (old["size"], old["time"]) == (found.st_size, found.st_mtime_ns):
            prints[name] = Print(**old)
        else:
            changed[name] = store.disk, path, found.st_size, found.st_mtime_ns
    if cores() > 1 and len(changed) > 1:
        with ThreadPoolExecutor(cores(), "hash") as hashers:
            hashed = hashers.map(_hashed, *zip(*changed.values()))
            return prints | dict(zip(changed, hashed))
    return prints | {name: _hashed(*one) for name, one in changed.items()}


@lru_cache(maxsize=4096)
def _hashed(disk: Disk, path: Path, size: int, time_ns: int) -> Print:
    """The print of a file; kept, as a task asks for it before it is made and while it is."""
    return Print(size, time_ns, disk.checksum(path))
