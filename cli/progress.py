# SPDX-License-Identifier: Apache-2.0
"""Show how a run goes: a live table on a terminal, a line now and then in a log."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .options import size

if TYPE_CHECKING:
    from ..engine.run.orders import Progress

INTERVAL = 10.0
"""Seconds between two lines of a log."""


BAR = 12
"""Width of a bar, characters: a row then fits a terminal of 80."""


@contextmanager
def watching() -> "Iterator[Progress]":
    """Progress on the standard error stream, in the form that suits it."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    with _columns() as live:
        yield Live(live)


@dataclass
class Stage:
    """How far a stage has come."""

    tasks: int
    """Tasks in all."""

    size: int
    """Bytes in all."""

    done: int = 0
    """Tasks done."""

    read: int = 0
    """Bytes taken in."""

    found: int = 0
    """Tasks found done, of those done."""

    found_bytes: int = 0
    """Bytes that they would have taken in."""

    begun: float = field(default_factory=lambda: time.monotonic())
    """When it began, s."""

    ended: float | None = None
    """When the last of its tasks was done, s."""

    def more(self, tasks: int, size: int) -> None:
        """A stage may come in several waves: this one brings more to do."""
        self.tasks, self.size = self.tasks + tasks, self.size + size
        self.ended = self.ended if self.done >= self.tasks else None

    def advance(self, tasks: int, size: int, found: bool = False) -> None:
        """A part of it is done now, or was ``found`` done."""
        self.done, self.read = self.done + tasks, self.read + size
        if found:
            self.found, self.found_bytes = self.found + tasks, self.found_bytes + size
        self.ended = time.monotonic() if self.done >= self.tasks else None

    @property
    def share(self) -> float:
        """How much of it is done: by bytes where they are known."""
        done, total = (self.read, self.size) if self.size else (self.done, self.tasks)
        return min(1.0, done / total) if total else 1.0

    @property
    def seconds(self) -> float:
        """How long it took, or takes up to now."""
        return (time.monotonic() if self.ended is None else self.ended) - self.begun

    def counts(self) -> str:
        """Tasks done and in all."""
        return f"{self.done}/{self.tasks} tasks"

    def bytes(self) -> str:
        """Bytes taken in and in all, in one unit; nothing where they are not known."""
        if not self.size:
            return ""
        number, unit = size(self.size).split()
        return f"{self.read / self.size * float(number):.1f}/{number} {unit}"

    def rate(self) -> str:
        """Bytes taken in now in a second; that all was found done where it was."""
        if 0 < self.done == self.found:
            return "found done"
        now = self.read - self.found_bytes
        return f"{size(now / max(self.seconds, 1e-3))}/s" if self.size else ""

    def left(self) -> str:
        """Time left, if it goes on as what was not found done."""
        done, total, found = (
            (self.read, self.size, self.found_bytes)
            if self.size
            else (self.done, self.tasks, self.found)
        )
        if not found < done < total:
            return ""
        return f"{duration(self.seconds * (total - done) / (done - found))} left"

    def time(self) -> str:
        """Time left, and at the end how long it took."""
        return self.left() if self.ended is None else f"in {duration(self.seconds)}"

    def text(self) -> str:
        """Tasks, bytes, rate and time left in a line."""
        return ", ".join(filter(None, (self.counts(), self.bytes(), self.rate(), self.left())))


def duration(seconds: float) -> str:
    """A time for people.

    >>> duration(35), duration(3725)
    ('0:35', '1:02:05')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class Lines:
    """Progress as lines, for a log."""

    def __init__(self) -> None:
        self.stages: dict[str, Stage] = {}
        self.last = time.monotonic()

    def begin(self, stage: str, tasks: int, size: int) -> None:
        """A stage starts, or a further wave of it."""
        self.stages.setdefault(stage, Stage(0, 0)).more(tasks, size)

    def advance(self, stage: str, tasks: int, size: int, found: bool = False) -> None:
        """A part of a stage is done now, or was ``found`` done."""
        state = self.stages[stage]
        state.advance(tasks, size, found)
        if time.monotonic() - self.last >= INTERVAL or state.done >= state.tasks:
            self.say(f"{stage}: {state.text()}")

    def say(self, message: str) -> None:
        """Print a line."""
        self.last = time.monotonic()
        print(message, file=sys.stderr, flush=True)


def counted(progress: "Progress", stage: str) -> Callable[[int, int], None]:
    """A function that takes how many of how many things are done, as a stage of ``progress``."""
    before = 0

    def advance(done: int, total: int) -> None:
        nonlocal before
        if before == 0:
            progress.begin(stage, total, 0)
        progress.advance(stage, done - before, 0)
        before = done

    return advance


def _columns() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
    from rich.text import Text

    class Told(ProgressColumn):
        """What a stage says of itself at the time of drawing."""

        def __init__(self, tell: Callable[[Stage], str]) -> None:
            super().__init__()
            self.tell = tell

        def render(self, task: Any) -> Text:
            return Text(self.tell(task.fields["stage"]), justify="right", no_wrap=True)

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=BAR),
        *map(Told, (Stage.counts, Stage.bytes, Stage.rate, Stage.time)),
        console=Console(stderr=True),
    )


class Live:
    """Progress as a live table, a row a stage, for a terminal."""

    def __init__(self, live: Any) -> None:
        self.live = live
        self.stages: dict[str, Stage] = {}
        self.rows: dict[str, Any] = {}

    def begin(self, stage: str, tasks: int, size: int) -> None:
        """A stage starts, with a new row, or a further wave of it."""
        state = self.stages.setdefault(stage, Stage(0, 0))
        state.more(tasks, size)
        if stage not in self.rows:
            self.rows[stage] = self.live.add_task(stage, total=1.0, stage=state)
        self.live.update(self.rows[stage], completed=state.share)

    def advance(self, stage: str, tasks: int, size: int, found: bool = False) -> None:
        """A part of a stage is done now, or was ``found`` done."""
        state = self.stages[stage]
        state.advance(tasks, size, found)
        self.live.update(self.rows[stage], completed=state.share)

    def say(self, message: str) -> None:
        """Print a line above the table."""
        self.live.console.print(message, markup=False, highlight=False)
