# SPDX-License-Identifier: Apache-2.0
"""Commands that make something: a study file, a plan, a run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import (
    SETTINGS,
    AsJson,
    RunFolder,
    StudyFile,
    asking,
    print_json,
    size,
    stop,
    table,
)

if TYPE_CHECKING:
    from ..engine.run.orders import Outcome, Plan

Device = Annotated[
    str | None, typer.Option(help="auto, cpu or cuda, in place of the study's choice.")
]
Workers = Annotated[int, typer.Option(min=1, help="Processes to run in.")]
Until = Annotated[str | None, typer.Option(metavar="STAGE", help="Last stage to run.")]
Limit = Annotated[
    int | None, typer.Option(min=1, help="Most tasks to run now; the next run goes on.")
]

Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="A running Dask scheduler, such as tcp://node1:8786; or slurm, for a job a worker.",
    ),
]
Share = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", help="Only the I-th of N shares of the tasks."),
]
Profile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Where to write what the time went into.")
]

SHOWN = 30
"""Areas whose means are printed; the table has all."""


def init(
    study: Annotated[Path, typer.Argument(metavar="STUDY.toml", help="File to write.")] = Path(
        "study.toml"
    ),
) -> None:
    """Write a commented study file, to be filled in."""
    from ..engine.run.skeleton import skeleton

    try:
        with study.open("x", encoding="utf-8") as file:
            file.write(skeleton())
    except FileExistsError:
        stop(f"{study}: exists already; name another file, or remove it first", SETTINGS)
    typer.echo(f"wrote {study}; fill it in, then: rsei plan {study}")


def plan(study: StudyFile, as_json: AsJson = False) -> None:
    """Say what a run would read, compute and skip, and what it takes."""
    from ..engine.run import pipeline, reading

    found = pipeline.plan(reading.load(study))
    if as_json:
        print_json(found.record())
    else:
        print_plan(found)


def print_plan(plan: "Plan") -> None:
    """Print a plan for people."""
    echo = typer.echo
    echo(f"study {plan.study}, results in {plan.out}")
    card = f", of the GPU {size(plan.device_budget)}" if plan.device_budget else ""
    echo(f"device {plan.device}; memory at most {size(plan.budget)}{card}")
    echo(f"{plan.granules} granules, {plan.skipped} other files")
    echo("\n" + table(["area", "pixels"], plan.areas) + "\n")
    rows = [
        (s.stage, s.tasks, s.committed, size(s.read), size(s.write), size(s.memory))
        for s in plan.stages
    ]
    echo(table(["stage", "tasks", "done", "to read", "to write", "memory"], rows))
    if plan.missing:
        echo(f"\n{len(plan.missing)} composites are missing:")
        dates = sorted({(m.product, m.date) for m in plan.missing})
        tiles = sorted({m.tile for m in plan.missing})
        absent = {(m.product, m.date, m.tile) for m in plan.missing}
        marks = [
            (
                product,
                date,
                *("missing" if (product, date, tile) in absent else "" for tile in tiles),
            )
            for product, date in dates
        ]
        echo(table(["product", "date", *tiles], marks))
    for path, reason in plan.bad:
        echo(f"bad granule {path}: {reason}")
    for warning in plan.warnings:
        echo(f"warning: {warning}")


def run(
    study: StudyFile,
    device: Device = None,
    workers: Workers = 1,
    until: Until = None,
    limit: Limit = None,
    scheduler: Scheduler = None,
    shard: Share = None,
    profile: Profile = None,
) -> None:
    """Carry out a study; a run that was interrupted resumes."""
    from ..engine.run import pipeline, reading
    from ..engine.run.orders import Stop, options
    from .progress import watching

    wanted = options(device, workers, until, limit, scheduler, shard, profile)
    stop = Stop()
    with watching() as progress, asking(stop):
        outcome = pipeline.run(reading.load(study), wanted, progress, stop)
    print_outcome(outcome)
    raise typer.Exit(outcome.exit_code)


def print_outcome(outcome: "Outcome") -> None:
    """Print what a run did, for people: first its numbers, last what is wrong with them."""
    from ..engine.run.headline import headline

    found = headline(outcome.out)
    if outcome.complete and found.means:
        rows = [
            (area, *("" if mean is None else f"{mean:.3f}" for mean in means))
            for area, means in found.means[:SHOWN]
        ]
        more = len(found.means) - len(rows)
        rest = f"and {more} more areas in tables/series.csv\n" if more else ""
        typer.echo(f"\n{table(['mean RSEI', *found.epochs], rows)}\n{rest}")
    how = "without --until, --limit and --shard the run does the rest"
    state = "" if outcome.complete else f"; not complete: {how}"
    typer.echo(f"{outcome.done} tasks done, {outcome.committed} found done{state}")
    for task, reason in outcome.failed[:1]:  # each was told of when it failed
        others = f" (and {len(outcome.failed) - 1} more)" if outcome.failed[1:] else ""
        typer.echo(f"failed: {task}: {reason}{others}", err=True)
    for path, reason in outcome.skipped:
        typer.echo(f"skipped granule {path}: {reason}", err=True)
    for warning in outcome.warnings:
        typer.echo(f"warning: {warning}", err=True)
    typer.echo(f"results in {outcome.out}")
    if outcome.complete and found.page:
        typer.echo(f"open {found.page}")


def report(
    run: RunFolder,
    pdf: Annotated[bool, typer.Option("--pdf", help="Draw each figure as PDF, too.")] = False,
) -> None:
    """Draw a run's figures again, and write its page."""
    from ..engine.run import reporting
    from .progress import watching

    with watching() as progress:
        page = reporting.report(run, progress, pdf)
    typer.echo(f"wrote {page}")
