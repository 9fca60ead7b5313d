# SPDX-License-Identifier: Apache-2.0
"""The command that writes batch files for Slurm."""

from pathlib import Path
from typing import Annotated

import typer

from .options import StudyFile


def slurm(
    study: StudyFile,
    shares: Annotated[int, typer.Option(min=1, help="Jobs that share a stage's tasks.")] = 8,
    cpus: Annotated[int, typer.Option(min=1, help="Cores of each job.")] = 1,
    to: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write to; slurm by default.")
    ] = None,
) -> None:
    """Write batch files for Slurm, with memory and time from the plan."""
    from ..engine.run import pipeline, reading
    from ..engine.run.slurm import Batch, batch_files

    read = reading.load(study)
    plan = pipeline.plan(read)
    folder = to or study.parent / "slurm"
    folder.mkdir(parents=True, exist_ok=True)
    batch = Batch(study, shares, cpus, thresholds=read.water.mndwi == "otsu")
    for name, text in batch_files(plan, batch).items():
        path = folder / name
        path.write_text(text, encoding="utf-8", newline="\n")
        path.chmod(0o755)
        typer.echo(f"wrote {path}")
    typer.echo(f"hand them in with {folder / 'submit.sh'}; its options go to sbatch")
