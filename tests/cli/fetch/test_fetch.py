# SPDX-License-Identifier: Apache-2.0
"""``rsei fetch`` from a study file to a complete folder, over real HTTP on this machine."""

import json
from pathlib import Path

import archive_server as server
import pytest
import studies
from archive_server import Archive
from commands import rsei
from fetched import fill, granules, names

from rsei.engine.sources.manifest import MANIFEST


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


def test_subsets_in_the_folder_are_not_mixed_with_granules(archive: Archive, study: Path) -> None:
    fill(archive)
    (study.parent / "granules").mkdir()
    name = "MOD09A1.061_sur_refl_b01_doy2019153_aid0001.tif"
    (study.parent / "granules" / name).write_bytes(b"II*\0")
    result = rsei("fetch", study)
    assert result.exit_code == 3 and "a subset on a grid of its own" in result.stderr


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


def test_the_manifest_says_what_came(archive: Archive, study: Path) -> None:
    fill(archive)
    assert rsei("fetch", study).exit_code == 0
    lines = (study.parent / "granules" / MANIFEST).read_text().splitlines()
    entries = {Path(entry["file"]).name: entry for entry in map(json.loads, lines)}
    assert set(entries) == set(names())
    for name, entry in entries.items():
        assert set(entry) == {"file", "size", "algorithm", "checksum", "url", "time"}
        assert entry["url"] == f"{archive.base}/data/{name}"


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
