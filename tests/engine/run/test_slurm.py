# SPDX-License-Identifier: Apache-2.0
"""The batch files under a real Slurm: a share killed, another requeued, and the same bytes."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import studies
from run_hashes import hashes
from slurm_cluster import missing, slurm

from rsei.engine.run import pipeline
from rsei.engine.run.orders import RunOptions
from rsei.engine.run.partials import partial_tasks
from rsei.engine.run.shards import Shard
from rsei.engine.run.slurm import Batch, batch_files
from rsei.engine.run.store import Store
from rsei.engine.run.survey import survey

SHARES = 8

SLOWLY = """\
import os, signal, sys, time
from rsei.engine.run import partials
real = partials.PartialTask.make
def make(self, store, draft):
    name = self.name.replace("/", "-")
    with open(os.environ["BEGUN"] + "." + name, "a") as file:
        file.write("x")
    if name == os.environ["KILLED"]:
        os.killpg(0, signal.SIGKILL)  # the batch script too: nobody is left to ask for another go
    time.sleep(5)
    real(self, store, draft)
partials.PartialTask.make = make
from rsei.cli.main import app
app()
"""
"""The command, whose partials take so long that a job can be met at work; one kills its job."""


def said(variables: Mapping[str, str], *command: str) -> str:
    environment = os.environ | variables
    return subprocess.run(
        command, check=True, capture_output=True, text=True, env=environment
    ).stdout


def wait_for(path: Path) -> None:
    end = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < end, f"expected {path} within two minutes"
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=f"no Slurm here: {missing()}")
def test_a_killed_and_a_requeued_share_under_slurm(tmp_path: Path) -> None:
    granules = studies.write_some(tmp_path / "granules")
    whole = studies.run(studies.written(tmp_path / "whole", granules)).out
    file = studies.written(tmp_path / "jobs", granules)
    program = tmp_path / "rsei"
    program.write_text(f'#!/bin/bash\nexec "{sys.executable}" "{tmp_path}/slowly.py" "$@"\n')
    program.chmod(0o755)
    (tmp_path / "slowly.py").write_text(SLOWLY)
    folder = tmp_path / "slurm"
    folder.mkdir()
    study = studies.load(file)
    files = batch_files(pipeline.plan(study), Batch(file, SHARES, program=str(program)))
    for name, text in files.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    names = [task.name for task in partial_tasks(survey(study), "cpu")]
    shares = {
        next(i for i in range(SHARES) if Shard(i, SHARES).takes(task)): task.name.replace("/", "-")
        for task in partial_tasks(survey(study), "cpu")
    }
    assert len(names) == 4 and len(shares) >= 2
    (_, first), (requeued, second) = sorted(shares.items())[:2]
    begun = tmp_path / "begun"
    with slurm(tmp_path / "cluster") as cluster:
        variables = {**cluster, "BEGUN": str(begun), "KILLED": first, "RSEI_THREADS": "1"}
        handed_in = "sbatch", "--parsable", f"--chdir={folder}", str(folder / "1-partial.sh")
        job = said(variables, *handed_in).strip()
        wait_for(Path(f"{begun}.{second}"))
        said(variables, "scontrol", "requeue", f"{job}_{requeued}")
        end = time.monotonic() + 400
        while said(variables, "squeue", "--noheader"):
            assert time.monotonic() < end, said(variables, "squeue")
            time.sleep(0.5)
    assert len(Path(f"{begun}.{first}").read_text()) == 1  # killed, and left
    assert len(Path(f"{begun}.{second}").read_text()) == 2  # begun once more after it was requeued
    made = {marker.name for marker in Store(file.parent / "run").markers("partial")}
    assert len(made) == len(names) - 1
    studies.run(file)
    assert hashes(file.parent / "run") == hashes(whole)


class Killer(studies.Silent):
    """Ends the first job that it meets at work, once."""

    def __init__(self) -> None:
        super().__init__()
        self.killed = ""

    def advance(self, stage: str, tasks: int, size: int, found: bool = False) -> None:
        running = said({}, "squeue", "--noheader", "--states=R", "--format=%A").split()
        if not self.killed and running:
            self.killed = running[0]
            said({}, "scancel", self.killed)


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=f"no Slurm here: {missing()}")
def test_a_run_asks_slurm_for_jobs_and_outlives_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask_jobqueue")
    granules = studies.write_some(tmp_path / "granules")
    whole = studies.run(studies.written(tmp_path / "whole", granules), until="write").out
    file = studies.written(tmp_path / "jobs", granules, compute='memory = "2 GiB"')
    watcher = Killer()
    monkeypatch.chdir(tmp_path)  # the jobs' logs
    with slurm(tmp_path / "cluster", memory=16000) as cluster:
        for name, value in cluster.items():
            monkeypatch.setenv(name, value)
        options = RunOptions(until="write", scheduler="slurm", workers=2)
        outcome = pipeline.run(studies.load(file), options, watcher)
    assert outcome.failed == () and watcher.killed
    assert hashes(outcome.out) == hashes(whole)
