"""What a run is told, and what it tells: options, plan, progress and outcome."""

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal, Protocol

STAGES = ("partial", "composite", "reduce", "project", "write", "analyse", "report")
"""Stages of a run, in order."""


@dataclass(frozen=True)
class RunOptions:
    """How to run a study this time; none of it changes a result."""

    device: Literal["auto", "cpu", "cuda"] | None = None
    """Processor; the study's own choice where None."""

    workers: int = 1
    """Processes to run in."""

    until: str | None = None
    """Last stage to run; all where None."""

    limit: int | None = None
    """Most tasks to run; all where None. The same command then goes on."""


class Progress(Protocol):
    """Somebody who watches a run."""

    def begin(self, stage: str, tasks: int, size: int) -> None:
        """A stage starts that has ``tasks`` tasks still to do, and ``size`` bytes to read."""

    def advance(self, stage: str, tasks: int, size: int) -> None:
        """Some ``tasks`` of a stage are done, which took in ``size`` bytes."""

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
