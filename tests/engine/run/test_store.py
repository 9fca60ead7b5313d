# SPDX-License-Identifier: Apache-2.0
"""The store loses nothing and accepts nothing half-written."""

import errno
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsei.engine.run import upkeep
from rsei.engine.run.disk import Disk, explained, host, temporary, writer
from rsei.engine.run.store import Key, Marker, Store
from rsei.engine.sources.errors import MachineError, StudyError

CRASHES = Path(__file__).with_name("crashes.py")
FILES = ["store/partials/h27v05/2019/counts.tif", "store/partials/h27v05/2019/heat.tif"]


def key(settings: dict[str, Any] | None = None, **inputs: str) -> Key:
    return Key("partial", "h27v05/2019", 1, settings or {"preset": "standard"}, inputs)


def commit(store: Store, wanted: Key, content: bytes = b"pixels") -> Marker:
    with store.writing(wanted, FILES) as draft:
        for path in draft.paths.values():
            path.write_bytes(content)
        draft.payload["observations"] = 16
        draft.valid_pixels = 4
    assert draft.marker
    return draft.marker


def settings(name: str = "tangshan", **more: Any) -> dict[str, Any]:
    return {"study": {"name": name}, **more}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "run")


def test_what_is_committed_is_found_by_its_key_alone(store: Store) -> None:
    assert store.find(key()) is None
    marker = commit(store, key())
    assert store.find(key()) == marker
    assert store.find(key({"preset": "strict"})) is None
    assert marker.payload == {"observations": 16} and marker.valid_pixels == 4
    assert {name: stored.size for name, stored in marker.files.items()} == dict.fromkeys(FILES, 6)
    assert not [path for path in store.folder.rglob("*") if writer(path)]


def test_a_key_depends_on_every_component_and_on_no_order() -> None:
    start = Key("write", "a/2001", 1, {"b": 1, "c": [1, 2]}, {"x": "1", "y": "2"})
    turned = Key("write", "a/2001", 1, {"c": [1, 2], "b": 1}, {"y": "2", "x": "1"})
    assert start.digest == turned.digest
    others = [
        Key("write", "a/2001", 2, start.settings, start.inputs),
        Key("write", "a/2001", 1, {"b": 1, "c": [2, 1]}, start.inputs),
        Key("write", "a/2001", 1, start.settings, {"x": "1", "y": "3"}),
    ]
    assert len({start.digest, *(other.digest for other in others)}) == 4


def test_why_names_the_component_that_changed(store: Store) -> None:
    assert store.why(key()) == ["not made yet"]
    commit(store, key(granule="ab"))
    assert store.why(key(granule="ab")) == []
    assert store.why(key({"preset": "strict"}, granule="cd")) == [
        'inputs.granule: "ab" -> "cd"',
        'settings.preset: "standard" -> "strict"',
    ]
    (store.folder / FILES[0]).write_bytes(b"cut")
    assert store.why(key(granule="ab")) == [f"{FILES[0]}: missing or of another size"]


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"pix")])
def test_a_missing_or_shortened_file_is_made_again(store: Store, harm: Any) -> None:
    commit(store, key())
    harm(store.folder / FILES[1])
    assert store.find(key()) is None


def test_committing_again_changes_no_byte(store: Store) -> None:
    first = commit(store, key())
    second = commit(store, key())
    assert first.files == second.files and first.key == second.key


def test_a_failure_leaves_the_old_artefact_and_no_temporary(store: Store) -> None:
    old = commit(store, key())
    with pytest.raises(ZeroDivisionError), store.writing(key({"preset": "strict"}), FILES) as draft:
        draft.paths[FILES[0]].write_bytes(b"half")
        _ = 1 / 0
    assert store.find(key()) == old
    assert upkeep.verification(store).temporaries == ()


def test_a_payload_that_is_no_json_replaces_nothing(store: Store) -> None:
    old = commit(store, key())
    with pytest.raises(ValueError, match="not JSON"), store.writing(key(), FILES) as draft:
        for path in draft.paths.values():
            path.write_bytes(b"other!")
        draft.payload["mean"] = float("nan")
    assert store.find(key()) == old and upkeep.verification(store).intact


MALFORMED = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'{"files": {}}',
    b"\xff\xfe",
    b"[" * 100_000,
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_marker_counts_as_none(store: Store, text: bytes) -> None:
    commit(store, key())
    store.marker_path("partial", "h27v05/2019").write_bytes(text)
    assert store.find(key()) is None
    found = upkeep.verification(store)
    assert len(found.unreadable) == 1 and not found.intact
    commit(store, key())
    assert upkeep.verification(store).intact


def test_a_marker_that_somebody_changed_counts_as_none(store: Store) -> None:
    commit(store, key())
    path = store.marker_path("partial", "h27v05/2019")
    sound = path.read_bytes()
    assert sound.count(b'"observations": 16') == 1
    path.write_bytes(sound.replace(b'"observations": 16', b'"observations": 61'))
    assert store.find(key()) is None and not upkeep.verification(store).intact
    path.write_bytes(sound)
    assert store.find(key()) is not None


@given(st.recursive(st.none() | st.integers() | st.text() | st.floats(), st.lists))
def test_no_json_is_taken_for_a_marker(value: Any) -> None:
    assert Marker.of(json.dumps(value).encode()) is None
    assert Marker.of(json.dumps({"files": value, "key": value}).encode()) is None


def test_a_marker_cannot_point_out_of_the_run_folder(store: Store) -> None:
    marker = commit(store, key())
    for name in ("../../etc/passwd", "/etc/passwd"):
        record = json.loads(marker.text())
        record["files"] = {name: {"sha256": "0", "size": 1}}
        assert Marker.of(json.dumps(record).encode()) is None


def test_a_store_travels_to_another_process(store: Store) -> None:
    marker = commit(store, key())
    assert pickle.loads(pickle.dumps(store)).find(key()) == marker


class Faulty(Disk):
    """A disk on which one call fails."""

    def __init__(self, call: str, number: int) -> None:
        self.call, self.number = call, number

    def write(self, path: Path, data: bytes) -> None:
        self.fail("write", path)
        super().write(path, data)

    def sync(self, path: Path) -> None:
        self.fail("sync", path)
        super().sync(path)

    def rename(self, source: Path, target: Path) -> None:
        self.fail("rename", target)
        super().rename(source, target)

    def sync_folder(self, folder: Path) -> None:
        self.fail("sync_folder", folder)
        super().sync_folder(folder)

    def fail(self, call: str, path: Path) -> None:
        if call == self.call:
            with explained("write", path):
                raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("call", ["write", "sync", "rename", "sync_folder"])
@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "the disk is full; free some space"),
        (errno.EDQUOT, "the quota is used up"),
        (errno.EROFS, "read-only; choose another folder in study.out"),
        (errno.EIO, "check it, then run the same command again"),
        (errno.ESTALE, "network file system"),
        (errno.EOWNERDEAD, "check the disk"),
    ],
)
def test_a_fault_of_the_disk_is_explained_and_resumed(
    store: Store, call: str, number: int, remedy: str
) -> None:
    commit(store, key())
    broken = Store(store.folder, disk=Faulty(call, number))
    with pytest.raises(MachineError, match=remedy) as caught:
        commit(broken, key({"preset": "strict"}), b"others")
    assert str(store.folder) in str(caught.value) and caught.value.exit_code == 4
    assert store.find(key()) is None or (store.folder / FILES[0]).read_bytes() == b"pixels"
    commit(store, key({"preset": "strict"}), b"others")
    found = upkeep.verification(store)
    assert found.intact and found.sound == 2 and not found.temporaries


def test_a_stage_that_fills_the_disk_is_explained(store: Store) -> None:
    with pytest.raises(MachineError, match="disk is full"), store.writing(key(), FILES):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_file_in_the_way_of_the_run_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(MachineError, match="a file stands where a folder is expected"):
        commit(Store(tmp_path / "run"), key())


def test_temporaries_of_dead_processes_of_this_machine_are_swept(store: Store) -> None:
    commit(store, key())
    folder = store.folder / "tables"
    folder.mkdir()
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    dead, here = int(child.stdout), host()
    stale = [
        folder / f".pca.csv.{here}-{dead}-0011aabb.tmp",
        folder / f".map.tif.{here}-{dead}-0011aabb.tmp.aux.xml",
    ]
    kept = [
        folder / f".pca.csv.{here}-{os.getpid()}-0011aabb.tmp",
        folder / f".pca.csv.another-node-{dead}-0011aabb.tmp",
        folder / ".hidden.tmp",
        folder / f"pca.csv.{here}-{dead}-0011aabb.tmp",
    ]
    for path in (*stale, *kept):
        path.write_text("half")
    assert upkeep.sweep(store) == sorted(stale)
    assert all(path.exists() for path in kept)
    assert upkeep.sweep(store, other_hosts=True) == [kept[1]]
    assert upkeep.verification(store).intact


def test_sweeping_does_not_follow_links_out_of_the_run(store: Store, tmp_path: Path) -> None:
    commit(store, key())
    outside = tmp_path / "outside"
    outside.mkdir()
    mine = outside / f".a.tif.{host()}-999999999-0011aabb.tmp"
    mine.write_text("")
    (store.folder / "link").symlink_to(outside)
    assert upkeep.sweep(store, other_hosts=True) == [] and mine.exists()


def test_a_temporary_names_its_writer(tmp_path: Path) -> None:
    process = writer(temporary(tmp_path / "counts.tif"))
    assert process and process.pid == os.getpid() and process.here and not process.dead


def test_verification_tells_missing_altered_and_orphaned(store: Store) -> None:
    commit(store, key())
    assert upkeep.verification(store).sound == 2
    (store.folder / FILES[0]).write_bytes(b"pixelz")
    (store.folder / FILES[1]).unlink()
    for name in ("tables/mine.csv", "run.json", "figures/map.png", "log.jsonl"):
        (store.folder / name).parent.mkdir(exist_ok=True)
        (store.folder / name).write_text("")
    found = upkeep.verification(store)
    assert found.altered == (FILES[0],) and found.missing == (FILES[1],)
    assert found.orphaned == ("tables/mine.csv",)
    assert found.sound == 0 and not found.intact


def test_verification_wants_a_run_folder(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="expected the folder of a run"):
        upkeep.verification(Store(tmp_path))


def test_a_folder_of_another_study_is_refused(store: Store) -> None:
    with upkeep.joined(store, settings()):
        store.put_json("run.json", {"settings": settings()})
    refusal = pytest.raises(StudyError, match="'huangshi', found those of 'tangshan'")
    with refusal, upkeep.joined(store, settings("huangshi")):
        pass


@pytest.mark.parametrize("text", ["{}", "[]", '{"settings": 1}', "{", ""])
def test_a_folder_with_a_strange_record_is_refused(store: Store, text: str) -> None:
    store.folder.mkdir()
    (store.folder / "run.json").write_text(text)
    refusal = pytest.raises(StudyError, match=r"run\.json: expected .* remove the file")
    with refusal, upkeep.joined(store, settings()):
        pass


def test_a_changed_setting_is_welcome_when_nobody_else_runs(store: Store) -> None:
    with upkeep.joined(store, settings(reach=1)):
        store.put_json("run.json", {"settings": settings(reach=1)})
    with upkeep.joined(store, settings(reach=0)):
        assert store.get_json("run.json")["settings"]["reach"] == 1


def test_a_live_run_with_other_settings_is_refused_with_the_difference(store: Store) -> None:
    with upkeep.joined(store, settings(reach=1)):
        with upkeep.joined(store, settings(reach=1)):
            pass
        refusal = pytest.raises(StudyError, match=r"reach: 1 -> 0\n")
        with refusal, upkeep.joined(store, settings(reach=0)):
            pass


def test_the_note_of_a_killed_run_is_forgotten(store: Store) -> None:
    child = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], stdout=-1)
    note = f"{upkeep.LIVE}/{host()}-1-aa.json"
    store.put_json(note, {"pid": int(child.stdout), "host": host(), "settings": settings(reach=1)})
    with upkeep.joined(store, settings(reach=0)):
        assert not (store.folder / note).exists()


def test_a_note_whose_process_number_was_given_again_is_forgotten(store: Store) -> None:
    note = f"{upkeep.LIVE}/{host()}-{os.getpid()}-aa.json"
    process = {"pid": os.getpid(), "host": host(), "birth": "an earlier boot 77"}
    store.put_json(note, process | {"settings": settings(reach=1)})
    with upkeep.joined(store, settings(reach=0)):
        assert not (store.folder / note).exists()


def test_a_live_run_on_another_machine_is_refused_with_a_way_out(store: Store) -> None:
    note = f"{upkeep.LIVE}/node7-12-aa.json"
    process = {"pid": 12, "host": "node7", "birth": None}
    store.put_json(note, process | {"settings": settings(reach=1)})
    refusal = pytest.raises(StudyError, match=rf"(?s)12 on node7 .*remove .*{note}")
    with refusal, upkeep.joined(store, settings(reach=0)):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="needs a folder that nobody can write to")
@pytest.mark.parametrize("folder", ["/proc/rsei-run", "/dev/null/run"])
def test_a_folder_that_cannot_be_written_is_explained(folder: str) -> None:
    refusal = pytest.raises(MachineError, match=rf"{folder}: could not make this folder .*: ")
    with refusal, upkeep.joined(Store(Path(folder)), settings()):
        pass


def test_half_a_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, disk, whole = tmp_path / "log.jsonl", Disk(), os.write
    disk.append(path, b"first\n")
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda file, data: whole(file, data[:3]))
        with pytest.raises(MachineError, match="disk is full"):
            disk.append(path, b"second\n")
    disk.append(path, b"third\n")
    assert path.read_bytes() == b"first\nthird\n"


def crash_trials(folder: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(CRASHES), str(folder), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


@pytest.fixture(params=[40, pytest.param(240, marks=pytest.mark.slow)])
def trials(request: pytest.FixtureRequest) -> Iterator[int]:
    yield request.param


def test_a_crash_at_any_moment_loses_and_corrupts_nothing(tmp_path: Path, trials: int) -> None:
    outcome = crash_trials(tmp_path, str(trials))
    assert outcome["wrong"] == []
    assert outcome["missed"] == 0 and outcome["timed"] > 0


@pytest.mark.slow
def test_the_crash_trials_would_find_a_careless_store(tmp_path: Path) -> None:
    assert crash_trials(tmp_path, "40", "careless")["wrong"] != []
