# SPDX-License-Identifier: Apache-2.0
"""Tasks in batches, as a cluster is handed them: short ones together, long ones each by itself."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator

from .cluster import Failed
from .tasks import Done, Task

Batch = tuple[Task, ...]
"""Tasks that are handed out together, and carried out one after the other."""

ROUND = 0.5
"""Seconds of work to hand out at a time: what Dask does for each call takes 15 ms of processors,
twice as long as the shortest tasks."""

MOST = 16
"""Tasks handed out at a time at most."""


class Stream(Iterator[Batch]):
    """Tasks, and whatever is put into ``again``: it may go on after it seemed to end."""

    def __init__(self, tasks: Iterable[Task], slots: Callable[[], int]) -> None:
        self.tasks, self.again, self.slots = deque(tasks), deque[Task](), slots
        self.seconds: float | None = None

    def learn(self, result: Done | Failed) -> None:
        """Know how long a task takes: as the last ones did."""
        if isinstance(result, Done):
            known = result.seconds if self.seconds is None else self.seconds
            self.seconds = (3 * known + result.seconds) / 4

    def __next__(self) -> Batch:
        """The next batch."""
        # Those whose worker died come last: that worker is only just starting again, and one that
        # dies while it starts is given up by Dask. Each by itself, as one of them may be poison.
        if self.tasks:
            return tuple(self.tasks.popleft() for _ in range(self._size()))
        if not self.again:
            raise StopIteration
        return (self.again.popleft(),)

    def _size(self) -> int:
        """Tasks to hand out at a time: one where they are long, or too few for all slots."""
        if self.seconds is None:
            return 1
        fitting = int(ROUND / max(self.seconds, ROUND / MOST))
        return max(1, min(fitting, len(self.tasks) // self.slots()))
