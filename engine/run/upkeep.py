# SPDX-License-Identifier: Apache-2.0
"""Look after a run folder: who is writing, what is damaged, what may be swept away."""

import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..sources.errors import StudyError
from .disk import Writer, birth, host, writer
from .store import MARKERS, Marker, Store, Stored, differences

RUN = "run.json"
"""The run's record: resolved settings, granules, versions, timings."""

LIVE = "store/live"
"""Folder of a note for each process that is running a study in the folder."""

HEADERS = "store/headers"
"""What was read of the granules' headers: a cache, which may be removed at any time."""

UNCOMMITTED = ("figures/", "stac/", "store/logs/", f"{MARKERS}/", f"{LIVE}/")
"""Folders whose files carry no marker: they hold times, or can be drawn again."""

RECORDS = {RUN, HEADERS, "report.html", "quarantine.csv", "log.jsonl"}
"""Files without a marker, for the same reason."""


@contextmanager
def joined(store: Store, settings: Mapping[str, Any]) -> Iterator[None]:
    """Work on a run folder: make it, sweep what dead processes left, and show that we are here.

    There is no lock. Two runs with the same settings help each other, as commits are idempotent.
    A setting that changed since the last run makes anew what depends on it. Refused, with the
    difference, are a folder that holds another study, and one where a live run has other settings:
    each would undo the other's work.

    Raises StudyError for those, MachineError where the folder cannot be written.
    """
    store.disk.make_folder(store.folder)
    _same_study(store, settings)
    _no_rival(store, settings)
    sweep(store)
    note = f"{LIVE}/{host()}-{os.getpid()}-{secrets.token_hex(4)}.json"
    process = {"pid": os.getpid(), "host": host(), "birth": birth(os.getpid())}
    store.put_json(note, process | {"settings": settings})
    try:
        yield
    finally:
        store.disk.remove(store.folder / note)


def _same_study(store: Store, settings: Mapping[str, Any]) -> None:
    record = store.get_json(RUN)
    if record is None:
        return
    wanted = settings["study"]["name"]
    try:
        found = record["settings"]["study"]["name"]
    except (KeyError, TypeError):
        raise StudyError(
            f"{store.folder / RUN}: expected the record of a run, found something else; "
            "choose another folder in study.out, or remove the file"
        ) from None
    if found != wanted:
        raise StudyError(
            f"{store.folder}: expected results of the study {wanted!r}, found those of {found!r}; "
            "choose another folder in study.out"
        )


def _no_rival(store: Store, settings: Mapping[str, Any]) -> None:
    for path in store.disk.files(store.folder / LIVE):
        try:
            note = json.loads(store.disk.read(path) or b"")
            process, theirs = Writer(str(note["host"]), int(note["pid"])), note["settings"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # half a note: its writer is just coming or just going
        reborn = process.here and birth(process.pid) != note.get("birth")
        if process.dead or reborn:
            store.disk.remove(path)
        elif changed := differences(theirs, dict(settings)):
            lines = "\n  ".join(changed)
            raise StudyError(
                f"{store.folder}: process {process.pid} on {process.host} is running this study "
                f"with other settings:\n  {lines}\nwait for it, or choose another folder in "
                f"study.out; if it is gone, remove {path}"
            )


def sweep(store: Store, other_hosts: bool = False) -> list[Path]:
    """Remove the temporaries of processes that are gone, and name them.

    ``other_hosts`` takes those of other machines too, of which nobody here can tell whether they
    still run.
    """
    removed = []
    for path, process in _temporaries(store):
        if process.dead or (other_hosts and not process.here):
            store.disk.remove(path)
            removed.append(path)
    return removed


def _temporaries(store: Store) -> Iterator[tuple[Path, Writer]]:
    for path in store.disk.files(store.folder):
        if process := writer(path):
            yield path, process


@dataclass(frozen=True)
class Verification:
    """What re-hashing a run found; paths are relative to the run folder."""

    sound: int
    """Files whose bytes are those that were committed."""

    missing: tuple[str, ...]
    """Committed files that are not there."""

    altered: tuple[str, ...]
    """Committed files with other bytes."""

    orphaned: tuple[str, ...]
    """Files among the results that no marker names."""

    unreadable: tuple[str, ...]
    """Markers that are not whole."""

    temporaries: tuple[str, ...]
    """Unfinished files, of live processes or left by dead ones."""

    @property
    def intact(self) -> bool:
        """Whether every result can be trusted; orphans and temporaries harm nothing."""
        return not (self.missing or self.altered or self.unreadable)


def verification(store: Store) -> Verification:
    """Hash every committed file again, and compare.

    Raises StudyError where the folder holds no run.
    """
    expect_run(store)
    committed: dict[str, Stored] = {}
    unreadable = []
    for path in store.marker_paths():
        marker = Marker.of(store.disk.read(path) or b"")
        if marker:
            committed |= dict(marker.files)
        else:
            unreadable.append(_relative(store, path))
    missing = [name for name in committed if store.disk.size(store.folder / name) is None]
    present = committed.keys() - set(missing)
    altered = [
        name
        for name in present
        if store.disk.checksum(store.folder / name) != committed[name].sha256
    ]
    files = list(store.disk.files(store.folder))
    temporaries = [_relative(store, path) for path in files if writer(path)]
    names = {_relative(store, path) for path in files} - set(temporaries) - RECORDS
    drawn = {name for name in names if name.startswith(UNCOMMITTED)}
    orphaned = names - committed.keys() - drawn
    return Verification(
        sound=len(present) - len(altered),
        missing=tuple(sorted(missing)),
        altered=tuple(sorted(altered)),
        orphaned=tuple(sorted(orphaned)),
        unreadable=tuple(sorted(unreadable)),
        temporaries=tuple(sorted(temporaries)),
    )


def expect_run(store: Store) -> None:
    """Raise StudyError where the store's folder holds no run."""
    if not (store.folder / MARKERS).is_dir() and not (store.folder / RUN).is_file():
        raise StudyError(
            f"{store.folder}: expected the folder of a run, with {RUN} and {MARKERS}/ in it; "
            "name the folder that study.out gives"
        )


def _relative(store: Store, path: Path) -> str:
    return path.relative_to(store.folder).as_posix()
