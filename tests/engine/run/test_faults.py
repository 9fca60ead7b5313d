# SPDX-License-Identifier: Apache-2.0
"""File systems fail for a moment or for good; nothing is lost, and the same command goes on."""

import errno
import os
import pstats
import random
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import studies
from faulty_tasks import Faulty
from run_hashes import hashes

from rsei.engine.run import cluster, disk
from rsei.engine.run.disk import TEMPORARY, Disk, explained
from rsei.engine.run.orders import RunOptions, Stop
from rsei.engine.run.store import Store
from rsei.engine.run.tasks import Done, carry_out
from rsei.engine.run.upkeep import verification
from rsei.engine.sources.errors import MachineError, StudyError


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for a file system in a test."""
    monkeypatch.setattr(disk, "PAUSES", (0.0,) * len(disk.PAUSES))
    monkeypatch.setattr(cluster, "PAUSES", (0.0,) * len(cluster.PAUSES))


CALLS: dict[str, tuple[Any, str, Callable[[Disk, Path], Any]]] = {
    "make_folder": (Path, "mkdir", lambda d, p: d.make_folder(p.parent / "new")),
    "write": (Path, "write_bytes", lambda d, p: d.write(p, b"pixels")),
    "read": (Path, "read_bytes", lambda d, p: d.read(p)),
    "size": (Path, "stat", lambda d, p: d.size(p)),
    "checksum": (Path, "open", lambda d, p: d.checksum(p)),
    "rename": (Path, "replace", lambda d, p: d.rename(p, p.with_name("b"))),
    "remove": (Path, "unlink", lambda d, p: d.remove(p)),
}
"""Each call of the disk that may be repeated, and the system's call below it."""


@contextmanager
def failing(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, times: int, number: int
) -> Iterator[list[int]]:
    """Let a call of the system fail the first ``times``; the list holds what is left of them."""
    real, left = getattr(owner, name), [times]

    def call(*args: Any, **kwargs: Any) -> Any:
        if left[0] > 0:
            left[0] -= 1
            raise OSError(number, os.strerror(number))
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, call)
        yield left


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_a_call_that_fails_for_a_moment_is_repeated(
    call: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, act = CALLS[call]
    for times in (0, 2, len(disk.PAUSES)):
        path = tmp_path / str(times) / "a"
        path.parent.mkdir()
        path.write_bytes(b"pixels")
        expected = act(Disk(), path)
        path.write_bytes(b"pixels")
        with failing(monkeypatch, owner, name, times, number) as left:
            assert act(Disk(), path) == expected
        assert left == [0]
    path.write_bytes(b"pixels")
    with (
        failing(monkeypatch, owner, name, 99, number),
        pytest.raises(MachineError, match="run the same command again"),
    ):
        act(Disk(), path)


@pytest.mark.parametrize("call", CALLS)
def test_a_full_disk_is_not_asked_again(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, name, act = CALLS[call]
    (tmp_path / "a").write_bytes(b"")
    with (
        failing(monkeypatch, owner, name, 99, errno.ENOSPC) as left,
        pytest.raises(MachineError, match="the disk is full"),
    ):
        act(Disk(), tmp_path / "a")
    assert left == [98]


def test_a_rename_whose_answer_was_lost_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def replace(source: Path, target: Path) -> Path:
        real(source, target)
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "replace", replace)
    (tmp_path / "a").write_bytes(b"pixels")
    Disk().rename(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"pixels"


def test_what_could_not_be_synced_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second fsync would succeed, and the bytes be lost all the same."""
    store, task = Store(tmp_path), Faulty("a")
    with failing(monkeypatch, os, "fsync", 1, errno.EIO):
        assert isinstance(cluster.attempt(task, store), Done)
    assert task.tries(store) == 2
    with failing(monkeypatch, os, "fsync", 99, errno.EIO):
        failed = cluster.attempt(Faulty("b"), store)
    assert isinstance(failed, cluster.Failed) and isinstance(failed.error, MachineError)
    assert Faulty("b").tries(store) == 1 + len(cluster.PAUSES)
    assert verification(store).intact and not verification(store).temporaries


def test_a_run_stops_at_the_edge_of_a_task(tmp_path: Path) -> None:
    stop, found = Stop(), []
    with stop.patiently():
        for one in cluster.Alone().each([Faulty("a"), Faulty("b")], Store(tmp_path), stop):
            found.append(one)
            stop.ask()
    assert [one.task.name for one in found] == ["a"]


def test_a_profile_names_what_took_the_time(tmp_path: Path) -> None:
    options = RunOptions(profile=tmp_path / "profile")
    with cluster.crew(options, 1 << 30, studies.Silent()) as people:
        assert len(list(people.each([Faulty("a")], Store(tmp_path), Stop()))) == 1
    profile = pstats.Stats(str(tmp_path / "profile"))
    assert any(name == "make" for _, _, name in profile.stats)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.write_some(tmp_path_factory.mktemp("granules"))


@pytest.fixture(scope="module")
def expected(granules: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an undisturbed run writes."""
    file = studies.written(tmp_path_factory.mktemp("whole"), granules)
    return hashes(studies.run(file, until="write").out)


class Counted:
    """Calls of the disk that change it, counted; one of them, and those after it, may fail."""

    NAMES = ("make_folder", "write", "sync", "rename", "sync_folder", "append", "checksum")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
        self.calls, self.fails_from, self.number = 0, 1 << 30, number
        for name in self.NAMES:
            monkeypatch.setattr(Disk, name, self.counted(getattr(Disk, name)))

    def counted(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(disk: Disk, path: Path, *args: Any) -> Any:
            self.calls += 1
            if self.calls > self.fails_from:
                with explained("write", path):
                    raise OSError(self.number, os.strerror(self.number))
            return real(disk, path, *args)

        return call


@pytest.mark.parametrize("trials", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_a_disk_that_fills_up_at_any_call_loses_nothing(
    trials: int,
    granules: Path,
    expected: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(monkeypatch, errno.ENOSPC)
    studies.run(studies.written(tmp_path / "count", granules), until="write")
    total, dice = counted.calls, random.Random(trials)
    assert total > 100
    for trial in range(trials):
        file = studies.written(tmp_path / str(trial), granules)
        counted.calls, counted.fails_from = 0, dice.randrange(total)
        with pytest.raises(MachineError, match="the disk is full"):
            studies.run(file, until="write")
        counted.fails_from = 1 << 30
        run = tmp_path / str(trial) / "run"
        found = verification(Store(run)) if (run / "run.json").exists() else None
        assert found is None or found.intact
        assert hashes(studies.run(file, until="write").out) == expected
        assert not verification(Store(run)).temporaries


LASTING = {
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.ESTALE: "the network file system lost the file",
    errno.EIO: "the disk reported an error",
}
"""Faults that stay, and what a run then says."""


@pytest.fixture(scope="module")
def complete(granules: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What an undisturbed run writes, with its tables."""
    file = studies.written(tmp_path_factory.mktemp("complete"), granules)
    return hashes(studies.run(file, until="analyse").out)


@pytest.mark.slow
@pytest.mark.parametrize("number", LASTING)
def test_a_fault_that_stays_ends_the_run_at_any_call(
    number: int,
    granules: Path,
    complete: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counted = Counted(monkeypatch, number)
    studies.run(studies.written(tmp_path / "count", granules), until="analyse")
    file = studies.written(tmp_path / "study", granules)
    share = (1 + 2 * list(LASTING).index(number)) / (2 * len(LASTING))
    counted.fails_from, counted.calls = int(share * counted.calls), 0
    with pytest.raises(MachineError, match=LASTING[number]):
        studies.run(file, until="analyse")
    counted.fails_from = 1 << 30
    run = tmp_path / "study" / "run"
    assert not (run / "run.json").exists() or verification(Store(run)).intact
    assert hashes(studies.run(file, until="analyse").out) == complete
    assert verification(Store(run)).intact and not verification(Store(run)).temporaries


def flaky(real: Callable[..., Any], number: int, spoil: Callable[..., None]) -> Callable[..., Any]:
    """A call that fails for one file in thirteen, after ``spoil``, but once a folder.

    A task is tried three times, and may write a dozen files to its folder.
    """
    failed = set[Path]()

    def call(path: Path, *args: Any, **kwargs: Any) -> Any:
        temporary = TEMPORARY.fullmatch(path.name)
        name = temporary[1] if temporary else path.name
        ours = "run" in path.parts
        if ours and path.parent not in failed and zlib.crc32(name.encode()) % 13 == 0:
            failed.add(path.parent)
            spoil(path, *args)
            raise OSError(number, os.strerror(number))
        return real(path, *args, **kwargs)

    return call


def half_of(path: Path, data: bytes) -> None:
    """Write the first half only."""
    with path.open("wb") as file:
        file.write(data[: len(data) // 2])


def nothing(*args: Any) -> None: ...


FLAKY: dict[str, tuple[Any, str, Callable[..., None]]] = {
    "partial write": (Path, "write_bytes", half_of),
    "rename": (Path, "replace", nothing),
    "read": (Path, "read_bytes", nothing),
}


@pytest.mark.slow
@pytest.mark.parametrize("number", [errno.ESTALE, errno.EIO])
def test_a_disk_that_fails_now_and_then_costs_only_time(
    number: int,
    granules: Path,
    complete: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = studies.written(tmp_path, granules)
    with monkeypatch.context() as patch:
        for owner, name, spoil in FLAKY.values():
            patch.setattr(owner, name, flaky(getattr(owner, name), number, spoil))
        outcome = studies.run(file, until="analyse")
    assert not outcome.failed
    assert hashes(outcome.out) == complete
    assert verification(Store(outcome.out)).intact


@pytest.mark.slow
def test_a_slow_disk_changes_nothing(
    granules: Path, complete: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            time.sleep(0.002)
            return real(*args)

        return call

    for name in Counted.NAMES:
        monkeypatch.setattr(Disk, name, late(getattr(Disk, name)))
    outcome = studies.run(studies.written(tmp_path, granules), until="analyse")
    assert hashes(outcome.out) == complete


def test_a_second_run_with_other_settings_is_refused_and_harms_nothing(
    granules: Path, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = studies.written(tmp_path, granules)
    other = studies.written(tmp_path / "other", granules, quality='preset = "strict"')
    other.write_text(other.read_text().replace('out = "run"', f'out = "{tmp_path / "run"}"'))
    refused: list[str] = []
    real = carry_out

    def joined(task: Any, store: Store) -> Done:
        if not refused:
            with pytest.raises(StudyError, match="running this study with other settings") as error:
                studies.run(other, until="write")
            refused.append(str(error.value))
        return real(task, store)

    monkeypatch.setattr(cluster, "carry_out", joined)
    assert hashes(studies.run(file, until="write").out) == expected
    assert 'quality.preset: "standard" -> "strict"' in refused[0]
    changed = hashes(studies.run(other, until="write").out)  # now nobody is in the way
    assert changed.keys() == expected.keys() and changed != expected


def test_a_run_folder_that_goes_away_is_told_and_made_again(
    granules: Path, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = studies.written(tmp_path, granules)
    real = carry_out

    def vanishing(task: Any, store: Store) -> Done:
        done = real(task, store)
        if done.task.stage == "partial" and done.task.name.endswith("2013"):
            shutil.rmtree(store.folder)
        return done

    with monkeypatch.context() as patch:
        patch.setattr(cluster, "carry_out", vanishing)
        with pytest.raises(MachineError, match="the folder is gone; was it moved or unmounted"):
            studies.run(file, until="write")
    assert hashes(studies.run(file, until="write").out) == expected


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="the system's time zone cannot be set")
def test_clocks_and_time_zones_change_nothing(
    granules: Path, expected: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = tmp_path / "granules"
    shutil.copytree(granules, copies)
    file = studies.written(tmp_path / "study", copies)
    try:
        monkeypatch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        studies.run(file, until="composite")
        monkeypatch.setenv("TZ", "America/Los_Angeles")
        time.tzset()
        for number, path in enumerate(sorted(copies.iterdir())):
            os.utime(path, (number * 1e8, number * 1e8))  # from 1970 to far in the future
        outcome = studies.run(file, until="write")
    finally:
        monkeypatch.undo()
        time.tzset()
    assert hashes(outcome.out) == expected
    assert outcome.committed == 6  # every partial and composite was found done
