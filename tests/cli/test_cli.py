# SPDX-License-Identifier: Apache-2.0
"""Commands parse, call once and print; their exit codes are a contract."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from rsei.cli import progress as shown
from rsei.cli.main import app
from rsei.cli.options import size, table
from rsei.engine.report.tables import TABLES
from rsei.engine.run import reading, store
from rsei.engine.run.orders import (
    MissingDate,
    Outcome,
    Plan,
    RunOptions,
    StagePlan,
    Status,
)
from rsei.engine.run.shards import Shard
from rsei.engine.sources.errors import GranuleError, Interrupted, MachineError, StudyError

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


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    assert rsei("init", path).exit_code == 0
    return path


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


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    import rsei.engine.run as package

    fake = Pipeline()
    monkeypatch.setitem(sys.modules, "rsei.engine.run.pipeline", fake)
    monkeypatch.setattr(package, "pipeline", fake, raising=False)
    return fake


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


def test_a_partial_result_is_told_and_counted(study: Path, pipeline: Pipeline) -> None:
    pipeline.outcome = Outcome(
        Path("out"), 3, 0, failed=(("write a/2001", "poison"),), skipped=((Path("b.hdf"), "bad"),)
    )
    found = rsei("run", study)
    assert found.exit_code == 1
    assert "failed: write a/2001: poison" in found.stderr and "b.hdf: bad" in found.stderr


def test_a_run_ends_in_its_means_and_then_in_what_is_wrong(
    study: Path, pipeline: Pipeline, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    (folder / "tables").mkdir(parents=True)
    (folder / "report.html").touch()
    names = [*TABLES["series"].names]
    row = dict.fromkeys(names, "0.25") | {"area": "Tangshan", "zone": "area", "n": "4"}
    epochs = {"2001": "0.4996", "2019": "", "all": "0.9"}
    lines = [row | {"epoch": epoch, "mean": mean} for epoch, mean in epochs.items()]
    lines.append(row | {"epoch": "2001", "zone": "mines", "mean": "0.1"})
    text = "\n".join([",".join(names), *(",".join(one[n] for n in names) for one in lines)])
    (folder / "tables/series.csv").write_text(text + "\n")
    pipeline.outcome = Outcome(folder, 3, 4, warnings=("beware",))
    found = rsei("run", study)
    assert found.output.splitlines()[-8:] == [
        "",
        "mean RSEI   2001  2019",
        "Tangshan   0.500",
        "",
        "3 tasks done, 4 found done",
        "warning: beware",
        f"results in {folder}",
        f"open {folder / 'report.html'}",
    ]
    pipeline.outcome = Outcome(folder, 3, 4, complete=False)
    assert "mean RSEI" not in rsei("run", study).output


def test_status_calls_the_pipeline(tmp_path: Path, pipeline: Pipeline) -> None:
    assert "partial" in rsei("status", tmp_path).stdout
    assert "settings.preset: 1 -> 2" in rsei("status", tmp_path, "--why").stdout
    assert json.loads(rsei("status", tmp_path, "--json").stdout)["stages"] == [["partial", 12, 5]]
    assert pipeline.calls[0] == (tmp_path, False) and pipeline.calls[1] == (tmp_path, True)


def committed(folder: Path) -> store.Store:
    kept = store.Store(folder)
    key = store.Key("analyse", "series", 1, {}, {})
    with kept.writing(key, ["tables/series.csv"]) as draft:
        draft.paths["tables/series.csv"].write_text("area\n")
    return kept


def test_verify_tells_damage_by_its_exit_code(tmp_path: Path) -> None:
    assert rsei("verify", tmp_path).exit_code == 2
    committed(tmp_path)
    assert rsei("verify", tmp_path).exit_code == 0
    (tmp_path / "tables/series.csv").write_text("area?")
    found = rsei("verify", tmp_path)
    assert found.exit_code == 3 and "altered: tables/series.csv" in found.stdout
    record = json.loads(rsei("verify", tmp_path, "--json").stdout)
    assert record["altered"] == ["tables/series.csv"] and record["intact"] is False


def test_clean_removes_only_our_leftovers(tmp_path: Path) -> None:
    from rsei.engine.run.disk import host

    assert rsei("clean", tmp_path).exit_code == 2
    committed(tmp_path)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    stale = tmp_path / f"tables/.pca.csv.{host()}-{dead.pid}-0011aabb.tmp"
    other = tmp_path / "tables/.pca.csv.elsewhere-1-0011aabb.tmp"
    mine = tmp_path / "tables/notes.tmp"
    for path in (stale, other, mine):
        path.write_text("")
    assert f"removed {stale}\n1 unfinished" in rsei("clean", tmp_path).stdout
    assert not stale.exists() and other.exists() and mine.exists()
    assert f"removed {other}" in rsei("clean", tmp_path, "--other-hosts").stdout


def test_doctor_names_the_machine_and_what_is_missing() -> None:
    text = rsei("doctor").stdout
    assert "numba" in text and "calculation on a GPU" in text
    record = json.loads(rsei("doctor", "--json").stdout)
    assert record["cores"] >= 1 and record["disk"]["free"] > 0 and record["missing"] == []


def test_demo_simulates_runs_and_says_where_to_look(
    tmp_path: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsei.engine.sources import simulate

    def write_demo(folder: Path, progress: Any) -> None:
        rsei("init", folder / "study.toml")
        (folder / "run" / "rsei").mkdir(parents=True)
        progress(1, 2)
        progress(2, 2)

    monkeypatch.setattr(simulate, "write_demo", write_demo)
    pipeline.outcome = Outcome(tmp_path / "run", done=9, committed=0)
    found = rsei("demo", tmp_path)
    assert found.exit_code == 0, found.output
    assert pipeline.calls == [(RunOptions(),)]
    assert f"{tmp_path / 'run' / 'rsei'}: the index" in found.stdout
    assert "report.html" not in found.stdout  # there is none to look at
    assert "simulate: 2/2 tasks" in found.stderr


def test_inspect_prints_layers_and_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import rsei.engine.sources as package

    fields = {"cloud": {"0": 123, "3": 4}}
    layer = {"name": "state", "shape": [2, 3], "dtype": "uint16", "nodata": 65535, "valid": 127}
    layer |= {"scale": None, "crs": "sinusoidal", "transform": [7.0, 463.3, 0.0, 5.0, 0.0, -463.3]}
    other = {"name": "time", "shape": [4], "dtype": "float32", "nodata": np.nan, "valid": 4}
    layers = [layer | {"fields": fields}, layer | {"name": "qc"}, other]
    inspection: Any = ModuleType("rsei.engine.sources.inspection")
    inspection.inspect = lambda path: {"product": None, "tile": "h18v04", "layers": layers}
    monkeypatch.setitem(sys.modules, inspection.__name__, inspection)
    monkeypatch.setattr(package, "inspection", inspection, raising=False)
    assert rsei("inspect", tmp_path).stdout.splitlines() == [
        "tile: h18v04",
        "on sinusoidal, upper left (7, 5), pixel 463.3 x 463.3:",
        "state: 2 x 3 uint16, nodata 65535, 127 valid",
        "  cloud: 0 x 123, 3 x 4",
        "qc: 2 x 3 uint16, nodata 65535, 127 valid",
        "on no grid:",
        "time: 4 float32, nodata nan, 4 valid",
    ]
    found = json.loads(rsei("inspect", tmp_path, "--json").stdout)["layers"]
    assert found[0]["fields"] == fields and found[2]["nodata"] == "nan"  # JSON has no such number


def test_a_bad_study_is_one_message_and_exit_code_2(study: Path) -> None:
    study.write_text(study.read_text().replace("reach = 1", "resch = 1"))
    done = process("plan", study)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr == (f'rsei: {study}: granules.resch: unknown key; did you mean "reach"?\n')


SLEEPER = """
import sys, time
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


def test_lines_of_a_log_come_at_an_interval(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    lines = shown.Lines()
    lines.begin("partial", 100, 100 * 2**20)
    for _ in range(100):
        clock[0] += 1
        lines.advance("partial", 1, 2**20)
    printed = capsys.readouterr().err.splitlines()
    assert len(printed) == 10
    assert printed[0] == "partial: 10/100 tasks, 10.0/100.0 MiB, 1.0 MiB/s, 1:30 left"
    assert printed[-1] == "partial: 100/100 tasks, 100.0/100.0 MiB, 1.0 MiB/s"


def test_the_waves_of_a_stage_add_up(capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown.Lines()
    for _ in range(2):
        lines.begin("write", 2, 0)
        lines.advance("write", 2, 0)
    assert capsys.readouterr().err.splitlines() == ["write: 2/2 tasks", "write: 4/4 tasks"]


def test_the_time_of_a_stage_stands_still_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stage = shown.Stage(2, 200)
    clock[0] = 10.0
    stage.advance(1, 100)
    assert (stage.rate(), stage.time()) == ("10 B/s", "0:10 left")
    stage.advance(1, 100)
    clock[0] = 1000.0
    assert (stage.rate(), stage.time()) == ("20 B/s", "in 0:10")
    stage.more(1, 0)
    assert stage.time() == "" and stage.seconds == 1000


def test_plain_tables_align() -> None:
    assert table(["a", "bb"], []) == "a  bb"
    assert table(["name", "n"], [("x", 1), ("longer", 22)]).splitlines() == [
        "name     n",
        "x        1",
        "longer  22",
    ]
    assert size(5 * 2**40) == "5.0 TiB"
