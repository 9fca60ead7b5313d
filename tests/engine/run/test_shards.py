# SPDX-License-Identifier: Apache-2.0
"""Shares of a run make, together, what one run makes; and Slurm's batch files hand them in."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import studies
from faulty_tasks import Faulty
from hypothesis import given, settings
from hypothesis import strategies as st
from run_hashes import hashes

from rsei.engine.run import pipeline
from rsei.engine.run.orders import Plan, StagePlan
from rsei.engine.run.shards import SHARED, Shard
from rsei.engine.run.slurm import Batch, batch_files
from rsei.engine.run.store import Store
from rsei.engine.run.upkeep import verification

GIB = 1 << 30


@settings(max_examples=30)
@given(st.integers(1, 60), st.lists(st.text(), min_size=1, max_size=40), st.sampled_from(SHARED))
def test_every_task_is_in_exactly_one_share(count: int, names: list[str], stage: str) -> None:
    shards = [Shard.of(f"{i}/{count}") for i in range(1, count + 1)]
    assert {s.index for s in shards} == set(range(count))
    for name in names:
        assert sum(shard.takes(Faulty(name, stage=stage)) for shard in shards) == 1
        assert not any(shard.takes(Faulty(name, stage="reduce")) for shard in shards)


def test_shares_are_of_about_the_same_size() -> None:
    """A country: 22 tiles, 24 years, 8 jobs; a job that has 1.5 times its share is late by that."""
    tasks = [Faulty(f"h{h:02d}v05/{year}") for h in range(22) for year in range(2001, 2025)]
    sizes = [sum(map(Shard(i, 8).takes, tasks)) for i in range(8)]
    assert sum(sizes) == 528 and max(sizes) < 1.5 * 66


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.write_some(tmp_path_factory.mktemp("granules"))


@pytest.mark.slow
def test_shares_make_what_one_run_makes(granules: Path, tmp_path: Path) -> None:
    whole = studies.run(studies.written(tmp_path / "whole", granules), until="write").out
    file = studies.written(tmp_path / "shared", granules)
    shards = [Shard(i, 2) for i in range(2)]
    early = studies.run(file, shard=shards[0])
    stages = {marker.stage for marker in Store(early.out).markers()}
    assert early.exit_code == 0 and not early.complete and stages <= {"partial"}
    for until in ("partial", "composite"):
        done = [studies.run(file, until=until, shard=shard) for shard in shards]
    assert not (early.out / "tables").exists() and sum(one.done for one in done) == 2
    assert studies.run(file, until="reduce").done == 1
    for until in ("project", "write"):
        done = [studies.run(file, until=until, shard=shard) for shard in shards]
        assert sum(one.done for one in done) == 2
        assert studies.run(file, until=until).done == (until == "project")  # the scale of all
    last = studies.run(file, until="write")
    assert last.done == 0 and hashes(last.out) == hashes(whole)
    assert (last.out / "store/logs/shard-0-of-2.jsonl").exists()
    assert verification(Store(last.out)).orphaned == ()


PLAN = Plan(
    study='Nation\'s "wide" study',
    out=Path("run"),
    device="cpu",
    budget=8 * GIB,
    areas=(),
    stages=tuple(
        StagePlan(stage, 528, 0, read, 0, memory)
        for stage, read, memory in (
            ("partial", 40_000 * GIB, 2 * GIB),
            ("composite", 50 * GIB, GIB // 2),
            ("reduce", 0, GIB // 8),
            ("project", GIB, GIB // 8),
            ("write", GIB, 5 * GIB),
            ("analyse", GIB, 3 * GIB),
        )
    ),
    granules=100_000,
    skipped=0,
)


def options(text: str) -> dict[str, str]:
    lines = [line[8:].strip() for line in text.splitlines() if line.startswith("#SBATCH --")]
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_batch_files_say_what_the_plan_says(tmp_path: Path) -> None:
    files = batch_files(PLAN, Batch(tmp_path / "my study.toml", shares=16, cpus=2))
    first = options(files["1-partial.sh"])
    assert first["--array"] == "0-15" and first["--mem"] == "3072M"
    assert first["--time"] == "3-02:34:00"  # 40,000 GiB / 16 jobs / 10 MB/s
    assert first["--signal"] == "B:USR1@120" and "--requeue" in first
    assert options(files["6-write.sh"])["--mem"] == "6144M"
    for name in ("3-reduce.sh", "5-scale.sh", "7-finish.sh"):
        assert "--array" not in options(files[name]) and "--shard" not in files[name]
    assert f"run '{tmp_path / 'my study.toml'}' --until partial --shard" in files["1-partial.sh"]
    assert "--until project\n" in files["5-scale.sh"].replace(" &", "")
    assert "--until" not in files["7-finish.sh"]
    assert files["submit.sh"].count("afterany") == 7


def test_thresholds_by_tile_are_an_array_before_the_composites() -> None:
    files = batch_files(PLAN, Batch(Path("study.toml"), thresholds=True))
    assert [*files][1:3] == ["2-thresholds.sh", "3-composite.sh"]
    body = files["2-thresholds.sh"].replace("rsei-nation-s-wide-study-thresholds", "NAME")
    assert body == files["3-composite.sh"].replace("rsei-nation-s-wide-study-composite", "NAME")


@pytest.mark.parametrize("name", [*batch_files(PLAN, Batch(Path("a b.toml")))])
def test_bash_reads_the_batch_files(name: str) -> None:
    text = batch_files(PLAN, Batch(Path("a b.toml")))[name]
    done = subprocess.run(["bash", "-n"], input=text, text=True, capture_output=True)
    assert (done.returncode, done.stderr) == (0, "")


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGTERM])
@pytest.mark.parametrize(("code", "requeued"), [(5, True), (0, False), (1, False)])
def test_a_job_that_is_stopped_at_a_tasks_edge_goes_into_the_queue_again(
    tmp_path: Path, number: signal.Signals, code: int, requeued: bool
) -> None:
    said = tmp_path / "said"
    rsei = program(
        tmp_path / "rsei",
        f'trap "sleep 0.2; exit {code}" USR1; sleep 0.3; echo ready\n'
        "for i in {1..200}; do sleep 0.05; done",
    )
    program(tmp_path / "scontrol", f'echo "$@" >> {said}')
    job = program(
        tmp_path / "job",
        batch_files(PLAN, Batch(Path("study.toml"), program=str(rsei)))["1-partial.sh"],
    )
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "77"}
    share = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "8"}
    with subprocess.Popen([job], stdout=-1, env=os.environ | path | share, text=True) as child:
        assert child.stdout and child.stdout.readline() == "ready\n"
        child.send_signal(number)
        assert child.wait(120) == code
    assert (said.read_text() if said.exists() else "") == ("requeue 77\n" if requeued else "")


SBATCH = """
while [ "${1#--}" != "$1" ]; do echo "$1" >> "$0.options"; shift; done
echo "$1" >> "$0.jobs"
export SLURM_JOB_ID=$(wc -l < "$0.jobs")
count=$(sed -n 's/^#SBATCH --array=0-//p' "$1")
if [ -n "$count" ]; then
    for i in $(seq "$count" -1 0); do  # the last first: no order is promised
        SLURM_ARRAY_TASK_ID=$i SLURM_ARRAY_TASK_COUNT=$((count + 1)) ./"$1" >&2 || exit
    done
else
    ./"$1" >&2 || exit
fi
echo "$SLURM_JOB_ID;cluster"
"""
"""Runs a batch file at once."""


@pytest.mark.slow
def test_the_batch_files_carry_out_a_study(granules: Path, tmp_path: Path) -> None:
    whole = studies.run(studies.written(tmp_path / "whole", granules), until=None).out
    file = studies.written(tmp_path / "jobs", granules)
    code = "from rsei.cli.main import app; app()"
    rsei = program(tmp_path / "rsei", f'exec "{sys.executable}" -c "{code}" "$@"')
    folder = tmp_path / "slurm"
    folder.mkdir()
    batch = Batch(file, shares=2, program=str(rsei))
    for name, text in batch_files(pipeline.plan(studies.load(file)), batch).items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    sbatch = program(tmp_path / "sbatch", SBATCH)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run([folder / "submit.sh", "--partition=fat"], check=True, env=os.environ | path)
    assert len(Path(f"{sbatch}.jobs").read_text().split()) == 7
    given = Path(f"{sbatch}.options").read_text().split()
    assert given.count("--partition=fat") == 7 and "--dependency=afterany:5" in given
    assert hashes(file.parent / "run") == hashes(whole)
