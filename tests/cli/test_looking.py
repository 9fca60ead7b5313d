# SPDX-License-Identifier: Apache-2.0
"""Commands that look at files, runs and the machine."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from commands import Pipeline, rsei

from rsei.engine.run import store
from rsei.engine.run.orders import (
    Outcome,
    RunOptions,
    Status,
)


def committed(folder: Path) -> store.Store:
    kept = store.Store(folder)
    key = store.Key("analyse", "series", 1, {}, {})
    with kept.writing(key, ["tables/series.csv"]) as draft:
        draft.paths["tables/series.csv"].write_text("area\n")
    return kept


def test_status_tells_beside_a_stage_what_is_written_of_what_there_is(
    tmp_path: Path, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages = ("analyse", 3, 1), ("report", 5, 0)
    written = ("analyse tables", "report page", "report catalogue")
    found = Status("t", tmp_path, stages, written=written)
    monkeypatch.setattr(pipeline, "status", lambda folder, why: found)
    assert rsei("status", tmp_path).stdout.splitlines()[2:] == [
        "stage    tasks  done",
        "analyse      3     1  written of what there is: 1 of the rest",
        "report       5     0  written of what there is: 2 of the rest",
    ]
    assert json.loads(rsei("status", tmp_path, "--json").stdout)["written"] == [*written]


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
