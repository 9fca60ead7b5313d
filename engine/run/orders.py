# SPDX-License-Identifier: Apache-2.0
"""What a run is told, and what it tells: options, plan, progress and outcome."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Protocol, cast, get_args

from ..sources.errors import StudyError
from .shards import Shard

Device = Literal["auto", "cpu", "cuda"]
"""Processors to choose from."""

SLURM = "slurm"
"""In place of a scheduler's address: jobs of Slurm, which the run hands in itself."""

STAGES = ("partial", "composite", "reduce", "project", "write", "analyse", "report")
"""Stages of a run, in order."""


@dataclass(frozen=True)
class RunOptions:
    """How to run a study this time; none of it changes a result."""

    device: Device | None = None
    """Processor; the study's own choice where None."""

    workers: int = 1
    """Processes to run in."""

    until: str | None = None
    """Last stage to run; all where None."""

    limit: int | None = None
    """Most tasks to run; all where None. The same command then goes on."""

    scheduler: str | None = None
    """Address of a running Dask scheduler, in place of processes of this machine; or ``slurm``."""

    shard: Shard | None = None
    """The share of the tasks to run; all where None."""

    profile: Path | None = None
    """File for a profile of the run."""


class Stop:
    """The wish that a run stops at the next edge between tasks."""

    def __init__(self) -> None:
        self.asked = False
        self.at_work = False

    def ask(self) -> None:
        """Stop after the tasks at hand. Raises KeyboardInterrupt: the second time, and before."""
        if self.asked or not self.at_work:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def patiently(self) -> Iterator[None]:
        """While tasks are carried out: asked once, wait for those at hand."""
        self.at_work = True
        try:
            yield
        finally:
            self.at_work = False


def options(
    device: str | None = None,
    workers: int = 1,
    until: str | None = None,
    limit: int | None = None,
    scheduler: str | None = None,
    shard: str | None = None,
    profile: Path | None = None,
) -> RunOptions:
    """The options of a command, checked.

    Raises StudyError for a device, a stage or a share that does not exist, for two of them that
    exclude each other, and for what would fail after hours.
    """
    if device is not None and device not in get_args(Device):
        raise _unknown("--device", device, get_args(Device))
    if until is not None and until not in STAGES:
        raise _unknown("--until", until, STAGES)
    if scheduler not in (None, SLURM) and workers > 1:
        raise StudyError("--scheduler: expected no --workers beside it; the cluster has its own")
    if scheduler not in (None, SLURM) and not re.search(r":\d+/?$", scheduler):
        raise StudyError(
            "--scheduler: expected an address with a port, such as tcp://node1:8786, or "
            f"{SLURM}, found {scheduler!r}"
        )
    if scheduler and "@" in scheduler:
        raise StudyError(
            "--scheduler: expected an address without a password, which would stand in logs; "
            "Dask proves who may join by certificates, at a tls:// address"
        )
    if profile and (profile.is_dir() or not profile.absolute().parent.is_dir()):
        raise StudyError(f"--profile: expected a file in a folder that is there, found {profile}")
    share = Shard.of(shard) if shard is not None else None
    chosen = cast(Device | None, device)
    return RunOptions(chosen, workers, until, limit, scheduler, share, profile)


def _unknown(option: str, found: str, known: tuple[str, ...]) -> StudyError:
    close = get_close_matches(found, known, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return StudyError(f"{option}: expected one of {', '.join(known)}, found {found!r}{hint}")


class Progress(Protocol):
    """Somebody who watches a run."""

    def begin(self, stage: str, tasks: int, size: int) -> None:
        """A stage starts that has ``tasks`` tasks still to do, and ``size`` bytes to read."""

    def advance(self, stage: str, tasks: int, size: int, found: bool = False) -> None:
        """Some ``tasks`` of a stage are done now, of ``size`` bytes, or were ``found`` done."""

    def say(self, message: str) -> None:
        """Something happened that the user should know."""


@dataclass(frozen=True)
class StagePlan:
    """One stage of a plan."""

    stage: str
    """Its name."""

    tasks: int
    """Tasks in all."""

    committed: int
    """Tasks that are done already."""

    read: int
    """Bytes still to read."""

    write: int
    """Bytes still to write, before compression."""

    memory: int
    """Most bytes of memory that one task takes."""


@dataclass(frozen=True)
class MissingDate:
    """A composite that the season should have, and the folder has not."""

    product: str
    """Product, such as ``MOD09A1``."""

    date: date
    """First day of its period."""

    tile: str
    """Tile of the sinusoidal grid."""


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    study: str
    """Name of the study."""

    out: Path
    """Folder of its results."""

    device: str
    """Processor it would take, and why."""

    budget: int
    """Bytes of memory it may use."""

    areas: tuple[tuple[str, int], ...]
    """Name and pixels, of 500 m, of each area."""

    stages: tuple[StagePlan, ...]
    """The stages, in order."""

    granules: int
    """Granules it would use."""

    skipped: int
    """Files that are no known product."""

    bad: tuple[tuple[Path, str], ...] = ()
    """Granules that cannot be used, and why."""

    missing: tuple[MissingDate, ...] = ()
    """Composites that are not there."""

    warnings: tuple[str, ...] = ()
    """Whatever else the user should know before."""

    device_budget: int | None = None
    """Bytes of the GPU's memory it may use; None where it takes none."""

    def record(self) -> dict[str, Any]:
        """This plan as JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Outcome:
    """What a run did."""

    out: Path
    """Folder of its results."""

    done: int
    """Tasks it carried out."""

    committed: int
    """Tasks it found done."""

    failed: tuple[tuple[str, str], ...] = ()
    """Tasks given up, and why."""

    skipped: tuple[tuple[Path, str], ...] = ()
    """Granules left out, and why."""

    warnings: tuple[str, ...] = ()
    """What the results have to be read with."""

    complete: bool = True
    """Whether every stage asked for is done; not so after ``limit`` or an interruption."""

    @property
    def exit_code(self) -> int:
        """0 where all is well; 1 where tasks failed or granules were skipped."""
        return 1 if self.failed or self.skipped else 0


@dataclass(frozen=True)
class Status:
    """How far a run has come."""

    study: str
    """Name of the study."""

    out: Path
    """Folder of its results."""

    stages: tuple[tuple[str, int, int], ...]
    """Name, tasks and committed tasks of each stage."""

    missing: tuple[str, ...] = ()
    """Tasks not committed yet, as ``stage name``."""

    written: tuple[str, ...] = ()
    """Of these, tables and reports that are there, of what there is: they tell of all tasks."""

    quarantined: tuple[tuple[Path, str], ...] = ()
    """Granules left out, and why."""

    why: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """What changed since a task was committed, or why it is not, if asked for."""

    def record(self) -> dict[str, Any]:
        """This status as JSON values."""
        return asdict(self)
