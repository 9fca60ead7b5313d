# SPDX-License-Identifier: Apache-2.0
"""The command that uses a saved forest again."""

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, print_json, table


def forest(
    target: Annotated[
        Path,
        typer.Argument(metavar="STUDY.toml|RUN", help="A study that has been run, or its folder."),
    ],
    apply: Annotated[
        Path, typer.Option("--apply", metavar="RUN", help="Folder of the run that grew the forest.")
    ],
    area: Annotated[
        str | None, typer.Option(help="Area whose forest it is; its only one by default.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write to.")] = Path(
        "predicted"
    ),
    as_json: AsJson = False,
) -> None:
    """Predict other areas, or another year, by a saved forest.

    Writes a table and a map an area, and says how well the prediction fits.
    """
    from ..engine.run import applying

    origin = applying.saved(apply, area)
    found = applying.apply(origin, applying.target(target), out)
    if as_json:
        rows = [{**vars(one), "scores": vars(one.scores)} for one in found]
        print_json({"forest": origin.area, "year": origin.year, "areas": rows})
        return
    typer.echo(f"forest of {origin.area}, {origin.year}, by {', '.join(origin.trees.drivers)}\n")
    headings = ["area", "pixels", "blank", "R2", "RMSE", "MAE"]
    typer.echo(
        table(
            headings,
            [
                (
                    one.area,
                    one.scores.n,
                    one.blank,
                    *(f"{x:.3f}" for x in (one.scores.r2, one.scores.rmse, one.scores.mae)),
                )
                for one in found
            ],
        )
    )
    for one in found:
        typer.echo(f"wrote {one.table} and {one.map}")
