# SPDX-License-Identifier: Apache-2.0
"""An archive on this machine, a study to fetch from it, and a login that is nobody's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_server import TOKEN, Archive, serving
from fetched import STUDY

from rsei.engine.sources import link
from rsei.engine.sources.patience import Patience


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short waits, the one token, and no login of whoever runs the tests."""
    patience = Patience(tries=3, connect=30, read=30, pause=0.01, longest=0.3)
    monkeypatch.setattr(link, "PATIENCE", patience)
    monkeypatch.setenv("EARTHDATA_TOKEN", TOKEN)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    found = Archive()
    with serving(found) as base:
        monkeypatch.setenv("RSEI_CATALOGUE", f"{base}/search")
        monkeypatch.setenv("RSEI_ARCHIVE_HOSTS", base.removeprefix("http://"))
        yield found


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path
