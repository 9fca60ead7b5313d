# SPDX-License-Identifier: Apache-2.0
"""``rsei fetch`` when the archive, the network, the login or the disk fails."""

import csv
import errno
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import archive_server as server
import pytest
from archive_server import TOKEN, Archive, serving
from commands import rsei
from fetched import STUDY, fill, granules, names


def test_some_failures_leave_the_others(archive: Archive, study: Path) -> None:
    wrong, gone = fill(archive)[2], names()[11]
    archive.faults = {
        wrong: [server.body(server.content("another"))] * 9,
        gone: [server.status(404)] * 9,
    }
    result = rsei("fetch", study)
    assert result.exit_code == 1
    assert "18 files fetched" in result.stdout and "2 files failed" in result.stdout
    assert f"failed: {wrong}: gave up after 3 tries" in result.stderr
    assert sorted(granules(study)) == sorted(set(names()) - {wrong, gone})
    folder = study.parent / "granules" / "quarantine"
    with (folder / "quarantine.csv").open() as file:
        rows = {row["file"]: row["reason"] for row in csv.DictReader(file)}
    assert set(rows) == {wrong, gone}
    assert "expected MD5" in rows[wrong] and "status 404" in rows[gone]
    assert (folder / f"{wrong}.bad").read_bytes() == server.content("another")
    archive.faults.clear()
    assert rsei("fetch", study).exit_code == 0
    assert granules(study) == archive.files
    assert not any(folder.iterdir())


def test_the_token_is_nowhere(
    archive: Archive, study: Path, capfd: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    storage = Archive(login=False)
    with serving(storage):
        fill(archive)
        storage.files = archive.files
        archive.redirect = storage.base
        archive.faults = {names()[0]: [server.status(404)], names()[1]: [server.page] * 9}
        result = rsei("--debug", "fetch", study, "--json")
    assert result.exit_code == 1
    said = result.output + "".join(capfd.readouterr()) + caplog.text
    assert TOKEN not in said and "s1gned" not in result.output
    for path in (study.parent / "granules").rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes()
            assert b"s1gned" not in path.read_bytes()
    assert storage.tokens == []
    assert {header for _, header in archive.tokens} == {f"Bearer {TOKEN}"}
    assert all(path.startswith("/data/") for path, _ in archive.tokens)


@pytest.mark.parametrize(
    "fault", [server.status(401), server.status(403), server.page], ids=["401", "403", "page"]
)
def test_a_refused_login_ends_it_soon(archive: Archive, study: Path, fault: Any) -> None:
    for name in fill(archive):
        archive.faults[name] = [fault] * 9
    result = rsei("fetch", study, "--parallel", "2")
    assert result.exit_code == 4
    assert "EARTHDATA_TOKEN" in result.stderr or "authorise" in result.stderr
    assert 3 <= sum(archive.asked(name) for name in names()) <= 4


def test_a_token_that_runs_out_ends_it(archive: Archive, study: Path) -> None:
    study.write_text(STUDY.replace("[2012]", "[2012, 2013]"))
    every = fill(archive)
    for name in [name.replace("A2012", "A2013") for name in every]:
        archive.add(name)
    for name in archive.files:
        if "MOD09A1" not in name:
            archive.faults[name] = [server.status(401)] * 9
    result = rsei("fetch", study, "--parallel", "2")
    assert result.exit_code == 4 and "may have run out" in result.stderr
    assert len(granules(study)) == 16
    assert sum(archive.asked(name) for name in archive.files) <= 40


def test_no_login_is_an_error_of_the_environment(
    archive: Archive, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARTHDATA_TOKEN")
    monkeypatch.setenv("HOME", str(study.parent))
    fill(archive)
    result = rsei("fetch", study)
    assert result.exit_code == 4 and "make a token" in result.stderr
    assert not any(path.startswith("/data/") for _, path in archive.requests)


def test_no_network_is_an_error_of_the_environment(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RSEI_CATALOGUE", "http://127.0.0.1:9/search")
    result = rsei("fetch", study)
    assert result.exit_code == 4 and "gave up after 3 tries" in result.stderr


def test_nothing_in_the_catalogue_is_an_error_of_the_data(archive: Archive, study: Path) -> None:
    result = rsei("fetch", study)
    assert result.exit_code == 3
    assert "MOD09A1.061 of 2012-06-01 to 2012-06-25 in h27v04 h27v05" in result.stderr


def test_an_address_that_is_none(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSEI_CATALOGUE", "file:///etc")
    result = rsei("fetch", study)
    assert result.exit_code == 2 and "expected an HTTP address" in result.stderr


def test_a_granule_without_an_address_is_a_failure(archive: Archive, study: Path) -> None:
    lost = fill(archive)[4]
    for item in archive.items:
        if item["umm"]["GranuleUR"] == lost.removesuffix(".hdf"):
            item["umm"]["RelatedUrls"].clear()
    result = rsei("fetch", study)
    assert result.exit_code == 1 and f"{lost}: expected an address" in result.stderr
    assert len(granules(study)) == 19


def test_a_full_disk_is_said_first(
    archive: Archive, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(archive)
    full = type("Usage", (), {"free": 1000})()
    monkeypatch.setattr("rsei.engine.sources.download.shutil.disk_usage", lambda folder: full)
    result = rsei("fetch", study)
    assert result.exit_code == 4 and "of free space" in result.stderr
    assert granules(study) == {}


def test_a_disk_that_fills_up_ends_it(
    archive: Archive, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(archive)

    def full(part: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr("rsei.engine.sources.download._commit", full)
    result = rsei("fetch", study)
    assert result.exit_code == 4 and "No space left on device" in result.stderr
    assert granules(study) == {}


def test_missing_packages_are_named(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rsei.engine.sources.login.find_spec", lambda name: None)
    result = rsei("fetch", study)
    assert result.exit_code == 4 and 'pip install "rsei[download]"' in result.stderr


def process(study: Path) -> "subprocess.Popen[str]":
    code = "from rsei.cli.main import app; app()"
    command = [sys.executable, "-c", code, "fetch", str(study), "--parallel", "2"]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_fetch_is_gone_on_with(archive: Archive, study: Path, number: int) -> None:
    slow = fill(archive)[:2]
    for name in slow:
        archive.files[name] = server.content(name, 200_000)
    archive.items = [archive.item(name, data) for name, data in archive.files.items()]
    for name in slow:
        archive.faults[name] = [server.trickle(4000, 0.05)]
    with process(study) as child:
        try:
            folder = study.parent / "granules"
            deadline = time.monotonic() + 60
            while not any(p.stat().st_size > 8000 for p in folder.rglob("*.part")):
                assert time.monotonic() < deadline and child.poll() is None
                time.sleep(0.02)
            child.send_signal(number)
            _, said = child.communicate(timeout=20)
        finally:
            child.kill()
    if number == signal.SIGTERM:
        assert child.returncode == 5 and "interrupted" in said
    assert granules(study) == {}
    parts = {p.name.removesuffix(".part"): p.stat().st_size for p in folder.rglob("*.part")}
    assert set(parts) == set(slow)
    assert rsei("fetch", study).exit_code == 0
    assert granules(study) == archive.files
    assert sorted(archive.ranges) == sorted(f"bytes={size}-" for size in parts.values())
