# SPDX-License-Identifier: Apache-2.0
"""One wave of a run's tasks: which are carried out now, and what came of them."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cached_property

from ..sources.errors import GranuleError, MachineError, RseiError
from .budgets import refusal
from .cluster import Crew, Failed
from .driving import DriverTask
from .forests import ForestTask
from .journal import Journal
from .layers import LayerTask
from .orders import Progress, Stop
from .shards import Ready, Shard
from .store import Store
from .tasks import Done, Task, committed, glanced, label

SPARED = LayerTask, DriverTask, ForestTask
"""Tasks that a study can do without: where all of them fail, it goes on and says so."""


@dataclass
class Tally:
    """What came of a run so far."""

    left: int | None
    """Tasks that may still be carried out; None: any number."""

    done: int = 0
    """Tasks carried out."""

    committed: int = 0
    """Tasks found done."""

    failed: list[Failed] = field(default_factory=list)
    """Tasks given up."""

    lost: set[str] = field(default_factory=set)
    """Tasks given up, and those that cannot be done without them, as ``stage name``."""

    spent: bool = False
    """Whether tasks were left for another time."""

    left_to_others: int = 0
    """Tasks of other shares, and those that wait for them."""


@dataclass
class Team:
    """Who takes part in a run."""

    call: Callable[[], AbstractContextManager[Crew]]
    """Calls those who carry out the tasks: processes that take seconds to start."""

    until: ExitStack
    """How long they stay."""

    progress: Progress
    """Who watches."""

    stop: Stop
    """Who may end it."""

    @cached_property
    def people(self) -> Crew:
        """Who carries out the tasks, called when there is something to do."""
        return self.until.enter_context(self.call())

    def summon(self) -> None:
        """Call them now."""
        _ = self.people


def share(
    tasks: tuple[Task, ...], shard: Shard | None, ready: Ready, tally: Tally
) -> tuple[Task, ...]:
    """The tasks of this share that can be done now; without shares, all."""
    if shard is None:
        return tasks
    mine = tuple(task for task in tasks if shard.takes(task) and all(map(ready, task.inputs)))
    tally.left_to_others += len(tasks) - len(mine)
    return mine


def carry_out_wave(
    stage: str, tasks: Sequence[Task], team: Team, journal: Journal, tally: Tally
) -> None:
    """Carry out the tasks of a wave; raises the first error where every one that counts fails."""
    counting = {label(task) for task in tasks if not isinstance(task, SPARED)}
    lost = {label(task) for task in tasks if not tally.lost.isdisjoint(task.inputs)}
    tally.lost |= lost
    possible = [task for task in tasks if label(task) not in lost]
    possible = _affordable(possible, team, journal, tally, counting)
    todo = _allowed(possible, journal.store, tally)
    team.progress.begin(stage, len(todo), sum(task.read for task in todo))
    done, begun = [], time.monotonic()
    for one in _carried_out(todo, team, journal.store):
        found = isinstance(one, Done) and not one.fresh
        team.progress.advance(stage, 1, one.task.read, found)
        if isinstance(one, Done):
            journal.note(one)
            done.append(one)
            tally.done += one.fresh
            tally.committed += not one.fresh
            continue
        _give_up(one, team, journal, tally, counting)
        if _ends_the_run(one.error, journal):
            raise _end(one, tally) from one.error
    journal.stage(stage, done, time.monotonic() - begun)
    if counting and counting <= tally.lost:
        raise _end(_first(tally), tally) from _first(tally).error


def _carried_out(tasks: list[Task], team: Team, store: Store) -> Iterator[Done | Failed]:
    """What came of each task: those that are seen to be done already are handed to nobody."""
    left = []
    for task in tasks:
        begun = time.monotonic()
        if marker := glanced(task, store):
            yield Done(task, marker, fresh=False, seconds=time.monotonic() - begun)
        else:
            left.append(task)
        if team.stop.asked:
            return
    if left:
        yield from team.people.each(left, store, team.stop)


def _affordable(
    tasks: list[Task], team: Team, journal: Journal, tally: Tally, counting: set[str]
) -> list[Task]:
    """The tasks without those that need more memory than there is, which are given up."""
    budget = journal.survey.study.compute.memory_bytes
    kept = []
    for task in tasks:
        error = refusal(task, budget)
        if error is None or committed(task, journal.store):
            kept.append(task)
        else:
            _give_up(Failed(task, error), team, journal, tally, counting)
    return kept


def _give_up(one: Failed, team: Team, journal: Journal, tally: Tally, counting: set[str]) -> None:
    """Note a task that could not be done, and say so, unless it is what the run ends with."""
    tally.failed.append(one)
    tally.lost.add(label(one.task))
    reason = {"reason": str(one.error)} | ({"trace": one.trace} if one.trace else {})
    journal.log("failed", stage=one.task.stage, task=one.task.name, **reason)
    none_left = bool(counting) and counting <= tally.lost and one is _first(tally)
    if not (none_left or _ends_the_run(one.error, journal)):
        team.progress.say(f"failed: {_told(one)}")


def _first(tally: Tally) -> Failed:
    """The first failure that counts, of some."""
    return next(one for one in tally.failed if not isinstance(one.task, SPARED))


def _end(one: Failed, tally: Tally) -> RseiError:
    """What the run ends with: this failure, and how many more there were."""
    more = len(tally.failed) - 1
    told = f" (and {more} more failed)" if more else ""
    return type(one.error)(f"{_told(one)}{told}")


def _told(one: Failed) -> str:
    """The task and why it failed; some reasons name the task themselves."""
    name = f"{label(one.task)}: "
    return name + str(one.error).removeprefix(name)


def _allowed(tasks: list[Task], store: Store, tally: Tally) -> list[Task]:
    """The tasks to look at now: with a limit, as many open ones as it leaves."""
    if tally.left is None:
        return tasks
    chosen, room = [], tally.left - tally.done
    for task in tasks:
        is_open = committed(task, store) is None
        if is_open and room <= 0:
            tally.spent = True
            break
        room -= is_open
        chosen.append(task)
    return chosen


def _ends_the_run(error: RseiError, journal: Journal) -> bool:
    """Whether going on makes no sense: the disk is at fault, or damaged granules are errors."""
    if isinstance(error, MachineError):
        return True
    damaged = isinstance(error, GranuleError)
    return damaged and journal.survey.study.granules.on_bad_granule == "error"
