"""Where tasks run: in this process, in several of this machine, or on a running cluster."""

import cProfile
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..sources.errors import MachineError, RseiError
from .disk import fleeting
from .orders import Progress, RunOptions, Stop
from .store import Store
from .tasks import Done, Missing, Task, carry_out

PAUSES = (1.0, 5.0)
"""Seconds to wait before a task is tried again whose file system failed for a moment."""


class TaskError(RseiError):
    """A task could not be carried out, for a reason that nobody foresaw; the others can."""

    exit_code = 4


@dataclass(frozen=True)
class Failed:
    """A task that could not be done."""

    task: Task
    """The task."""

    error: RseiError
    """Why."""

    trace: str | None = None
    """Where an unforeseen error happened, for the log."""


class Crew(Protocol):
    """Somebody who carries out tasks."""

    def each(self, tasks: Iterable[Task], store: Store, stop: Stop) -> Iterator[Done | Failed]:
        """What came of each task, as they end; when ``stop`` is asked, no other is begun."""


class Alone:
    """This process, one task after the other; a task uses every core for itself."""

    def each(self, tasks: Iterable[Task], store: Store, stop: Stop) -> Iterator[Done | Failed]:
        """What came of each task, in their order."""
        for task in tasks:
            if stop.asked:
                return
            yield attempt(task, store)


def attempt(task: Task, store: Store) -> Done | Failed:
    """Carry out a task; what goes wrong is returned, so that the other tasks go on."""
    for pause in (*PAUSES, None):
        try:
            return carry_out(task, store)
        except MachineError as error:
            # Half an artefact is never committed, so it can be made once more from the start:
            # calling fsync again would not do, as the second call forgets the first one's loss.
            if pause is None or not fleeting(error):
                return Failed(task, error)
            time.sleep(pause)
        except RseiError as error:
            return Failed(task, error)
        except Missing as error:
            gone = f"{store.folder}: {error}; was it removed while the run went on? Run it again"
            return Failed(task, MachineError(gone))
        except MemoryError:
            reason = "not enough memory; set a lower compute.memory, or fewer --workers"
            return Failed(task, TaskError(reason))
        except Exception as error:
            reason = f"unexpected {type(error).__name__}: {error}; please report it with the log"
            return Failed(task, TaskError(reason), traceback.format_exc())
    raise AssertionError("the last try returns")


@contextmanager
def _profiled(file: Path | None) -> Iterator[None]:
    """Write where this thread's time goes to ``file``, for ``python -m pstats`` or snakeviz."""
    if file is None:
        yield
        return
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(file)


@contextmanager
def crew(options: RunOptions, memory: int, progress: Progress) -> Iterator[Crew]:
    """Who carries out the tasks: a running cluster, ``memory`` bytes of processes, or this one.

    Raises MachineError where the scheduler does not answer, StudyError where the workers' share of
    the memory is too small.
    """
    if options.scheduler is None and options.workers < 2:
        with _profiled(options.profile):
            yield Alone()
        return
    from . import workers  # takes a second to import

    if options.scheduler:
        people = workers.joined_cluster(options.scheduler, options.profile)
    else:
        people = workers.processes(options.workers, memory, options.profile)
    with people as found:
        if found.dashboard:
            progress.say(f"dashboard: {found.dashboard}")
        yield found
