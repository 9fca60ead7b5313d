# SPDX-License-Identifier: Apache-2.0
"""The same command again: what is done is seen at a glance, and nobody is called for it."""

import os
from pathlib import Path
from typing import Any

import pytest
import studies

from rsei.engine.run import pipeline, tasks
from rsei.engine.run.cluster import crew
from rsei.engine.run.disk import Disk
from rsei.engine.run.ledger import ledger
from rsei.engine.run.orders import RunOptions
from rsei.engine.run.store import Store


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A study whose sums are made."""
    file = studies.written(tmp_path, studies.write_all(tmp_path / "granules"))
    assert studies.run(file, until="partial").done == 4
    tasks._hashed.cache_clear()
    return file


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How often somebody was called to carry out tasks."""
    calls = []

    def heard(*args: Any) -> Any:
        calls.append("crew")
        return crew(*args)

    monkeypatch.setattr(pipeline, "crew", heard)
    return calls


def test_nobody_is_called_and_nothing_hashed_where_all_is_done(
    study: Path, called: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Disk, "checksum", None)
    found = studies.run(study, until="partial")
    assert (found.done, found.committed, called) == (0, 4, [])


def test_a_granule_of_another_time_is_hashed_by_those_who_are_called(
    study: Path, called: list[str]
) -> None:
    granule = next((study.parent / "granules").rglob("MOD11A2*.hdf"))
    os.utime(granule, (1e9, 1e9))
    found = studies.run(study, until="partial")
    assert (found.done, found.committed, called) == (0, 4, ["crew"])


class Watcher(studies.Silent):
    """Somebody who notes of each task whether it was found done."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[bool] = []

    def advance(self, stage: str, tasks: int, size: int, found: bool = False) -> None:
        self.found.append(found)


def test_who_watches_is_told_what_was_found_done(study: Path) -> None:
    next((study.parent / "run").rglob("heat.tif")).unlink()
    watcher = Watcher()
    pipeline.run(studies.load(study), RunOptions(until="partial"), watcher)
    assert sorted(watcher.found) == [False, True, True, True]


def test_a_lost_file_is_made_again(study: Path, called: list[str]) -> None:
    lost = next((study.parent / "run").rglob("heat.tif"))
    lost.unlink()
    found = studies.run(study, until="partial")
    assert (found.done, found.committed, called) == (1, 3, ["crew"]) and lost.is_file()


def test_an_altered_marker_is_never_taken_from_memory(study: Path) -> None:
    store = Store(study.parent / "run")
    path = next(store.marker_paths("partial"))
    name = path.relative_to(store.folder / "store/markers/partial").with_suffix("").as_posix()
    sound = store.marker("partial", name)
    assert sound is not None and store.marker("partial", name) is sound
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"valid_pixels": ', b'"valid_pixels": 1'))
    assert store.marker("partial", name) is None
    path.write_bytes(data)
    assert store.marker("partial", name) == sound


def test_an_altered_record_is_never_taken_from_memory(study: Path) -> None:
    store = Store(study.parent / "run")
    before = ledger(store)
    assert before is not None and before["device"] == "cpu"
    path = store.folder / "run.json"
    path.write_text(path.read_text().replace('"device": "cpu"', '"device": "cuda"'))
    after = ledger(store)
    assert after == dict(before) | {"device": "cuda"}
