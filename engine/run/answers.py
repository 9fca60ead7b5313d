# SPDX-License-Identifier: Apache-2.0
"""What a worker does: it carries out the tasks that it is handed, and answers for each."""

import os
from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache, partial

from ..sources.errors import MachineError
from .batches import Batch
from .cluster import Failed, attempt
from .disk import host
from .machine import versions
from .store import Store
from .tasks import Done, Task
from .upkeep import RUN

Answer = Callable[[Task], Done | Failed]
"""What came of a task, once it is said of which."""


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
