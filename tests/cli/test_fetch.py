# SPDX-License-Identifier: Apache-2.0
"""``rsei fetch`` from a study file to a complete folder, over real HTTP on this machine."""

import csv
import errno
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import archive_server as server
import pytest
import studies
from archive_server import TOKEN, Archive, serving
from typer.testing import CliRunner

from rsei.cli.main import app
from rsei.engine.run import errands, fetching, reading
from rsei.engine.sources import link
from rsei.engine.sources.manifest import MANIFEST
from rsei.engine.sources.patience import Patience
from rsei.engine.sources.products import products

STUDY = """
[study]
name = "town"
out = "run"
epochs = [2012]
[granules]
path = "granules"
season = ["06-01", "06-30"]
reach = 0
[[area]]
name = "Town"
bounds = [119.78, 39.93, 119.93, 40.06]
"""
"""On both sides of 40 degrees north, where tiles h27v04 and h27v05 meet."""

TILES = ("h27v04", "h27v05")


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short waits, the one token, and no login of whoever runs the tests."""
    patience = Patience(tries=3, connect=2, read=0.3, pause=0.01, longest=0.3)
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


def names(produced: str = "2021212041320") -> list[str]:
    """The files of the study: of June 2012, MOD09A1 and MOD11A2 every 8 days, MOD13A1 every 16."""
    days = {"MOD09A1": range(153, 183, 8), "MOD11A2": range(153, 183, 8), "MOD13A1": (161, 177)}
    return [
        f"{product}.A2012{day}.{tile}.061.{produced}.hdf"
        for product, own in sorted(days.items())
        for tile in TILES
        for day in own
    ]


def fill(archive: Archive) -> list[str]:
    for name in names():
        archive.add(name)
    return names()


def rsei(*words: str | Path) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})


def granules(study: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (study.parent / "granules").rglob("*.hdf")}


def test_the_example_counts_what_the_seasons_hold() -> None:
    assert len(names()) == 20


def test_a_study_is_fetched(archive: Archive, study: Path) -> None:
    fill(archive)
    archive.add("MOD09A1.A2012185.h27v05.061.2021212041320.hdf")  # of July
    archive.add("MOD09A1.A2012161.h28v05.061.2021212041320.hdf")  # elsewhere
    archive.add("MYD09A1.A2012161.h27v05.061.2021212041320.hdf")  # of Aqua
    result = rsei("fetch", study)
    assert result.exit_code == 0, result.output
    assert granules(study) == {name: archive.files[name] for name in names()}
    assert "20 files fetched, 97.7 KiB" in result.stdout
    place = study.parent / "granules" / "MOD13A1.061" / "2012"
    assert {path.name for path in place.iterdir()} == {n for n in names() if "13A1" in n}


def test_a_complete_folder_costs_no_request(archive: Archive, study: Path) -> None:
    fill(archive)
    assert rsei("fetch", study).exit_code == 0
    before = archive.count()
    again = rsei("fetch", study)
    assert again.exit_code == 0 and "complete: nothing was asked for" in again.stdout
    assert archive.count() == before
    found = json.loads(rsei("fetch", study, "--json").stdout)
    assert (found["asked_catalogue"], found["held"], found["fetched"]) == (False, 20, 0)
    assert archive.count() == before


def test_only_what_lacks_is_fetched(archive: Archive, study: Path) -> None:
    fill(archive)
    assert rsei("fetch", study).exit_code == 0
    gone, cut = names()[3], names()[9]
    paths = {path.name: path for path in (study.parent / "granules").rglob("*.hdf")}
    paths[gone].unlink()
    paths[cut].write_bytes(b"\x0e\x03\x13\x01")
    archive.requests.clear()
    assert rsei("fetch", study).exit_code == 0
    assert granules(study) == archive.files
    files = [path for _, path in archive.requests if path.startswith("/data/")]
    assert sorted(files) == sorted(f"/data/{name}" for name in (gone, cut))


def test_a_dry_run_shows_count_and_bytes_and_fetches_nothing(
    archive: Archive, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EARTHDATA_TOKEN")
    fill(archive)
    result = rsei("fetch", study, "--dry-run")
    assert result.exit_code == 0
    assert "20 files to fetch, 97.7 KiB" in result.stdout
    found = json.loads(rsei("fetch", study, "--dry-run", "--json").stdout)
    assert found["bytes"] == 100_000
    assert [f["name"] for f in found["files"]] == names()
    assert found["products"][1] == {
        "product": "MOD11A2.061", "tiles": 2, "wanted": 8, "held": 0, "absent": 0, "files": 8,
        "size": 40_000,
    }  # fmt: skip
    assert not (study.parent / "granules").exists()
    assert archive.tokens == []


def test_what_the_archive_lacks_is_remembered(archive: Archive, study: Path) -> None:
    lost = fill(archive)[5]
    archive.items = [i for i in archive.items if i["umm"]["GranuleUR"] + ".hdf" != lost]
    first = rsei("fetch", study)
    assert first.exit_code == 0 and len(granules(study)) == 19
    before = archive.count()
    found = json.loads(rsei("fetch", study, "--json").stdout)
    assert archive.count() == before
    assert found["absent"] == [".".join(lost.split(".")[:4])]
    archive.add(lost)
    assert rsei("fetch", study, "--refresh").exit_code == 0
    assert len(granules(study)) == 20


def test_a_newer_production_comes_on_demand(archive: Archive, study: Path) -> None:
    fill(archive)
    assert rsei("fetch", study).exit_code == 0
    newer = names("2023111222333")[0]
    archive.add(newer)
    assert rsei("fetch", study).exit_code == 0
    assert newer not in granules(study)
    assert rsei("fetch", study, "--refresh").exit_code == 0
    assert granules(study)[newer] == archive.files[newer]


def test_of_duplicates_the_newest_is_fetched(archive: Archive, study: Path) -> None:
    fill(archive)
    for name in (*names("2023111222333"), *names()):
        archive.add(name)
    assert rsei("fetch", study).exit_code == 0
    assert set(granules(study)) == set(names("2023111222333"))


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


def test_subsets_in_the_folder_are_not_mixed_with_granules(archive: Archive, study: Path) -> None:
    fill(archive)
    (study.parent / "granules").mkdir()
    name = "MOD09A1.061_sur_refl_b01_doy2019153_aid0001.tif"
    (study.parent / "granules" / name).write_bytes(b"II*\0")
    result = rsei("fetch", study)
    assert result.exit_code == 3 and "a subset on a grid of its own" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("reach = 0", 'reach = 0\ncollection = "005"', "granules.collection: expected one of"),
        ("reach = 0", 'reach = 0\nplatforms = ["viirs"]', "product of viirs"),
        ("epochs = [2012]", "epochs = [2099]", "lie in the future"),
        ("reach = 0", "raech = 0", "did you mean"),
    ],
)
def test_settings_that_cannot_be_fetched(study: Path, old: str, new: str, said: str) -> None:
    study.write_text(STUDY.replace(old, new))
    result = rsei("fetch", study)
    assert result.exit_code == 2 and said in result.stderr


def test_an_address_that_is_none(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSEI_CATALOGUE", "file:///etc")
    result = rsei("fetch", study)
    assert result.exit_code == 2 and "expected an HTTP address" in result.stderr


def test_files_without_a_manifest_are_checked_not_fetched(archive: Archive, study: Path) -> None:
    mine = fill(archive)[:7]
    place = study.parent / "granules" / "mine"
    place.mkdir(parents=True)
    for name in mine:
        (place / name).write_bytes(archive.files[name])
    spoilt = mine[0]
    (place / spoilt).write_bytes(server.content("spoilt"))
    result = rsei("fetch", study)
    assert result.exit_code == 0, result.output
    assert "14 files fetched" in result.stdout and "6 found here and checked" in result.stdout
    assert granules(study) == archive.files
    assert f"{spoilt}: expected MD5" in result.stderr and "fetched again" in result.stderr
    aside = study.parent / "granules" / "quarantine" / f"{spoilt}.found.bad"
    assert aside.read_bytes() == server.content("spoilt")
    assert [archive.asked(name) for name in mine] == [1, 0, 0, 0, 0, 0, 0]
    before = archive.count()
    assert rsei("fetch", study).exit_code == 0
    assert archive.count() == before


def test_a_file_linked_from_elsewhere_is_left_there(archive: Archive, study: Path) -> None:
    right, spoilt = fill(archive)[:2]
    store, folder = study.parent / "store", study.parent / "granules"
    store.mkdir()
    folder.mkdir()
    for name, data in ((right, archive.files[right]), (spoilt, b"\x0e\x03\x13\x01")):
        (store / name).write_bytes(data)
        (folder / name).symlink_to(store / name)
    result = rsei("fetch", study)
    assert result.exit_code == 1 and "mend it where it lies" in result.stderr
    assert (store / spoilt).read_bytes() == b"\x0e\x03\x13\x01"
    assert archive.asked(right) == archive.asked(spoilt) == 0


def test_a_granule_without_an_address_is_a_failure(archive: Archive, study: Path) -> None:
    lost = fill(archive)[4]
    for item in archive.items:
        if item["umm"]["GranuleUR"] == lost.removesuffix(".hdf"):
            item["umm"]["RelatedUrls"].clear()
    result = rsei("fetch", study)
    assert result.exit_code == 1 and f"{lost}: expected an address" in result.stderr
    assert len(granules(study)) == 19


def test_the_manifest_says_what_came(archive: Archive, study: Path) -> None:
    fill(archive)
    assert rsei("fetch", study).exit_code == 0
    lines = (study.parent / "granules" / MANIFEST).read_text().splitlines()
    entries = {Path(entry["file"]).name: entry for entry in map(json.loads, lines)}
    assert set(entries) == set(names())
    for name, entry in entries.items():
        assert set(entry) == {"file", "size", "algorithm", "checksum", "url", "time"}
        assert entry["url"] == f"{archive.base}/data/{name}"


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


def test_tiles_and_dates_come_of_the_study(study: Path) -> None:
    text = STUDY.replace("reach = 0", 'reach = 1\nplatforms = ["terra", "aqua"]')
    study.write_text(text.replace("06-30", "09-30").replace("[2012]", "[2001]"))
    found, later = fetching.wanted(reading.load(study), date(2026, 1, 1))
    assert later == 0
    assert {one.tile for one in found} == set(TILES)
    count = {
        (name, year): sum(
            one.product == name and one.date.year == year and one.tile == TILES[0] for one in found
        )
        for name in products()
        for year in (2000, 2001, 2002, 2003)
    }
    # June to September: 16 dates of 8 days, 8 of 16. Terra was off for two of MOD11A2 in 2001;
    # Aqua's first are of 4 July 2002.
    assert [count["MOD09A1", y] for y in (2000, 2001, 2002, 2003)] == [16, 16, 16, 0]
    assert [count["MOD11A2", y] for y in (2000, 2001, 2002)] == [16, 14, 16]
    assert [count["MOD13A1", y] for y in (2000, 2001, 2002)] == [8, 8, 8]
    assert [count["MYD09A1", y] for y in (2000, 2001, 2002)] == [0, 0, 12]
    assert sum(one.product == "MCD12Q1" for one in found) == 0


def test_a_raster_of_the_user_needs_no_granule(study: Path) -> None:
    heat = '[indicators]\nheat = { raster = "t_{year}.tif", units = "K", range = [250, 330] }\n'
    study.write_text(STUDY.replace("[[area]]", f"{heat}[[area]]"))
    found, _ = fetching.wanted(reading.load(study), date(2026, 1, 1))
    assert {one.product for one in found} == {"MOD09A1", "MOD13A1"}


def test_the_future_is_not_asked_for(archive: Archive, study: Path) -> None:
    fill(archive)
    servers = errands.Servers(f"{archive.base}/search")
    options = errands.FetchOptions(servers=servers, today=date(2012, 6, 11))
    plan = fetching.plan(reading.load(study), options)
    assert (len(plan.wanted), plan.later) == (10, 10)
    assert {record.wanted.date for record in plan.records} <= {date(2012, 6, 1), date(2012, 6, 9)}


def test_questions_name_the_seasons_that_lack_something(study: Path) -> None:
    study.write_text(STUDY.replace("[2012]", "[2012, 2014]"))
    asked = reading.load(study)
    every, _ = fetching.wanted(asked, date(2026, 1, 1))
    lacking = [one for one in every if one.product == "MOD13A1" and one.date.year == 2014]
    (question,) = fetching.questions(asked, [one for one in lacking if one.date.day == 10])
    assert question.tiles == TILES
    assert question.spans == ((date(2014, 6, 10), date(2014, 6, 25)),)
    assert len(list(fetching.questions(asked, every))) == 3
    assert question.parameters()["temporal[]"] == ["2014-06-10T00:00:00Z,2014-06-25T23:59:59Z"]


def test_a_continent_is_asked_for_in_parts(study: Path) -> None:
    asked = reading.load(study)
    one, *_ = fetching.wanted(asked, date(2026, 1, 1))[0]
    tiles = [f"h{h:02d}v{v:02d}" for h in range(20, 30) for v in range(4, 14)]
    every = [replace(one, tile=tile) for tile in tiles]
    found = list(fetching.questions(asked, every))
    assert [tile for question in found for tile in question.tiles] == tiles
    longest = max(len(urlencode(question.parameters(), doseq=True)) for question in found)
    assert longest < 8000 - 24 * 80  # the seasons of 24 years come on top


def test_a_file_in_place_of_the_folder(archive: Archive, study: Path) -> None:
    (study.parent / "granules").write_text("")
    result = rsei("fetch", study)
    assert result.exit_code == 3 and "expected a folder of granules" in result.stderr


@pytest.mark.slow
def test_what_was_fetched_can_be_run(archive: Archive, study: Path, tmp_path: Path) -> None:
    made = studies.write_all(tmp_path / "made")
    for path in sorted(made.rglob("*.hdf")):
        archive.add(path.name, path.read_bytes())
    assert rsei("fetch", study).exit_code == 0
    assert len(granules(study)) == 20
    assert "composites are missing" not in rsei("plan", study).stdout
    run = rsei("run", study, "--until", "write")
    assert run.exit_code == 0, run.stderr
