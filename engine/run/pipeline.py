# SPDX-License-Identifier: Apache-2.0
"""Which stages run in which order: the one place that calls them."""

import os
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from ..sources.errors import Interrupted, StudyError, told_beside
from .analyses import area_tasks
from .budgets import on_card, refusal, require_share, shared
from .cluster import crew
from .composites import composite_tasks, water_tasks
from .devices import choice, device_memory
from .driving import driver_tasks, layer_tasks
from .forests import forest_tasks
from .journal import Journal, failures, refuse_damaged
from .ledger import ledger
from .machine import versions
from .maps import index_tasks, write_tasks
from .named import absent, unfit
from .orders import (
    SLURM,
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
from .reporting import ReportTask, figure_tasks, page_tasks
from .runtables import Tables, table_tasks
from .scales import scale_tasks
from .shards import Ready
from .store import Store
from .study import Study
from .survey import Survey, survey
from .tasks import Task, committed, label
from .upkeep import expect_run, joined
from .waves import Tally, Team, carry_out_wave, share

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


def plan(study: Study) -> Plan:
    """What a run would do; changes nothing.

    Raises RseiError for whatever would end the run before its first task.
    """
    store = Store(study.study.out)
    found = survey(study, store)
    processor = choice(study.compute.device, _size(found))
    card = device_memory(processor.device, study.compute.device_memory_bytes)
    waves = _waves(on_card(found, card), store, processor.device)
    return Plan(
        study=study.study.name,
        out=study.study.out,
        device=f"{processor.device} ({processor.reason})",
        budget=study.compute.memory_bytes,
        device_budget=card,
        areas=tuple((place.area.name, place.window.size) for place in found.places),
        stages=_stage_plans(waves),
        granules=found.used,
        skipped=len(found.catalogue.skipped),
        bad=tuple((bad.path, told_beside(bad.path, bad.reason)) for bad in found.bad),
        missing=tuple(
            MissingDate(product, day, tile)
            for product, day, tile, status in found.coverage()
            if status == "missing"
        ),
        warnings=(
            *absent(study),
            *unfit(found.places),
            *found.warnings,
            *_refusals(waves, study.compute.memory_bytes),
        ),
    )


Waves = list[tuple[str, tuple[Task, ...], list[Task]]]
"""Stage, tasks and open tasks of each wave."""


def _refusals(waves: Waves, budget: int) -> Iterator[str]:
    """The largest task of each wave that is refused for its memory, and how many more there are."""
    for _, _, left in waves:
        refused = [task for task in left if refusal(task, budget)]
        if refused:
            largest = max(refused, key=lambda task: task.memory)
            more = f" (and {len(refused) - 1} more)" if refused[1:] else ""
            yield f"{refusal(largest, budget)}{more}"


def _size(found: Survey) -> int:
    """Bytes of every granule that the study reads."""
    return sum(task.read for task in partial_tasks(found, "cpu"))


def _waves(found: Survey, store: Store, device: str = "cpu") -> Waves:
    """Stage, tasks and open tasks of each wave; what is made of something open is open too."""
    open_: set[str] = set()
    waves = []
    for stage, make in WAVES:
        tasks = make(found, device)
        left = [t for t in tasks if _waits(t, open_) or committed(t, store) is None]
        open_ |= {label(task) for task in left}
        waves.append((stage, tasks, left))
    return waves


def _waits(task: Task, open_: set[str]) -> bool:
    """Whether something that a task is made of is open; the tables are made of all there is."""
    return bool(open_ if isinstance(task, Tables) else open_ & set(task.inputs))


def _stage_plans(waves: Waves) -> tuple[StagePlan, ...]:
    plans: dict[str, StagePlan] = {}
    for stage, tasks, left in waves:
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
    if options.workers > 1:
        require_share(options.workers, study.compute.memory_bytes)
    store = Store(study.study.out, versions())
    with joined(store, study.resolved()):
        found = shared(survey(study, store), options.workers)
        processor = choice(options.device or study.compute.device, _size(found))
        card = device_memory(processor.device, study.compute.device_memory_bytes)
        found = on_card(found, card)
        journal = Journal(store, found, processor.device, options.shard)
        journal.open()
        try:
            refuse_damaged(journal)
            progress.say(f"device: {processor.device}, {processor.reason}")
            for one in (*absent(study), *unfit(found.places)):
                progress.say(f"warning: {one}")
            tally = Tally(options.limit)
            ready, memory = Ready(store), study.compute.memory_bytes
            call = partial(crew, options, memory, progress, processor.device, card)
            with ExitStack() as until, stop.patiently():
                team = Team(call, until, progress, stop)
                if options.scheduler not in (None, SLURM):
                    team.summon()  # a wrong address is told of before the first stage
                for stage, make in _until(options.until):
                    tasks = make(found, processor.device)
                    ready.add(tasks)
                    mine = share(tasks, options.shard, ready, tally)
                    carry_out_wave(stage, mine, team, journal, tally)
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
        failed=tuple((label(one.task), str(one.error)) for one in tally.failed),
        skipped=journal.quarantined(),
        warnings=journal.warnings(),
        complete=options.until is None and not tally.spent and not tally.left_to_others,
    )


def _until(last: str | None) -> list[tuple[str, Callable[[Survey, str], tuple[Task, ...]]]]:
    end = STAGES.index(last) if last else len(STAGES)
    return [wave for wave in WAVES if STAGES.index(wave[0]) <= end]


def status(folder: Path, why: bool) -> Status:
    """How far the run in ``folder`` has come; with ``why``, what changed for each open task.

    Raises StudyError where the folder holds no run, or the study file is gone.
    """
    study = recorded(folder)
    store = Store(folder)
    found = survey(study, store)
    done: dict[str, list[int]] = {}
    missing: list[str] = []
    written: set[str] = set()
    failed = failures(store) if why else {}
    reasons: list[tuple[str, tuple[str, ...]]] = []
    for stage, tasks, left in _waves(found, store):
        counts = done.setdefault(stage, [0, 0])
        counts[0] += len(tasks)
        counts[1] += len(tasks) - len(left)
        missing += [label(task) for task in left]
        written |= {label(task) for task in left if _written(task, store)}
        reasons += [(label(task), _why(task, store, failed, written)) for task in left if why]
    journal = Journal(store, found)
    for marker in store.markers("partial"):
        journal.markers[f"partial {marker.name}"] = marker
    return Status(
        study=study.study.name,
        out=folder,
        stages=tuple((stage, tasks, made) for stage, (tasks, made) in done.items()),
        missing=tuple(missing),
        written=tuple(name for name in missing if name in written),
        quarantined=journal.quarantined(),
        why=tuple(reasons),
    )


def _written(task: Task, store: Store) -> bool:
    """Whether an open task that tells of all others has told of what there is of them."""
    tells_of_all = isinstance(task, Tables | ReportTask)
    return tells_of_all and committed(task, store) is not None


def _why(task: Task, store: Store, failed: Mapping[str, str], written: Set[str]) -> tuple[str, ...]:
    """What changed for an open task, and how it failed if it was tried."""
    try:
        lines = store.why(task.key(store))
    except LookupError as error:
        lines = [str(error.args[0])]
    open_ = (
        "written of what there is, to be written again with the rest"
        if label(task) in written
        else "one of its inputs has to be made again"
    )
    tried = [failed[label(task)]] if label(task) in failed else []
    return (*(lines or [open_]), *tried)


def recorded(folder: Path) -> Study:
    """The study of the run in ``folder``, read again from the file it was started with.

    Raises StudyError where there is no run, or no such file.
    """
    store = Store(folder)
    expect_run(store)
    record = ledger(store) or {}
    file = Path(os.path.abspath(folder / (record.get("study_file") or "study.toml")))
    if not file.is_file():
        raise StudyError(
            f"{folder}: expected the study file {file}, found none; "
            "rsei run with the file where it is now, and with this folder as study.out, tells it"
        )
    return load(file)
