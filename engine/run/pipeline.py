"""Which stages run in which order: the one place that calls them."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..sources.errors import GranuleError, Interrupted, MachineError, RseiError, StudyError
from .analyses import area_tasks
from .cluster import Crew, Failed, crew
from .composites import composite_tasks, water_tasks
from .devices import choice, versions
from .driving import DriverTask, driver_tasks, layer_tasks
from .forests import ForestTask, forest_tasks
from .journal import Journal, refuse_damaged
from .layers import LayerTask
from .maps import index_tasks, write_tasks
from .orders import (
    STAGES,
    MissingDate,
    Outcome,
    Plan,
    Progress,
    RunOptions,
    StagePlan,
    Status,
    Stop,
)
from .partials import partial_tasks
from .projections import project_tasks
from .reading import load
from .reductions import reduce_tasks
from .reporting import figure_tasks, page_tasks
from .runtables import table_tasks
from .scales import scale_tasks
from .shards import Ready, Shard
from .store import Store
from .study import Study
from .survey import Survey, survey
from .tasks import Done, Task, committed
from .upkeep import RUN, expect_run, joined

WAVES: tuple[tuple[str, Callable[[Survey, str], tuple[Task, ...]]], ...] = (
    ("partial", partial_tasks),
    ("composite", water_tasks),
    ("composite", composite_tasks),
    ("reduce", reduce_tasks),
    ("project", project_tasks),
    ("project", scale_tasks),
    ("write", write_tasks),
    ("write", index_tasks),
    ("analyse", area_tasks),
    ("analyse", layer_tasks),
    ("analyse", driver_tasks),
    ("analyse", forest_tasks),
    ("analyse", table_tasks),
    ("report", figure_tasks),
    ("report", page_tasks),
)
"""Stage, and what makes its tasks of the survey and the processor: a wave needs those before."""

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


@dataclass(frozen=True)
class Team:
    """Who takes part in a run."""

    people: Crew
    """Who carries out the tasks."""

    progress: Progress
    """Who watches."""

    stop: Stop
    """Who may end it."""


def plan(study: Study) -> Plan:
    """What a run would do; changes nothing.

    Raises RseiError for whatever would end the run before its first task.
    """
    found = survey(study)
    store = Store(study.study.out)
    processor = choice(study.compute.device, _size(found))
    return Plan(
        study=study.study.name,
        out=study.study.out,
        device=f"{processor.device} ({processor.reason})",
        budget=study.compute.memory_bytes,
        areas=tuple((place.area.name, place.window.size) for place in found.places),
        stages=_stage_plans(found, store),
        granules=found.used,
        skipped=len(found.catalogue.skipped),
        bad=tuple((bad.path, bad.reason) for bad in found.bad),
        missing=tuple(
            MissingDate(product, day, tile)
            for product, day, tile, status in found.coverage()
            if status == "missing"
        ),
        warnings=found.warnings,
    )


def _size(found: Survey) -> int:
    """Bytes of every granule that the study reads."""
    return sum(task.read for task in partial_tasks(found, "cpu"))


def _waves(found: Survey, store: Store) -> list[tuple[str, tuple[Task, ...], list[Task]]]:
    """Stage, tasks and open tasks of each wave; what is made of something open is open too."""
    open_: set[str] = set()
    waves = []
    for stage, make in WAVES:
        tasks = make(found, "cpu")
        left = [t for t in tasks if open_ & set(t.inputs) or committed(t, store) is None]
        open_ |= {f"{task.stage} {task.name}" for task in left}
        waves.append((stage, tasks, left))
    return waves


def _stage_plans(found: Survey, store: Store) -> tuple[StagePlan, ...]:
    plans: dict[str, StagePlan] = {}
    for stage, tasks, left in _waves(found, store):
        before = plans.get(stage, StagePlan(stage, 0, 0, 0, 0, 0))
        plans[stage] = StagePlan(
            stage=stage,
            tasks=before.tasks + len(tasks),
            committed=before.committed + len(tasks) - len(left),
            read=before.read + sum(task.read for task in left),
            write=before.write + sum(task.write for task in left),
            memory=max([before.memory, *(task.memory for task in tasks)]),
        )
    return tuple(plans.values())


def run(study: Study, options: RunOptions, progress: Progress, stop: Stop | None = None) -> Outcome:
    """Carry out a study up to ``options.until``; what is committed already is not done again.

    A task that fails is reported and the others go on, unless nothing is left to do without it.
    With ``options.shard``, tasks of the other shares, and those that wait for them, are left.
    Raises RseiError where the study cannot go on; Interrupted, after the tasks at hand, when
    ``stop`` is asked.
    """
    stop = stop or Stop()
    store = Store(study.study.out, versions())
    with joined(store, study.resolved()):
        found = survey(study)
        processor = choice(options.device or study.compute.device, _size(found))
        journal = Journal(store, found, processor.device, options.shard)
        journal.open()
        try:
            refuse_damaged(journal)
            progress.say(f"device: {processor.device}, {processor.reason}")
            tally = Tally(options.limit)
            ready, memory = Ready(store), study.compute.memory_bytes
            with crew(options, memory, progress, processor.device) as people, stop.patiently():
                for stage, make in _until(options.until):
                    tasks = make(found, processor.device)
                    ready.add(tasks)
                    mine = _share(tasks, options.shard, ready, tally)
                    _wave(stage, mine, Team(people, progress, stop), journal, tally)
                    if tally.spent or stop.asked:
                        break
        finally:
            journal.close()
    if stop.asked:
        raise Interrupted(
            f"stopped between two tasks, {tally.done} done; the same command goes on from here"
        )
    return Outcome(
        out=store.folder,
        done=tally.done,
        committed=tally.committed,
        failed=tuple((f"{one.task.stage} {one.task.name}", str(one.error)) for one in tally.failed),
        skipped=journal.quarantined(),
        warnings=journal.warnings(),
        complete=options.until is None and not tally.spent and not tally.left_to_others,
    )


def _until(last: str | None) -> list[tuple[str, Callable[[Survey, str], tuple[Task, ...]]]]:
    end = STAGES.index(last) if last else len(STAGES)
    return [wave for wave in WAVES if STAGES.index(wave[0]) <= end]


def _share(
    tasks: tuple[Task, ...], shard: Shard | None, ready: Ready, tally: Tally
) -> tuple[Task, ...]:
    """The tasks of this share that can be done now; without shares, all."""
    if shard is None:
        return tasks
    mine = tuple(task for task in tasks if shard.takes(task) and all(map(ready, task.inputs)))
    tally.left_to_others += len(tasks) - len(mine)
    return mine


def _wave(stage: str, tasks: Sequence[Task], team: Team, journal: Journal, tally: Tally) -> None:
    """Carry out the tasks of a wave; raises the first error where every one that counts fails."""
    possible = [task for task in tasks if not tally.lost & set(task.inputs)]
    tally.lost |= {f"{task.stage} {task.name}" for task in tasks if task not in possible}
    todo = _allowed(possible, journal.store, tally)
    team.progress.begin(stage, len(todo), sum(task.read for task in todo))
    done, begun = [], time.monotonic()
    for one in team.people.each(todo, journal.store, team.stop):
        team.progress.advance(stage, 1, one.task.read)
        if isinstance(one, Done):
            journal.note(one)
            done.append(one)
            tally.done += one.fresh
            tally.committed += not one.fresh
            continue
        tally.failed.append(one)
        tally.lost.add(f"{one.task.stage} {one.task.name}")
        reason = {"reason": str(one.error)} | ({"trace": one.trace} if one.trace else {})
        journal.log("failed", stage=stage, task=one.task.name, **reason)
        team.progress.say(f"failed: {stage} {one.task.name}: {one.error}")
        if _ends_the_run(one.error, journal):
            raise one.error
    journal.stage(stage, done, time.monotonic() - begun)
    counting = {f"{task.stage} {task.name}" for task in tasks if not isinstance(task, SPARED)}
    if counting and counting <= tally.lost:
        raise next(one.error for one in tally.failed if not isinstance(one.task, SPARED))


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


def status(folder: Path, why: bool) -> Status:
    """How far the run in ``folder`` has come; with ``why``, what changed for each open task.

    Raises StudyError where the folder holds no run, or the study file is gone.
    """
    study = recorded(folder)
    store = Store(folder)
    found = survey(study)
    done: dict[str, list[int]] = {}
    missing: list[str] = []
    reasons: list[tuple[str, tuple[str, ...]]] = []
    for stage, tasks, left in _waves(found, store):
        counts = done.setdefault(stage, [0, 0])
        counts[0] += len(tasks)
        counts[1] += len(tasks) - len(left)
        missing += [f"{task.stage} {task.name}" for task in left]
        reasons += [(f"{task.stage} {task.name}", _why(task, store)) for task in left if why]
    journal = Journal(store, found)
    for marker in store.markers("partial"):
        journal.markers[f"partial {marker.name}"] = marker
    return Status(
        study=study.study.name,
        out=folder,
        stages=tuple((stage, tasks, made) for stage, (tasks, made) in done.items()),
        missing=tuple(missing),
        quarantined=journal.quarantined(),
        why=tuple(reasons),
    )


def _why(task: Task, store: Store) -> tuple[str, ...]:
    try:
        lines = store.why(task.key(store))
    except LookupError as error:
        return (str(error.args[0]),)
    return tuple(lines) or ("one of its inputs has to be made again",)


def recorded(folder: Path) -> Study:
    """The study of the run in ``folder``, read again from the file it was started with.

    Raises StudyError where there is no run, or no such file.
    """
    store = Store(folder)
    expect_run(store)
    record = store.get_json(RUN) or {}
    file = Path(os.path.normpath(folder / (record.get("study_file") or "study.toml")))
    if not file.is_file():
        raise StudyError(
            f"{folder}: expected the study file {file}, found none; run the study from where it is"
        )
    return load(file)


def _ends_the_run(error: RseiError, journal: Journal) -> bool:
    """Whether going on makes no sense: the disk is at fault, or damaged granules are errors."""
    if isinstance(error, MachineError):
        return True
    damaged = isinstance(error, GranuleError)
    return damaged and journal.survey.study.granules.on_bad_granule == "error"
