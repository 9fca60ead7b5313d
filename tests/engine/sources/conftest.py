# SPDX-License-Identifier: Apache-2.0
"""Granules that several tests read, and an archive to fetch some from."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from archive_server import Archive, serving
from granule_files import write_granule

from rsei.engine.sources.simulate import World, demo_world

DAY = date(2022, 6, 2)


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """An archive on this machine, which answers over HTTP."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    found = Archive()
    with serving(found):
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("granules")
    for day in (DAY, DAY + timedelta(8)):
        write_granule(folder / f"{day:%Y}", "MOD09A1", day)
    write_granule(folder / "heat", "MOD11A2", DAY)
    write_granule(folder / "ndvi", "MOD13A1", date(2022, 6, 10))
    (folder / "README.txt").write_text("nothing")
    return folder


@pytest.fixture(scope="session")
def world() -> World:
    """The demo's landscape."""
    return demo_world()
