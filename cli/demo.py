# SPDX-License-Identifier: Apache-2.0
"""The demonstration."""

from pathlib import Path
from typing import Annotated

import typer

from .run import print_outcome

PLACES = {
    "rsei": "the index, a map an epoch",
    "tables/pca.csv": "how the index was made",
}
"""Where to look after the page."""


def demo(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to work in.")] = Path(
        "rsei-demo"
    ),
) -> None:
    """Simulate a mining city, and study it.

    The granules are in the products' own file formats. The same command resumes.
    """
    from ..engine.run import pipeline, reading
    from ..engine.run.orders import RunOptions
    from ..engine.sources.simulate import write_demo
    from .progress import counted, watching

    with watching() as progress:
        write_demo(folder, progress=counted(progress, "simulate"))
        outcome = pipeline.run(reading.load(folder / "study.toml"), RunOptions(), progress)
    print_outcome(outcome)
    for name, about in PLACES.items():
        if (outcome.out / name).exists():
            typer.echo(f"  {outcome.out / name}: {about}")
    raise typer.Exit(outcome.exit_code)
