# SPDX-License-Identifier: Apache-2.0
"""The command as a user calls it, and a pipeline that only notes what it is asked."""

import os
import subprocess
import sys
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

from typer.testing import CliRunner

from rsei.cli.main import app
from rsei.engine.run.orders import (
    MissingDate,
    Outcome,
    Plan,
    RunOptions,
    StagePlan,
    Status,
)

COMMANDS = (
    "demo init plan fetch run status verify clean inspect doctor report forest slurm bench".split()
)
ENVIRONMENT = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}


def rsei(*words: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def process(*words: str | Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    code = "from rsei.cli.main import app; app()"
    command = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, **more)


class Pipeline(ModuleType):
    """A pipeline that notes its calls and gives prepared answers."""

    def __init__(self) -> None:
        super().__init__("rsei.engine.run.pipeline")
        self.calls: list[Any] = []
        self.failure: BaseException | None = None
        self.outcome = Outcome(Path("out"), done=3, committed=4)

    def plan(self, study: Any) -> Plan:
        self.answer(study)
        stages = (StagePlan("partial", 12, 5, 2**30, 2**20, 2**28),)
        missing = (MissingDate("MOD11A2", date(2001, 6, 18), "h27v05"),)
        areas, bad = (("Tangshan", 62_000),), ((Path("a.hdf"), "is truncated"),)
        return Plan("t", Path("out"), "cpu", 2**33, areas, stages, 60, 2, bad, missing, ("beware",))

    def run(self, study: Any, options: RunOptions, progress: Any, stop: Any = None) -> Outcome:
        self.answer(options)
        progress.begin("partial", 2, 2**20)
        progress.advance("partial", 2, 2**20)
        progress.say("said")
        return self.outcome

    def status(self, folder: Path, why: bool) -> Status:
        self.answer(folder, why)
        reasons = (("partial h27v05/2019", ("settings.preset: 1 -> 2",)),) if why else ()
        return Status("t", folder, (("partial", 12, 5),), why=reasons)

    def answer(self, *call: Any) -> None:
        self.calls.append(call)
        if self.failure:
            raise self.failure
