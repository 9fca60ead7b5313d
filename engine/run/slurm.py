# SPDX-License-Identifier: Apache-2.0
"""Batch files for Slurm: an array of shares for each stage, chained, to be requeued at any time."""

import math
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from ..sources.areas import slug
from .orders import Plan
from .shards import SHARED

BASE = 1 << 30
"""Bytes that the libraries and the system's own buffers take beside a task."""

RATE = 10e6
"""Bytes of granules a core reads and adds in a second, at the least: a fifth of what
benchmarks/bench_partial.py measured, 513 MB in 5 s on two cores."""

SHORTEST = 30
"""Minutes of the shortest job: below, waiting in the queue takes longer."""

NOTICE = 120
"""Seconds before the time limit at which a job is asked to stop between two tasks."""

RESTARTS = 50
"""Times that a job puts itself into the queue again."""

TRAP = "trap 'kill -USR1 \"$job\"' USR1 TERM  # stop after the task at hand"
"""Start of every batch file; a signal ends the shell's waiting, not the job."""

TAIL = f"""\
job=$!
wait "$job"
code=$?
while [ "$code" -eq 138 ] || [ "$code" -eq 143 ]; do  # a signal ended the waiting, not the job
    wait "$job"
    code=$?
done
if [ "$code" -eq 5 ] && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {RESTARTS} ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
"""
"""End of every batch file: exit code 5 means that the same command goes on."""


@dataclass(frozen=True)
class Batch:
    """What the jobs may take."""

    study: Path
    """The study file."""

    shares: int = 8
    """Jobs of each array."""

    cpus: int = 1
    """Cores of each job."""

    program: str = str(Path(sys.prefix) / "bin" / "rsei")
    """The command; on every node the same."""

    thresholds: bool = False
    """Whether an area by tiles needs thresholds of its water before its composites."""


def batch_files(plan: Plan, batch: Batch) -> dict[str, str]:
    """Texts of the batch files, and of ``submit.sh`` that hands them in, by name.

    What reduces kilobytes is a single job; the last one also does what shares left.
    """
    thresholds = ("thresholds",) if batch.thresholds else ()
    steps = ("partial", *thresholds, "composite", "reduce", "project", "scale", "write", "finish")
    names = {step: f"{number}-{step}.sh" for number, step in enumerate(steps, 1)}
    texts = {names[step]: _job(step, plan, batch) for step in steps}
    return texts | {"submit.sh": _submit(plan, names)}


UNTIL = {"thresholds": "composite", "scale": "project"}
"""Stage of a step that is the first or the last of a stage's two."""


def _job(step: str, plan: Plan, batch: Batch) -> str:
    shared = step in (*SHARED, "thresholds")
    last = [] if step == "finish" else ["--until", UNTIL.get(step, step)]
    options = [
        f"--job-name=rsei-{slug(plan.study)}-{step}",
        *([f"--array=0-{batch.shares - 1}"] if shared else []),
        "--nodes=1",
        "--ntasks=1",
        f"--cpus-per-task={batch.cpus}",
        f"--mem={memory(step, plan)}M",
        f"--time={clock(minutes(step, plan, batch.shares if shared else 1))}",
        f"--signal=B:USR1@{NOTICE}",
        "--requeue",
        "--open-mode=append",
        f"--output=%x-{'%A_%a' if shared else '%j'}.log",
    ]
    share = ' --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"' if shared else ""
    command = shlex.join([batch.program, "run", str(batch.study.absolute()), *last])
    head = "".join(f"#SBATCH {option}\n" for option in options)
    cores = 'export RSEI_THREADS="${SLURM_CPUS_PER_TASK:-1}"'
    return f"#!/bin/bash\n{head}\n{TRAP}\n{cores}\n{command}{share} &\n{TAIL}"


def memory(step: str, plan: Plan) -> int:
    """MiB that a job needs: the largest task of its stage, and the libraries."""
    stage = UNTIL.get(step, step)
    largest = max((s.memory for s in plan.stages if stage in (s.stage, "finish")), default=0)
    return math.ceil((largest + BASE) / (1 << 20))


def minutes(step: str, plan: Plan, shares: int) -> int:
    """Minutes of a job, generously: what it reads at a slow rate. A job out of time goes on."""
    stage = "composite" if step == "thresholds" else step  # each of the two reads all of it
    read = sum(s.read for s in plan.stages if stage in (s.stage, "finish"))
    if step == "finish":  # the shares have done theirs
        read -= sum(s.read for s in plan.stages if s.stage in SHARED)
    return max(SHORTEST, math.ceil(read / shares / RATE / 60))


def clock(minutes: int) -> str:
    """A time as Slurm writes it.

    >>> clock(30), clock(3000)
    ('00:30:00', '2-02:00:00')
    """
    hours, rest = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return (f"{days}-" if days else "") + f"{hours:02d}:{rest:02d}:00"


def _submit(plan: Plan, names: dict[str, str]) -> str:
    lines = [
        "#!/bin/bash",
        f"# Hands in the study {slug(plan.study)}; options go to sbatch, such as --partition=x.",
        "set -euo pipefail",
        'cd "$(dirname "$0")"',
        "last=",
    ]
    for name in names.values():
        # afterany: a share with a failed task must not hold up the others
        after = '${last:+--dependency=afterany:"$last"}'
        lines += [f'last=$(sbatch --parsable {after} "$@" {name})', "last=${last%%;*}"]
        lines += [f'echo "{name}: job $last"']
    return "\n".join(lines) + "\n"
