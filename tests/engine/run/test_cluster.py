# SPDX-License-Identifier: Apache-2.0
"""Tasks of one process: small ones side by side, as far as the memory goes, in their order."""

import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from faulty_tasks import Faulty

from rsei.engine.run.cluster import Alone, Failed
from rsei.engine.run.orders import Stop
from rsei.engine.run.store import Draft, Store
from rsei.engine.run.tasks import Done


@dataclass(frozen=True)
class Meeting(Faulty):
    """A task that ends once so many of its kind are at work."""

    stage: str = "composite"
    met: ClassVar[threading.Barrier]
    most: ClassVar[int] = 0
    now: ClassVar[int] = 0
    lock: ClassVar[threading.Lock] = threading.Lock()

    def make(self, store: Store, draft: Draft) -> None:
        with Meeting.lock:
            Meeting.now += 1
            Meeting.most = max(Meeting.most, Meeting.now)
        Meeting.met.wait(timeout=60)
        with Meeting.lock:
            Meeting.now -= 1
        super().make(store, draft)


def done(people: Alone, tasks: list[Meeting], store: Store, together: int) -> int:
    """The most tasks that were at work at a time."""
    Meeting.met, Meeting.most, Meeting.now = threading.Barrier(together), 0, 0
    found = list(people.each(tasks, store, Stop()))
    assert [one.task for one in found] == tasks
    assert all(isinstance(one, Done) for one in found), found
    return Meeting.most


def test_small_tasks_run_side_by_side(tmp_path: Path) -> None:
    tasks = [Meeting(f"a{i}") for i in range(6)]
    assert done(Alone(3, memory=0), tasks, Store(tmp_path), together=3) == 3


def test_no_more_than_the_memory_holds(tmp_path: Path) -> None:
    tasks = [Meeting(f"a{i}", memory=100) for i in range(6)]
    assert done(Alone(3, memory=250), tasks, Store(tmp_path / "a"), together=2) == 2
    assert done(Alone(3, memory=99), tasks, Store(tmp_path / "b"), together=1) == 1


def test_tasks_of_other_stages_run_one_by_one(tmp_path: Path) -> None:
    tasks = [replace(Meeting(f"a{i}"), stage="partial") for i in range(4)]
    assert done(Alone(3, memory=0), tasks, Store(tmp_path), together=1) == 1


def test_an_error_of_one_is_its_own(tmp_path: Path) -> None:
    tasks = [Faulty(way, way, stage="write") for way in ("good", "damaged", "slow", "bug")]
    found = list(Alone(2).each(tasks, Store(tmp_path), Stop()))
    assert [one.task for one in found] == tasks
    assert [isinstance(one, Failed) for one in found] == [False, True, False, True]


def test_a_stop_lets_those_at_work_end(tmp_path: Path) -> None:
    stop, store = Stop(), Store(tmp_path)
    tasks = [Faulty(f"a{i}", "slow", stage="composite") for i in range(9)]
    found: list[Done | Failed] = []
    with stop.patiently():
        for one in Alone(2).each(tasks, store, stop):
            stop.ask() if not found else None
            found.append(one)
    assert [one.task for one in found] == tasks[: len(found)] and 1 <= len(found) <= 3
    assert len(list(store.markers())) == len(found)
