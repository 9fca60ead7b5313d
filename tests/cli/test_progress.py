# SPDX-License-Identifier: Apache-2.0
"""What a run tells while it works and at its end."""

import time
from pathlib import Path

import pytest
from commands import Pipeline, rsei

from rsei.cli import progress as shown
from rsei.cli.options import size, table
from rsei.engine.report.tables import TABLES
from rsei.engine.run.orders import (
    Outcome,
)


def test_a_partial_result_is_told_and_counted(study: Path, pipeline: Pipeline) -> None:
    pipeline.outcome = Outcome(
        Path("out"), 3, 0, failed=(("write a/2001", "poison"),), skipped=((Path("b.hdf"), "bad"),)
    )
    found = rsei("run", study)
    assert found.exit_code == 1
    assert "failed: write a/2001: poison\n" in found.stderr and "b.hdf: bad" in found.stderr
    failed = tuple((f"write a/{epoch}", "poison") for epoch in (2001, 2002, 2003))
    pipeline.outcome = Outcome(Path("out"), 3, 0, failed=failed)
    (line,) = [one for one in rsei("run", study).stderr.splitlines() if "failed" in one]
    assert line == "failed: write a/2001: poison (and 2 more)"


def test_what_is_left_is_told_with_the_way_to_do_it(study: Path, pipeline: Pipeline) -> None:
    pipeline.outcome = Outcome(Path("out"), 3, 0, complete=False)
    assert "without --until, --limit and --shard" in rsei("run", study).stdout
    pipeline.outcome = Outcome(Path("out"), 3, 0)
    assert "not complete" not in rsei("run", study).stdout


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


def test_what_is_found_done_has_no_rate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    lines = shown.Lines()
    for stage, bytes_ in (("partial", 2 * 2**20), ("write", 0)):
        lines.begin(stage, 2, bytes_)
        lines.advance(stage, 2, bytes_, found=True)
    assert capsys.readouterr().err.splitlines() == [
        "partial: 2/2 tasks, 2.0/2.0 MiB, found done",
        "write: 2/2 tasks, found done",
    ]


@pytest.mark.parametrize(("size", "rate"), [(100, "5 B/s"), (0, "")])
def test_rate_and_time_left_are_of_what_was_done_now(
    monkeypatch: pytest.MonkeyPatch, size: int, rate: str
) -> None:
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    stage = shown.Stage(10, 10 * size)
    stage.advance(6, 6 * size, found=True)
    assert (stage.rate(), stage.left()) == ("found done", "")
    clock[0] = 20.0
    stage.advance(1, size)
    assert (stage.rate(), stage.left()) == (rate, "1:00 left")


def test_plain_tables_align() -> None:
    assert table(["a", "bb"], []) == "a  bb"
    assert table(["name", "n"], [("x", 1), ("longer", 22)]).splitlines() == [
        "name     n",
        "x        1",
        "longer  22",
    ]
    assert size(5 * 2**40) == "5.0 TiB"
