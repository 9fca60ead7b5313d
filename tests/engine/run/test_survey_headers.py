# SPDX-License-Identifier: Apache-2.0
"""A run folder keeps what was read of granules' headers, for every command after the first."""

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import studies

from rsei.engine.run import pipeline
from rsei.engine.run.disk import Disk, explained
from rsei.engine.run.store import Store
from rsei.engine.run.study import Study
from rsei.engine.run.survey import survey
from rsei.engine.run.upkeep import HEADERS, verification
from rsei.engine.sources import eos, headers
from rsei.engine.sources.locating import LOCATORS


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The granules of every test here."""
    return studies.write_all(tmp_path_factory.mktemp("granules"))


@pytest.fixture
def study(granules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    """A study whose granules are old."""
    monkeypatch.setattr(headers, "now", lambda: 4e9)
    return studies.load(studies.written(tmp_path, granules))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the granules whose header is read, as they are."""
    names: list[str] = []

    def locate(path: Path, *args: object) -> object:
        names.append(path.name)
        return eos.locate(path, *args)  # type: ignore[arg-type]

    monkeypatch.setitem(LOCATORS, "hdf4", locate)
    return names


def test_every_command_after_a_run_reads_no_header(study: Study, opened: list[str]) -> None:
    pipeline.plan(study)
    out = study.study.out
    assert opened and not out.exists()  # a plan makes nothing
    assert study.file is not None
    studies.run(study.file, until="partial", limit=1)
    opened.clear()
    pipeline.plan(study)
    studies.run(study.file, until="partial", limit=1)
    pipeline.status(out, why=True)
    assert not opened
    assert not verification(Store(out)).orphaned
    (out / HEADERS).unlink()
    pipeline.status(out, why=False)
    assert opened and (out / HEADERS).is_file()


class Refusing(Disk):
    """A disk that can be read, but not written."""

    def write(self, path: Path, data: bytes) -> None:
        with explained("write", path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))


class Blind(Refusing):
    """A disk that fails whoever reads it, too."""

    def read(self, path: Path) -> bytes | None:
        with explained("read", path):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))


@pytest.mark.parametrize("disk", [Refusing, Blind])
def test_a_folder_that_cannot_be_written_keeps_nothing(
    study: Study, opened: list[str], disk: Callable[[], Disk]
) -> None:
    out = study.study.out
    (out / "store").mkdir(parents=True)
    found = survey(study, Store(out, disk=disk()))
    assert found == survey(study) and not list((out / "store").iterdir())
    assert len(opened) == 2 * len(set(opened))


@pytest.mark.slow
def test_two_at_once_leave_one_whole(study: Study, opened: list[str]) -> None:
    out = study.study.out
    (out / "store").mkdir(parents=True)
    with ThreadPoolExecutor(4) as pool:
        found = [job.result() for job in [pool.submit(survey, study, Store(out)) for _ in range(8)]]
    assert all(one == found[0] for one in found)
    assert [path.name for path in (out / "store").iterdir()] == [Path(HEADERS).name]
    opened.clear()
    assert survey(study, Store(out)) == found[0] and not opened
