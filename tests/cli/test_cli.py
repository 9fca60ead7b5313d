# SPDX-License-Identifier: Apache-2.0
"""Commands parse, call once and print; their exit codes are a contract."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from commands import COMMANDS, Pipeline, process, rsei

from rsei.engine.run import reading
from rsei.engine.run.orders import (
    RunOptions,
)
from rsei.engine.run.shards import Shard
from rsei.engine.sources.errors import GranuleError, Interrupted, MachineError, StudyError


def test_help_lists_what_exists_and_nothing_else() -> None:
    commands = rsei("--help").stdout.split("Commands:")[1]
    assert re.findall(r"^  ([a-z]+)  ", commands, re.MULTILINE) == COMMANDS
    assert "..." not in commands  # a line that had to be cut
    for option in ("--scheduler", "--shard", "--workers", "--until"):
        assert option in rsei("run", "--help").stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    found = rsei(command, "--help")
    assert found.exit_code == 0 and "Usage" in found.stdout


def test_version() -> None:
    from importlib.metadata import version

    assert rsei("--version").stdout == f"rsei {version('rsei')}\n"


def test_the_command_starts_without_the_engine() -> None:
    code = (
        "import sys; from rsei.cli.main import app\n"
        "heavy = {'numpy', 'pandas', 'numba', 'rasterio', 'pydantic', 'rich.progress'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.stdout == "[]\n"


def test_init_writes_a_study_that_loads_and_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "study.toml"
    assert rsei("init", path).exit_code == 0
    assert reading.load(path).study.name == "my-city"
    path.write_text("mine")
    again = rsei("init", path)
    assert again.exit_code == 2 and "exists already" in again.stderr
    assert path.read_text() == "mine"


def test_plan_prints_the_plan(study: Path, pipeline: Pipeline) -> None:
    found = rsei("plan", study)
    assert found.exit_code == 0
    assert pipeline.calls[0][0] == reading.load(study)
    for text in ("Tangshan", "62000", "1.0 GiB", "2001-06-18", "h27v05", "is truncated", "beware"):
        assert text in found.stdout
    record = json.loads(rsei("plan", study, "--json").stdout)
    assert record["stages"][0]["committed"] == 5 and record["missing"][0]["date"] == "2001-06-18"


def test_run_hands_its_options_on(study: Path, pipeline: Pipeline) -> None:
    words = "--device cpu --workers 2 --until write --limit 7 --shard 8/8".split()
    found = rsei("run", study, *words)
    assert found.exit_code == 0, found.stderr
    assert pipeline.calls == [(RunOptions("cpu", 2, "write", 7, shard=Shard(0, 8)),)]
    assert "3 tasks done, 4 found done" in found.stdout and "said" in found.stderr
    assert "partial: 2/2 tasks, 1.0/1.0 MiB" in found.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--device", "gpu"], "expected one of auto, cpu, cuda, found 'gpu'"),
        (["--until", "projct"], "did you mean project?"),
        (["--limit", "0"], "--limit"),
        (["--workers", "none"], "--workers"),
        (["--shard", "3/2"], "expected i/n with i from 0 to n - 1 or from 1 to n, found '3/2'"),
        (["--shard", "0/0"], "expected i/n"),
        (["--workers", "2", "--scheduler", "tcp://a:1"], "expected no --workers beside it"),
        (["--scheduler", "node1"], "expected an address with a port, such as tcp://node1:8786"),
        (["--scheduler", "Slurm"], "or slurm, found 'Slurm'"),
        (["--scheduler", "tcp://me:pw@a:1"], "expected an address without a password"),
        (["--profile", "."], "--profile: expected a file in a folder that is there"),
        (["--profile", "absent/p.html"], "--profile: expected a file in a folder that is there"),
    ],
)
def test_a_wrong_option_is_a_usage_error(
    study: Path, pipeline: Pipeline, words: list[str], text: str
) -> None:
    found = rsei("run", study, *words)
    assert found.exit_code == 2 and text in found.stderr and pipeline.calls == []


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (StudyError("no such thing"), 2),
        (GranuleError("a.hdf: truncated"), 3),
        (MachineError("no GPU"), 4),
        (Interrupted("stopped"), 5),
        (KeyboardInterrupt(), 5),
        (MemoryError(), 4),
        (OSError(28, "No space left on device"), 4),
        (ZeroDivisionError("division by zero"), 4),
    ],
)
def test_each_failure_has_its_exit_code_and_one_message(
    study: Path, pipeline: Pipeline, failure: BaseException, code: int
) -> None:
    pipeline.failure = failure
    found = rsei("run", study)
    assert found.exit_code == code
    assert found.stderr.startswith("rsei: ") and found.stderr.count("\n") == 1
    assert "Traceback" not in found.output


@pytest.mark.parametrize("place", [0, 1, 2])
def test_debug_shows_the_traceback_wherever_it_stands(
    study: Path, pipeline: Pipeline, place: int
) -> None:
    pipeline.failure = GranuleError("a.hdf: truncated")
    words = ["run", str(study)]
    words.insert(place, "--debug")
    found = rsei(*words)
    assert found.exit_code == 3 and "Traceback" in found.stderr


def test_status_calls_the_pipeline(tmp_path: Path, pipeline: Pipeline) -> None:
    assert "partial" in rsei("status", tmp_path).stdout
    assert "settings.preset: 1 -> 2" in rsei("status", tmp_path, "--why").stdout
    assert json.loads(rsei("status", tmp_path, "--json").stdout)["stages"] == [["partial", 12, 5]]
    assert pipeline.calls[0] == (tmp_path, False) and pipeline.calls[1] == (tmp_path, True)


def test_a_bad_study_is_one_message_and_exit_code_2(study: Path) -> None:
    study.write_text(study.read_text().replace("reach = 1", "resch = 1"))
    done = process("plan", study)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (f'rsei: {study}: granules.resch: unknown key; did you mean "reach"?\n')


SLEEPER = """
import signal, sys, time
# Python's own, which it leaves out where the tests were started in the background of a shell.
signal.signal(signal.SIGINT, signal.default_int_handler)
class Slow:
    # stands in the way of importing the engine, as a slow file system does
    def find_spec(self, name, path=None, target=None):
        if name == "rsei.engine.run":
            print("ready", flush=True)
            time.sleep(60)
sys.meta_path.insert(0, Slow())
from rsei.cli.main import app
app()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_interrupts_from_the_first_import_with_exit_code_5(
    study: Path, number: signal.Signals
) -> None:
    command = [sys.executable, "-c", SLEEPER, "run", str(study)]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as child:
        assert child.stdout and child.stdout.readline() == "ready\n"
        child.send_signal(number)
        _, errors = child.communicate(timeout=30)
    assert child.returncode == 5
    assert errors == "rsei: interrupted; the same command goes on from here\n"
