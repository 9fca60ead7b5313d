# SPDX-License-Identifier: Apache-2.0
"""Commands that look at something, and change nothing but our own leftovers."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import INPUT, AsJson, RunFolder, print_json, size, table

if TYPE_CHECKING:
    from ..engine.run.orders import Status


def status(
    run: RunFolder,
    why: Annotated[
        bool, typer.Option("--why", help="Say what changed for each task, or how it failed.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what of a run is done, missing or quarantined."""
    from ..engine.run import pipeline

    found = pipeline.status(run, why)
    if as_json:
        print_json(found.record())
        return
    typer.echo(f"study {found.study}, results in {found.out}\n")
    print_stages(found)
    for path, reason in found.quarantined:
        typer.echo(f"quarantined {path}: {reason}")
    for task, reasons in found.why:
        typer.echo("\n  ".join([f"{task}:", *reasons]))


def print_stages(status: "Status") -> None:
    """Print how far each stage is, for people."""
    written = Counter(name.split()[0] for name in status.written)
    notes = {
        stage: f"written of what there is: {count} of the rest" for stage, count in written.items()
    }
    rows = [(stage, *counts, notes.get(stage, "")) for stage, *counts in status.stages]
    typer.echo(table(["stage", "tasks", "done", ""], rows))


def verify(run: RunFolder, as_json: AsJson = False) -> None:
    """Hash every result again.

    Exit code 3 where one is missing or altered.
    """
    from ..engine.run.store import Store
    from ..engine.run.upkeep import verification

    found = verification(Store(run))
    if as_json:
        print_json({**found.__dict__, "intact": found.intact})
    else:
        for kind in ("missing", "altered", "unreadable", "orphaned", "temporaries"):
            for name in getattr(found, kind):
                typer.echo(f"{kind}: {name}")
        verdict = "intact" if found.intact else "damaged; run the study again to repair it"
        typer.echo(f"{found.sound} files as committed; the run is {verdict}")
    raise typer.Exit(0 if found.intact else INPUT)


def clean(
    run: RunFolder,
    other_hosts: Annotated[
        bool, typer.Option(help="Also what other machines left: only when none of them runs.")
    ] = False,
) -> None:
    """Remove what dead processes left unfinished."""
    from ..engine.run.store import Store
    from ..engine.run.upkeep import expect_run, sweep

    store = Store(run)
    expect_run(store)
    removed = sweep(store, other_hosts)
    for path in removed:
        typer.echo(f"removed {path}")
    typer.echo(f"{len(removed)} unfinished files removed")


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A granule or a raster.")],
    as_json: AsJson = False,
) -> None:
    """Show the layers of a granule or raster.

    Shape, type, fill, valid pixels, and quality fields as counts.
    """
    from ..engine.sources.inspection import inspect

    found = inspect(file)
    if as_json:
        print_json(found)
        return
    for key, value in found.items():
        if key != "layers" and value is not None:
            typer.echo(f"{key}: {value}")
    grid = ""
    for layer in found["layers"]:
        before, grid = grid, describe_grid(layer)
        if grid != before:
            typer.echo(grid)
        print_layer(layer)


def describe_grid(layer: dict[str, Any]) -> str:
    """Where a layer lies, for people."""
    crs, transform = layer.get("crs"), layer.get("transform")
    if not transform:
        return f"on {crs or 'no grid'}:"
    left, dx, _, top, _, dy = transform
    return f"on {crs}, upper left ({left:.12g}, {top:.12g}), pixel {dx:.9g} x {abs(dy):.9g}:"


def print_layer(layer: dict[str, Any]) -> None:
    """Print a layer for people."""
    shape = " x ".join(map(str, layer["shape"]))
    told = [tag for tag in ("nodata", "scale", "offset") if layer.get(tag) is not None]
    tags = [f"{tag} {layer[tag]}" for tag in told]
    words = [f"{shape} {layer['dtype']}", *tags, f"{layer['valid']} valid"]
    typer.echo(f"{layer['name']}: " + ", ".join(words))
    for name, counts in (layer.get("fields") or {}).items():
        typer.echo(f"  {name}: " + ", ".join(f"{value} x {n}" for value, n in counts.items()))


def doctor(as_json: AsJson = False) -> None:
    """Show the machine, and what is missing on it."""
    from ..engine.run.doctor import facts

    found = facts(Path())
    if as_json:
        print_json(found)
        return
    disk, memory = found["disk"], found["memory"]
    rows = [
        ("system", found["system"]),
        ("cores", found["cores"]),
        ("memory", size(memory) if memory else "unknown"),
        ("free on disk", size(disk["free"]) if disk["free"] is not None else "unknown"),
        *(("GPU", f"{g['name']}, {size(g['memory'])}, CUDA {g['driver']}") for g in found["gpus"]),
        *([("GPU", f"none: {found['gpu_needs']}")] if found["gpu_needs"] else []),
        *found["versions"].items(),
        *((name, "missing; install rsei again") for name in found["missing"]),
        *(
            (o["ability"], "yes" if o["installed"] else f"no: {o['install']}")
            for o in found["optional"]
        ),
    ]
    for name, value in rows:
        typer.echo(f"{name:<26} {value}")
