# SPDX-License-Identifier: Apache-2.0
"""Everything that a machine with a GPU can tell, in one go: proofs, rates, and both ways of a run.

    python benchmarks/device.py FOLDER [--quick] [--minutes 9] [--only STEP ...] [--device cpu]

Each step writes FOLDER/STEP.log as it goes on, and FOLDER/summary.json says, after each, what it
came to, with its figures. One that fails or takes too long does not end the others, and a session
that is killed has all it had come to. The steps stand in STEPS, in the order of what is wanted
first; what they need on the way is in a folder of its own (--work), as it is large. ``--device
cpu`` goes through all of it on a machine without a GPU, to see that it works.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import rasterio

ROOT = Path(__file__).parents[1]
HERE = [sys.executable]
RUN = [*HERE, "-c", "from rsei.cli.main import app; app()"]
CHECKED = [
    "screening",
    "moments",
    "quality",
    "rules",
    "projection",
    "zonal",
    "trees",
    "ranks",
    "barriers",
]
"""Kernels with shared memory or atomics, which compute-sanitizer looks at; it is slow."""

CANDIDATES: Mapping[str, str] = {
    "128 threads": "launch.THREADS = 128",
    "512 threads": "launch.THREADS = 512",
    "4096 blocks": "launch.BLOCKS = 4096",
    "96 registers": "launch.gpu_grid = functools.partial(launch.cuda.jit, max_registers=96)",
    "64 registers": "launch.gpu_grid = functools.partial(launch.cuda.jit, max_registers=64)",
    "128 threads, 96 registers": "launch.THREADS = 128; "
    "launch.gpu_grid = functools.partial(launch.cuda.jit, max_registers=96)",
}
"""What to try on every kernel: a change of ``launch`` before the kernels are made."""

NEAR = 2e-5
"""Most that rasters of both processors may differ, of their greatest value: FMA contraction."""

JUDGED = ("indicators/", "composites/", "rsei/", "tables/pca.csv")
"""What has to be as near. Forests that grow on drivers a rounding apart are other forests, so other
tables are told and not judged."""

Command = list[str]


@dataclass(frozen=True)
class Place:
    """Where a session works, and how."""

    out: Path
    """Folder of its results, of a few small files."""

    work: Path
    """Folder of what is needed on the way."""

    quick: bool = False
    """Whether tiles are small: to see that it works."""

    device: str = "cuda"
    """``cuda``; or ``cpu``, where there is no GPU to prove anything on."""

    @property
    def small(self) -> Command:
        """Options of the benchmarks."""
        return ["--pixels", "600", "--dates", "8", "--repeats", "1"] if self.quick else []


@dataclass(frozen=True)
class Step:
    """Commands that are carried out one after the other, until one fails."""

    name: str
    commands: Callable[[Place], Sequence[Command]]
    """What is done."""

    seconds: float = 120
    """Most time that it may take; less where the session has less left."""

    needs: str | None = None
    """A program without which the step is left out."""

    figures: Callable[[Place], dict[str, Any]] = field(default=lambda place: {})
    """What it has found so far, from the files in the working folder."""


def pytest(place: Place, name: str, *which: str) -> Command:
    """Tests, counted in a file: all left out is no proof."""
    report = f"--junitxml={place.work / name}.xml"
    return [*HERE, "-m", "pytest", "-q", "-p", "no:cacheprovider", report, *which]


def home(place: Place) -> str:
    """What selects the tests of a kernel where its arrays live."""
    return "cupy" if place.device == "cuda" else "numpy"


def kernels(place: Place) -> Sequence[Command]:
    """The machine; then the kernels' tests where arrays are CuPy's."""
    machine = [["nvidia-smi"]] if place.device == "cuda" else []
    which = ("-k", home(place), "tests/kernels")
    return [*machine, [*RUN, "doctor"], pytest(place, "kernels", *which)]


def run(place: Place) -> Sequence[Command]:
    """Streams with pinned memory, blocks cut to the GPU, and what is done when it is full."""
    return [pytest(place, "run", "tests/engine/run/test_on_gpu.py")]


def rates(place: Place) -> Sequence[Command]:
    """Kernels beside CuPy's expressions."""
    return [measured(place, "rates")]


def measured(place: Place, name: str, change: str = "") -> Command:
    """The kernels beside expressions, with a change of ``launch`` before they are made."""
    script = str(ROOT / "benchmarks/bench_device.py")
    words = [script, "--json", str(place.work / f"{name}.json"), *place.small]
    words += ["--device", place.device]
    if not change:
        return [*HERE, *words]
    lines = "import functools, runpy, sys\nfrom rsei.kernels import launch\n"
    beside = f"sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\nsys.argv = {words!r}\n"
    ran = f"{beside}runpy.run_path({script!r}, run_name='__main__')"
    return [*HERE, "-c", f"{lines}{change}\n{ran}"]


def demo(place: Place) -> Sequence[Command]:
    """The demo on the cores, then the same granules on the GPU, compared."""
    return [[*HERE, __file__, str(place.work / "demo"), "--second", "--device", place.device]]


def bench(place: Place) -> Sequence[Command]:
    """Stages on the GPU, decode, copy and calculation apart and together; then on the cores."""
    kept = ["--in", str(place.work / "granules"), *place.small]
    devices = dict.fromkeys((place.device, "cpu"))
    return [
        [*RUN, "bench", "--device", one, "--json", str(place.work / f"bench-{one}.json"), *kept]
        for one in devices
    ]


def sanitizer(place: Place) -> Sequence[Command]:
    """Memory, races and barriers of the kernels that share memory; one after the other."""
    command = ["compute-sanitizer", "--error-exitcode", "9", "--target-processes", "all", "--tool"]
    names = CHECKED[:1] if place.quick else CHECKED
    return [
        [*command, tool, *pytest(place, f"{tool}-{name}", "-x", "-k", home(place), test)]
        for name in names
        for test in [f"tests/kernels/test_{name}.py"]
        for tool in ("memcheck", "racecheck", "synccheck")
    ]


def candidates(place: Place) -> Sequence[Command]:
    """The kernels again, each time with another shape of launch or limit of registers."""
    return [
        measured(place, f"candidate-{n}", change) for n, change in enumerate(CANDIDATES.values())
    ]


def decode(place: Place) -> Sequence[Command]:
    """The decode of granules by this machine's cores."""
    scripts = ("decode",) if place.quick else ("decode", "partial")
    return [
        [*HERE, str(ROOT / f"benchmarks/bench_{one}.py"), "--json", str(place.work / f"{one}.json")]
        for one in scripts
    ]


def passed(*patterns: str) -> Callable[[Place], dict[str, Any]]:
    """Reads how many tests passed, failed and were left out."""

    def found(place: Place) -> dict[str, Any]:
        files = sorted(file for one in patterns for file in place.work.glob(f"{one}.xml"))
        counts = {file.stem: counted(file) for file in files}
        lacking = [name for name, one in counts.items() if not one["passed"]]
        return {"tests": counts, "fault": f"no test passed of {lacking}" if lacking else None}

    return found


def counted(file: Path) -> dict[str, int]:
    """Tests of a report of pytest."""
    suite = next(ElementTree.parse(file).iter("testsuite")).attrib
    wrong, left = int(suite["failures"]) + int(suite["errors"]), int(suite["skipped"])
    done = int(suite["tests"]) - wrong - left
    return {"passed": done, "failed": wrong, "left out": left}


def read(**files: str) -> Callable[[Place], dict[str, Any]]:
    """Reads the figures that commands wrote, by a name for each file."""

    def found(place: Place) -> dict[str, Any]:
        paths = {name: place.work / f"{file}.json" for name, file in files.items()}
        return {name: json.loads(path.read_text()) for name, path in paths.items() if path.exists()}

    return found


TRIED = {name: f"candidate-{n}" for n, name in enumerate(CANDIDATES)}

STEPS = (
    Step("kernels", kernels, 180, figures=passed("kernels")),
    Step("run", run, 90, figures=passed("run")),
    Step("rates", rates, 90, figures=read(rates="rates")),
    Step("demo", demo, 150, figures=read(demo="demo/apart")),
    Step("bench", bench, 150, figures=read(cuda="bench-cuda", cpu="bench-cpu")),
    Step(
        "sanitizer",
        sanitizer,
        150,
        "compute-sanitizer",
        passed("memcheck-*", "racecheck-*", "synccheck-*"),
    ),
    Step("candidates", candidates, 150, figures=read(**TRIED)),
)
"""In the order of what is wanted first. ``decode`` needs no GPU and stands in MORE."""

MORE = (Step("decode", decode, 120, figures=read(decode="decode", partial="partial")),)
"""Steps that are done where they are asked for."""


def carried_out(step: Step, place: Place, most: float = float("inf")) -> dict[str, Any]:
    """What a step came to within ``most`` seconds; its output is in its log."""
    if step.needs and shutil.which(step.needs) is None:
        return {"step": step.name, "state": f"left out: there is no {step.needs}"}
    begun, most = time.monotonic(), min(step.seconds, most)
    state = "done"
    with (place.out / f"{step.name}.log").open("w") as log:
        for command in step.commands(place):
            log.write(f"$ {shlex.join(command)}\n")
            log.flush()
            left = most - (time.monotonic() - begun)
            if left <= 0:
                state = f"out of time after {most:.0f} s"
                break
            code = ended(command, log, left)
            if code:
                reason = f"failed with {code}" if code != 124 else f"out of time after {most:.0f} s"
                state = f"{reason}: {shlex.join(command)}"
                break
    figures = step.figures(place)
    if state == "done" and figures.get("fault"):
        state = f"failed: {figures['fault']}"
    seconds = round(time.monotonic() - begun, 1)
    return {"step": step.name, "state": state, "seconds": seconds, "figures": figures}


def ended(command: Command, log: Any, most: float) -> int:
    """The exit code of a command; 124 where it took too long, 127 where there is none such."""
    try:
        child = subprocess.Popen(
            command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    except FileNotFoundError as error:
        log.write(f"{error}\n")
        return 127
    try:
        return child.wait(most)
    except BaseException as error:
        os.killpg(child.pid, signal.SIGKILL)  # with the processes that it began
        child.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            return 124
        raise


def second_run(place: Path, device: str) -> int:
    """Run the demo's study on the cores and on ``device``, and compare; 1 where they differ."""
    from rsei.engine.sources.simulate import write_demo

    place.mkdir(parents=True, exist_ok=True)
    write_demo(place)
    text = (place / "study.toml").read_text()
    if 'out = "run"' not in text:
        raise SystemExit(f'{place}/study.toml: expected a line out = "run", found none')
    for one in ("first", "second"):
        study = place / f"study-{one}.toml"
        study.write_text(text.replace('out = "run"', f'out = "{one}"', 1))
        where = ["--device", "cpu" if one == "first" else device, "--until", "analyse"]
        subprocess.run([*RUN, "run", str(study), *where], check=True)
    found = differences(place / "first", place / "second")
    (place / "apart.json").write_text(json.dumps(found, indent=1) + "\n")
    for name, apart in found.items():
        print(f"{apart:.3g}  {name}")
    judged = {name: apart for name, apart in found.items() if name.startswith(JUDGED)}
    worst = max(judged.values(), default=np.inf)
    print(f"{len(judged)} files; most apart: {worst:.3g} of the greatest value, allowed {NEAR}")
    return int(worst > NEAR)


def differences(first: Path, second: Path) -> dict[str, float]:
    """How far each raster and table is apart, as a share of its layer's greatest value.

    Infinite where a file is missing, or other pixels or words are there.
    """
    names = {
        path.relative_to(run)
        for run in (first, second)
        for kind in ("**/*.tif", "tables/*.csv")
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
    every = (*STEPS, *MORE)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the results go")
    parser.add_argument("--quick", action="store_true", help="small tiles: to see that it works")
    parser.add_argument("--only", nargs="+", choices=[step.name for step in every])
    parser.add_argument("--minutes", type=float, default=9, help="most time in all")
    parser.add_argument("--work", type=Path, help="where to keep what is needed on the way")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--second", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    out: Path = options.folder.absolute()
    if options.second:
        sys.exit(second_run(out, options.device))
    out.mkdir(parents=True, exist_ok=True)
    os.environ["PYTHONUNBUFFERED"] = "1"
    os.environ["RSEI_GPU_WORTH"] = "1000 TiB"  # a GPU is taken by the steps that ask for it
    work = options.work.absolute() if options.work else Path(mkdtemp(prefix="rsei-device-"))
    work.mkdir(parents=True, exist_ok=True)
    place = Place(out, work, options.quick, options.device)
    found, end = [], time.monotonic() + 60 * options.minutes
    try:
        for step in every if options.only else STEPS:
            if options.only and step.name not in options.only:
                continue
            found.append(carried_out(step, place, end - time.monotonic()))
            print(f"{step.name:10} {found[-1]['state']}", flush=True)
            (out / "summary.json").write_text(json.dumps(found, indent=1) + "\n")
    finally:
        if not options.work:
            shutil.rmtree(work, ignore_errors=True)
    sys.exit(any(str(one["state"]).startswith(("failed", "out of")) for one in found))


if __name__ == "__main__":
    main()
