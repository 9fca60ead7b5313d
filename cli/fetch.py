# SPDX-License-Identifier: Apache-2.0
"""The command that gets the granules of a study."""

import os
from typing import TYPE_CHECKING, Annotated

import typer

from .options import AsJson, StudyFile, print_json, size, table

if TYPE_CHECKING:
    from ..engine.run.errands import Fetched, FetchPlan

SHOWN = 20
"""Failures shown one by one; all are in the list of the quarantine."""

DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched, and stop.")]
Parallel = Annotated[int, typer.Option(min=1, max=32, help="Files at the same time.")]
Refresh = Annotated[
    bool, typer.Option("--refresh", help="Look for newer productions of what is here, too.")
]
Stac = Annotated[
    str | None,
    typer.Option(envvar="RSEI_STAC", metavar="URL", help="A STAC API with GeoTIFFs, instead."),
]


def fetch(
    study: StudyFile,
    dry_run: DryRun = False,
    parallel: Parallel = 4,
    refresh: Refresh = False,
    stac: Stac = None,
    as_json: AsJson = False,
) -> None:
    """Download the granules of a study from NASA's archive, checked.

    An interrupted download resumes; a folder that is complete costs no request. The token is read
    from EARTHDATA_TOKEN, or login and password from ~/.netrc. With --stac the layers come one by
    one, as cloud-optimised GeoTIFFs, from a mirror that needs no login.
    """
    from ..engine.sources.login import require_packages

    require_packages()
    from ..engine.run import errands, fetching, reading
    from .progress import watching

    servers = errands.servers(os.environ, stac)
    options = errands.FetchOptions(parallel, refresh, servers)
    found = fetching.plan(reading.load(study), options)
    if not as_json:
        print_fetch_plan(found)
    if dry_run:
        if as_json:
            print_json(found.record())
        return
    with watching() as progress:
        outcome = fetching.carry_out(found, progress)
    if as_json:
        print_json(outcome.record())
    elif found.asked:
        print_fetched(outcome)
    raise typer.Exit(outcome.exit_code)


def print_fetch_plan(plan: "FetchPlan") -> None:
    """Print a plan for people: count and bytes before the first byte comes."""
    rows = [
        (s.product, s.tiles, s.wanted, s.held, s.absent, s.files, size(s.size)) for s in plan.shares
    ]
    headings = ["product", "tiles", "wanted", "here", "not in archive", "to fetch", "size"]
    typer.echo(f"granules in {plan.folder}\n\n{table(headings, rows)}\n")
    if plan.later:
        typer.echo(f"{plan.later} composites lie in the future; fetch again when they are made")
    if plan.found:
        typer.echo(f"{len(plan.found)} files are here without an entry: they are checked first")
    if not plan.asked:
        typer.echo("complete: nothing was asked for")
    else:
        more = f", and {plan.unsized} of unknown size" if plan.unsized else ""
        typer.echo(f"{len(plan.records) - len(plan.found)} files to fetch, {size(plan.size)}{more}")


def print_fetched(outcome: "Fetched") -> None:
    """Print what came, for people."""
    for name, reason in sorted(outcome.failed.items())[:SHOWN]:
        typer.echo(f"failed: {reason if name in reason else f'{name}: {reason}'}", err=True)
    checked = f", {outcome.adopted} found here and checked" if outcome.adopted else ""
    typer.echo(f"{outcome.files} files fetched, {size(outcome.size)}{checked}")
    if outcome.failed:
        typer.echo(
            f"{len(outcome.failed)} files failed, listed in {outcome.plan.folder}/quarantine/"
            "quarantine.csv; the same command tries them again"
        )
