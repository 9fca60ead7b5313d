# SPDX-License-Identifier: Apache-2.0
"""The command that measures the machine."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from .options import PARTIAL


def bench(
    pixels: Annotated[int, typer.Option(help="Rows and columns of the tile.")] = 2400,
    dates: Annotated[int, typer.Option(help="Dates of the season.")] = 16,
    repeats: Annotated[int, typer.Option(help="Times that each stage is done.")] = 3,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto: a GPU where there is one.")] = (
        "auto"
    ),
    folder: Annotated[
        Path | None, typer.Option("--in", metavar="DIR", help="Where to keep the granules.")
    ] = None,
    write: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the figures there.")
    ] = None,
    against: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Figures of an earlier run to compare with.")
    ] = None,
) -> None:
    """Measure this machine, stage by stage.

    On simulated tiles, as a share of what the memory copies.
    Exit code 1 where a stage has lost a fifth of its share since --against.
    """
    from ..engine.run import bench as benchmark
    from ..engine.run.scenes import BenchOptions

    options = BenchOptions(pixels, dates, repeats, device)
    last = benchmark.earlier(against, options) if against else None
    with TemporaryDirectory(prefix="rsei-bench-") as name:
        found = benchmark.bench(options, folder or Path(name))
    typer.echo(benchmark.report(found, last))
    if write:
        benchmark.put(found, write)
    if last and (stages := benchmark.slower(found, last)):
        typer.echo(f"slower than before: {'; '.join(stages)}", err=True)
        raise typer.Exit(PARTIAL)
