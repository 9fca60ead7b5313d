# SPDX-License-Identifier: Apache-2.0
"""Everything that a machine with a GPU can tell, in one go: proofs, rates, and both ways of a run.

    python benchmarks/device.py FOLDER [--quick]

Each step writes FOLDER/STEP.log, and its figures beside it; one that fails does not end the others.
summary.json says what each came to. The steps stand in STEPS, in the order of what is wanted first,
so that a session that is cut short has the most of it.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import rasterio

ROOT = Path(__file__).parents[1]
RUN = [sys.executable, "-c", "from rsei.cli.main import app; app()"]
HERE = [sys.executable]
CHECKED = ["quality", "rules", "moments", "screening", "zonal", "shares", "ranks", "trees"]
"""Kernels with shared memory or atomics, which compute-sanitizer looks at; it is slow."""

NEAR = 2e-5
"""Most that rasters of both processors may differ, of their greatest value: FMA contraction."""

Command = list[str]


@dataclass(frozen=True)
class Step:
    """Commands that are carried out one after the other, until one fails."""

    name: str
    commands: Callable[[Path, bool], Sequence[Command]]
    """Made of the folder, and of whether it has to be quick."""

    needs: str | None = None
    """A program without which the step is left out."""


def doctor(out: Path, quick: bool) -> Sequence[Command]:
    return [["nvidia-smi"], [*RUN, "doctor"]]


def tests(out: Path, quick: bool) -> Sequence[Command]:
    """The kernels' tests where arrays are CuPy's."""
    return [[*HERE, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "cupy", "tests/kernels"]]


def bench(out: Path, quick: bool) -> Sequence[Command]:
    """Stages on the GPU, decode, copy and calculation apart and together; then on the cores."""
    size = ["--pixels", "600", "--dates", "8"] if quick else []
    kept = ["--in", str(out / "granules")]
    return [
        [
            *RUN,
            "bench",
            "--device",
            device,
            "--json",
            str(out / f"bench-{device}.json"),
            *size,
            *kept,
        ]
        for device in ("cuda", "cpu")
    ]


def kernels(out: Path, quick: bool) -> Sequence[Command]:
    """Kernels beside CuPy's expressions."""
    size = ["--pixels", "600", "--dates", "8"] if quick else []
    script = [str(ROOT / "benchmarks/bench_device.py"), "--json", str(out / "kernels.json")]
    return [[*HERE, *script, *size]]


def demo(out: Path, quick: bool) -> Sequence[Command]:
    """The demo on the cores, then the same granules on the GPU, compared."""
    place = out / "demo"
    second = [*HERE, __file__, str(place), "--second"]
    return [[*RUN, "demo", str(place)], second]


def sanitizer(out: Path, quick: bool) -> Sequence[Command]:
    """Memory and races of the kernels that share memory."""
    files = [f"tests/kernels/test_{name}.py" for name in (CHECKED[:2] if quick else CHECKED)]
    run = [*HERE, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-k", "cupy", *files]
    command = ["compute-sanitizer", "--error-exitcode", "9", "--target-processes", "all"]
    return [[*command, "--tool", tool, *run] for tool in ("memcheck", "racecheck", "initcheck")]


def decode(out: Path, quick: bool) -> Sequence[Command]:
    """The decode of granules by this machine's cores."""
    scripts = ("decode",) if quick else ("decode", "partial")
    return [
        [*HERE, str(ROOT / f"benchmarks/bench_{one}.py"), "--json", str(out / f"{one}.json")]
        for one in scripts
    ]


STEPS = (
    Step("doctor", doctor),
    Step("tests", tests),
    Step("bench", bench),
    Step("kernels", kernels),
    Step("demo", demo),
    Step("sanitizer", sanitizer, "compute-sanitizer"),
    Step("decode", decode),
)


def carried_out(step: Step, out: Path, quick: bool) -> dict[str, Any]:
    """What a step came to; its output is in its log."""
    if step.needs and shutil.which(step.needs) is None:
        return {"step": step.name, "state": f"left out: there is no {step.needs}"}
    begun = time.monotonic()
    with (out / f"{step.name}.log").open("w") as log:
        for command in step.commands(out, quick):
            log.write(f"$ {' '.join(command)}\n")
            log.flush()
            try:
                done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)
                code = done.returncode
            except FileNotFoundError as error:
                log.write(f"{error}\n")
                code = 127
            if code:
                return _ended(step, begun, f"failed with {code}: {' '.join(command)}")
    return _ended(step, begun, "done")


def _ended(step: Step, begun: float, state: str) -> dict[str, Any]:
    return {"step": step.name, "state": state, "seconds": round(time.monotonic() - begun, 1)}


def second_run(place: Path) -> int:
    """Run the demo's study on the GPU, and compare the two; 1 where they differ."""
    text = (place / "study.toml").read_text()
    if 'out = "run"' not in text:
        raise SystemExit(f'{place}/study.toml: expected a line out = "run", found none')
    study = place / "study-cuda.toml"
    study.write_text(text.replace('out = "run"', 'out = "run-cuda"', 1))
    subprocess.run([*RUN, "run", str(study), "--device", "cuda"], check=True)
    study.unlink()  # the only study of a demo is study.toml
    found = differences(place / "run", place / "run-cuda")
    for name, apart in found.items():
        print(f"{apart:.3g}  {name}")
    worst = max(found.values(), default=np.inf)
    print(f"{len(found)} files; most apart: {worst:.3g} of the greatest value, allowed {NEAR}")
    return int(worst > NEAR)


def differences(first: Path, second: Path) -> dict[str, float]:
    """How far each raster and table is apart, as a share of its layer's greatest value.

    Infinite where a file is missing, or other pixels or words are there.
    """
    names = {
        path.relative_to(run)
        for run in (first, second)
        for kind in (
            "indicators/**/*.tif",
            "composites/**/*.tif",
            "rsei/**/*.tif",
            "tables/pca.csv",
        )
        for path in run.glob(kind)
    }
    return {str(name): _apart(first / name, second / name) for name in sorted(names)}


def _apart(first: Path, second: Path) -> float:
    if not (first.is_file() and second.is_file()):
        return float("inf")
    layers = [_numbers(path) for path in (first, second)]
    if len(layers[0]) != len(layers[1]):
        return float("inf")
    return max(map(_share, *layers), default=0.0)


def _numbers(path: Path) -> list[Any]:
    """Layers of a raster, or columns of a table."""
    if path.suffix == ".tif":
        with rasterio.open(path) as file:
            return list(file.read().astype(np.float64))
    columns = (column for _, column in pd.read_csv(path).items())
    return [
        (one if one.dtype.kind in "fiu" else one.astype(object).fillna("").astype(str)).to_numpy()
        for one in columns
    ]


def _share(mine: Any, theirs: Any) -> float:
    if mine.shape != theirs.shape:
        return float("inf")
    if mine.dtype.kind not in "fiu":
        return 0.0 if (mine == theirs).all() else float("inf")
    if (np.isnan(mine) != np.isnan(theirs)).any():
        return float("inf")
    known = mine[~np.isnan(mine)]
    apart = np.abs(known - theirs[~np.isnan(theirs)]).max(initial=0.0)
    return float(apart / max(np.abs(known).max(initial=0.0), np.finfo(float).tiny))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the results go")
    parser.add_argument("--quick", action="store_true", help="small tiles: to see that it works")
    parser.add_argument("--only", nargs="+", choices=[step.name for step in STEPS])
    parser.add_argument("--second", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    out: Path = options.folder.absolute()
    if options.second:
        sys.exit(second_run(out))
    out.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ["RSEI_GPU_WORTH"] = "1000 TiB"  # a GPU is taken by the steps that ask for it
    found = []
    for step in STEPS:
        if options.only and step.name not in options.only:
            continue
        found.append(carried_out(step, out, options.quick))
        print(f"{step.name:10} {found[-1]['state']}", flush=True)
        (out / "summary.json").write_text(json.dumps(found, indent=1) + "\n")
    sys.exit(any(str(one["state"]).startswith("failed") for one in found))


if __name__ == "__main__":
    main()
