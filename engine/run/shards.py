# SPDX-License-Identifier: Apache-2.0
"""Shares of a run's tasks, for jobs of a batch system that know nothing of each other."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from ..sources.errors import StudyError
from .store import Store
from .tasks import Task, committed, label

SHARED = ("partial", "composite", "project", "write")
"""Stages whose tasks are shared out; the others reduce kilobytes, and one run makes them."""

SCALE = "/scale"
"""Ending of the tasks of those stages that gather what all shares made: one run makes them."""


@dataclass(frozen=True)
class Shard:
    """One share of the tasks."""

    index: int
    """Which share, 0 up to, not including, ``count``."""

    count: int
    """Number of shares."""

    @classmethod
    def of(cls, text: str) -> Self:
        """The share written ``i/n``; ``n/n`` is ``0/n``, so that arrays may count from 0 or 1.

        Raises StudyError for anything else.

        >>> Shard.of("3/8"), Shard.of("8/8")
        (Shard(index=3, count=8), Shard(index=0, count=8))
        """
        found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text, re.ASCII)
        index, count = map(int, found.groups()) if found else (1, 0)
        if not index <= count or count == 0:
            raise StudyError(
                f"--shard: expected i/n with i from 0 to n - 1 or from 1 to n, found {text!r}"
            )
        return cls(index % count, count)

    def takes(self, task: Task) -> bool:
        """Whether the task is in this share; that hangs on its name alone, in any order or run."""
        if task.stage not in SHARED or task.name.endswith(SCALE):
            return False
        digest = hashlib.sha256(task.name.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index


@dataclass
class Ready:
    """Which artefacts are as the study wants them; each is looked for once."""

    store: Store
    """The run folder."""

    tasks: dict[str, Task] = field(default_factory=dict)
    """Tasks of the stages so far, as ``stage name``."""

    found: dict[str, bool] = field(default_factory=dict)
    """What was found."""

    def add(self, tasks: Iterable[Task]) -> None:
        """Know the tasks of a further stage."""
        self.tasks |= {label(task): task for task in tasks}

    def __call__(self, name: str) -> bool:
        """Whether the artefact, and all that it is made of, is committed."""
        if name not in self.found:
            task = self.tasks[name]
            sound = all(self(one) for one in task.inputs)
            self.found[name] = sound and committed(task, self.store) is not None
        return self.found[name]
