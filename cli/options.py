# SPDX-License-Identifier: Apache-2.0
"""What the commands share: their options, their form of an error, their plain tables."""

import json
import math
import signal
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import current_thread, main_thread
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

if TYPE_CHECKING:
    from ..engine.run.orders import Stop

StudyFile = Annotated[Path, typer.Argument(metavar="STUDY.toml", help="The study.")]
RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run's results.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON alone.")]

PARTIAL, SETTINGS, INPUT, ENVIRONMENT, INTERRUPTED = 1, 2, 3, 4, 5
"""Exit codes; 0 is done. A script may rely on them."""

GRACE = 20.0
"""Seconds for the tasks at hand after SIGTERM; Slurm kills a job 30 s after it."""


class Commands(TyperGroup):
    """The commands: each error is one message, with a traceback only after --debug."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let --debug stand anywhere on the line."""
        return super().parse_args(ctx, sorted(args, key=lambda word: word != "--debug"))

    def invoke(self, ctx: Any) -> Any:
        """Run a command; an error ends the program with its own exit code."""
        try:
            with interruptible():  # from the start: importing a command's libraries takes seconds
                return super().invoke(ctx)
        except KeyboardInterrupt:
            stop("interrupted; the same command goes on from here", INTERRUPTED)
        except BrokenPipeError:
            raise
        except Exception as error:
            if type(error).__module__.partition(".")[0] in ("typer", "click"):
                raise
            if ctx.params.get("debug"):
                traceback.print_exc()
            stop(*_explained(error))


def _explained(error: Exception) -> tuple[str, int]:
    """The message and the exit code of an error."""
    from ..engine.sources.errors import RseiError

    if isinstance(error, RseiError):
        return str(error), error.exit_code
    if isinstance(error, MemoryError):
        return "not enough memory; set a lower compute.memory in the study", ENVIRONMENT
    if isinstance(error, OSError):
        return f"{error}; check the disk and the permissions", ENVIRONMENT
    kind = f"{type(error).__name__}: {error}"
    return f"unexpected {kind}; please report it with what --debug prints", ENVIRONMENT


def stop(message: str, code: int) -> NoReturn:
    """End the program with a message for the user."""
    typer.echo(f"rsei: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def interruptible() -> Iterator[None]:
    """Let the signals by which batch systems preempt a job interrupt as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    names = ("SIGTERM", "SIGUSR1") if current_thread() is main_thread() else ()
    numbers = [getattr(signal, name, None) for name in names]
    before = {number: signal.signal(number, interrupt) for number in numbers if number}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def asking(stop: "Stop") -> Iterator[None]:
    """Let the same signals ask a run to stop at a task's edge; the second time they interrupt.

    After SIGTERM it is interrupted anyhow before the batch system loses its patience.
    """
    numbers = [getattr(signal, name, None) for name in ("SIGINT", "SIGTERM", "SIGUSR1", "SIGALRM")]

    def ask(number: int, frame: FrameType | None) -> None:
        if number == getattr(signal, "SIGALRM", None):
            raise KeyboardInterrupt
        stop.ask()
        # By print, not echo, which writes past a live table into the middle of its last line.
        print("rsei: stopping after the tasks at hand; once more stops at once", file=sys.stderr)
        if number == signal.SIGTERM and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, GRACE)

    here = current_thread() is main_thread()
    before = {number: signal.signal(number, ask) for number in numbers if number and here}
    try:
        yield
    finally:
        if here and hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)


def print_json(record: Any) -> None:
    """Print a record as JSON; paths, dates and numbers that JSON lacks as text."""
    text = json.dumps(_lawful(record), indent=2, ensure_ascii=False, default=str, allow_nan=False)
    typer.echo(text)


def _lawful(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _lawful(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_lawful(inner) for inner in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def table(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows under headings, numbers to the right; it reads the same in a terminal and in a file.

    >>> print(table(["stage", "tasks"], [("partial", 12), ("write", 3)]))
    stage    tasks
    partial     12
    write        3
    """
    cells = [list(headings), *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    right = [all(c[:1].isdigit() for c in column[1:] if c) for column in zip(*cells)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, right)
        ).rstrip()
        for row in cells
    )


def size(count: float) -> str:
    """A number of bytes for people.

    >>> size(512), size(8 * 2**30), size(1234567)
    ('512 B', '8.0 GiB', '1.2 MiB')
    """
    units = iter(("KiB", "MiB", "GiB", "TiB"))
    unit = "B"
    while abs(count) >= 1024 and unit != "TiB":
        count, unit = count / 1024, next(units)
    return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
