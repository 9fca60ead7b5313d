# SPDX-License-Identifier: Apache-2.0
"""What is kept of granules' headers: what is read again, and that it is the same."""

import hashlib
import io
import json
import os
import shutil
import sys
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from appeears_files import appeears
from granule_files import write_granule

from rsei.engine.sources import granules, headers, headings, locating
from rsei.engine.sources.granules import catalogue
from rsei.engine.sources.headers import SETTLED, Headers


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose header is read, as they are."""
    names: list[str] = []

    def counted(read: Callable[..., object]) -> Callable[..., object]:
        def locate(path: Path, *args: object) -> object:
            names.append(path.name)
            return read(path, *args)

        return locate

    for form, read in locating.LOCATORS.items():
        monkeypatch.setitem(locating.LOCATORS, form, counted(read))
    return names


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock of whoever keeps headers, long after the files were written."""
    monkeypatch.setattr(headers, "now", lambda: 4e9)


def copied(folder: Path, target: Path) -> Path:
    return Path(shutil.copytree(folder, target / "granules"))


def stored(folder: Path, before: bytes | None = None) -> bytes:
    """What is kept once the catalogue was made."""
    found = Headers.of(before, folder)
    catalogue(folder, headers=found)
    return found.data


@pytest.mark.usefixtures("later")
def test_what_is_kept_is_not_read_again_and_is_the_same(folder: Path, opened: list[str]) -> None:
    data = stored(folder)
    assert len(opened) == 4
    known = Headers.of(data, folder)
    assert catalogue(folder, headers=known) == catalogue(folder)
    assert len(opened) == 4 + 4  # of the second catalogue, which knows nothing
    assert not known.outdated and known.data == data


@pytest.mark.usefixtures("later")
def test_layers_of_appeears_are_kept_too(tmp_path: Path, opened: list[str]) -> None:
    for layer, dtype in (("red", "int16"), ("nir", "int16"), ("qc", "uint32")):
        appeears(tmp_path, "MOD09A1", layer, np.zeros((20, 30), dtype))
    data = stored(tmp_path)
    assert len(opened) == 3
    assert catalogue(tmp_path, headers=Headers.of(data, tmp_path)) == catalogue(tmp_path)
    assert len(opened) == 3 + 3


@pytest.mark.usefixtures("later")
def test_the_folder_may_be_moved(folder: Path, tmp_path: Path, opened: list[str]) -> None:
    here = copied(folder, tmp_path)
    data = stored(here)
    opened.clear()
    there = here.rename(tmp_path / "elsewhere")
    found = catalogue(there, headers=Headers.of(data, there))
    assert not opened
    assert found == catalogue(there)


@pytest.mark.usefixtures("later")
def test_what_changed_is_read_again(folder: Path, tmp_path: Path, opened: list[str]) -> None:
    here = copied(folder, tmp_path)
    data = stored(here)
    one, other, *_ = sorted(here.rglob("MOD09A1*.hdf"))
    opened.clear()
    times = one.stat()
    while one.stat().st_ctime_ns == times.st_ctime_ns:  # the system's clock has its own steps
        one.write_bytes(one.read_bytes())
        os.utime(one, ns=(times.st_atime_ns, times.st_mtime_ns))  # the same size and time
    replaced = other.with_suffix(".new")
    shutil.copy2(other, replaced)
    replaced.replace(other)  # another file, of the same size and time
    data = stored(here, data)
    assert sorted(opened) == sorted([one.name, other.name])
    opened.clear()
    stored(here, data)
    assert not opened


@pytest.mark.usefixtures("later")
def test_new_files_are_read_and_lost_ones_forgotten(
    folder: Path, tmp_path: Path, opened: list[str]
) -> None:
    here = copied(folder, tmp_path)
    data = stored(here)
    opened.clear()
    lost = next(here.rglob("MOD11A2*.hdf"))
    lost.unlink()
    new = write_granule(here / "2023", "MOD09A1", date(2023, 6, 2))
    found = Headers.of(data, here)
    assert len(catalogue(here, headers=found).granules) == 4
    assert opened == [new.name]
    assert found.outdated and lost.name.encode() in data and lost.name.encode() not in found.data


@pytest.mark.usefixtures("later")
def test_damaged_granules_are_never_kept(folder: Path, tmp_path: Path, opened: list[str]) -> None:
    here = copied(folder, tmp_path)
    bad = next(here.rglob("MOD11A2*.hdf"))
    bad.write_bytes(bad.read_bytes()[:200])
    data = stored(here)
    opened.clear()
    assert [one.path for one in catalogue(here, headers=Headers.of(data, here)).bad] == [bad]
    assert opened == [bad.name]


def test_a_file_changed_only_just_is_not_kept(
    folder: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = max(path.stat().st_ctime for path in folder.rglob("*.hdf"))
    for wait, read in ((SETTLED - 1, 4), (-1e6, 4), (SETTLED + 1, 0)):  # a clock may be behind
        monkeypatch.setattr(headers, "now", partial(float, newest + wait))
        data = stored(folder)
        opened.clear()
        stored(folder, data)
        assert len(opened) >= read if read else not opened


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"MOD09A1", b"MOD09Q1", 1),
        lambda data: b"\xff\xfe" + data,
        lambda data: b"no seal",
    ],
)
def test_damage_is_thrown_away(
    folder: Path, opened: list[str], damage: Callable[[bytes], bytes]
) -> None:
    data = stored(folder)
    opened.clear()
    assert stored(folder, damage(data)) == data
    assert len(opened) == 4


@pytest.mark.usefixtures("later")
def test_what_is_sealed_and_makes_no_sense_is_thrown_away(folder: Path, opened: list[str]) -> None:
    sound = stored(folder)
    for wrong in (b"[]", b"{}", b'{"reader":1}', *nonsense(folder)):
        seal = hashlib.sha256(wrong).hexdigest().encode()
        opened.clear()
        assert stored(folder, seal + b"\n" + wrong) == sound
        assert len(opened) == 4


def nonsense(folder: Path) -> list[bytes]:
    """Records in their right form whose entries are not."""
    states = {
        str(path.relative_to(folder)): headers.state_of(path) for path in folder.rglob("*.hdf")
    }
    wrong = (None, 7, [[0, 0]], [[738000, 9]], [["day", 0]], [[738000, 0]])
    every: list[dict[str, Any]]
    every = [{name: (*state, dates) for name, state in states.items()} for dates in wrong]
    every.append(dict.fromkeys(states, ()))
    return [
        json.dumps({"reader": headers.reader(), "forms": [[1]], "files": files}).encode()
        for files in every
    ]


@pytest.mark.slow
@pytest.mark.parametrize("command", [headings.COMMAND, ("false",), ("no such program",)])
def test_other_processes_read_the_same(
    folder: Path,
    tmp_path: Path,
    opened: list[str],
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    here = copied(folder, tmp_path)
    bad = next(here.rglob("MOD11A2*.hdf"))
    bad.write_bytes(bad.read_bytes()[:200])
    expected = catalogue(here)
    assert len(opened) == 4
    monkeypatch.setattr(granules, "MANY", 1)
    monkeypatch.setattr(granules, "cores", lambda: 2)
    monkeypatch.setattr(headings, "COMMAND", command)
    assert catalogue(here) == expected  # these files are too young to be kept by others
    assert len(opened) == 4 + 4


@pytest.mark.usefixtures("later")
def test_what_others_have_read_is_known(
    folder: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = Headers.of(None, folder), Headers.of(None, folder)
    catalogue(folder, headers=one)
    files = [str(path.relative_to(folder)) for path in sorted(folder.rglob("*.hdf"))]
    request = json.dumps({"folder": str(folder), "files": files}).encode()
    said = io.BytesIO()
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(request)))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=said))
    headings.main()
    other.learn(said.getvalue())
    other.learn(b"damaged")
    opened.clear()
    assert catalogue(folder, headers=other).granules and not opened
    assert other.outdated and other.data == one.data


@pytest.mark.usefixtures("later")
def test_another_reader_trusts_nothing(
    folder: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = stored(folder)
    opened.clear()
    monkeypatch.setattr(headers, "reader", lambda: "of another version")
    stored(folder, data)
    assert len(opened) == 4
