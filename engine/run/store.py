# SPDX-License-Identifier: Apache-2.0
"""What a run has finished: files committed so that no crash leaves half a result.

An artefact is one file or several that belong together. Each is written under a temporary name in
its own folder, synced, hashed and renamed; then the folder is synced, and a JSON marker in
``store/markers`` is written last in the same way. A reader trusts the marker alone. "Skip it if
the file exists" accepted half-written files in 10 of 12 trials with ``kill -9``; this, in none.
"""

import errno
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..sources.errors import StudyError
from .disk import Disk, explained, temporary, writer
from .markers import Key, Marker, Stored, differences

__all__ = ["Draft", "Key", "Marker", "Store", "Stored", "differences"]

MARKERS = "store/markers"
"""Folder of the markers, within the run folder."""

NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.ESTALE, errno.EIO}
"""Failures of the disk that a stage may meet while it writes its files."""


@dataclass
class Draft:
    """An artefact while it is written."""

    paths: dict[str, Path]
    """Where to write each file for now, by its path in the run folder."""

    payload: dict[str, Any] = field(default_factory=dict)
    """To be filled: the stage's own result, as JSON values."""

    valid_pixels: int | None = None
    """To be set: pixels that hold a value."""

    marker: Marker | None = None
    """The proof, once it is committed."""


@dataclass(frozen=True)
class Store:
    """A run folder. It may be used by many processes at once, and be sent to them."""

    folder: Path
    """The run folder."""

    versions: Mapping[str, str] = field(default_factory=dict)
    """Software, for the record in each marker."""

    disk: Disk = field(default_factory=Disk)
    """The file system."""

    def marker_path(self, stage: str, name: str) -> Path:
        """Where the marker of an artefact lies."""
        return self.folder / MARKERS / stage / f"{name}.json"

    def marker(self, stage: str, name: str) -> Marker | None:
        """The marker of an artefact, made with whatever key; None where there is none."""
        data = self.disk.read(self.marker_path(stage, name))
        return Marker.of(data) if data else None

    def find(self, key: Key) -> Marker | None:
        """The marker of what was made with ``key``, where its files are there in full length."""
        marker = self.marker(key.stage, key.name)
        if marker is None or marker.key != key.digest:
            return None
        sizes = ((self.disk.size(self.folder / name), x.size) for name, x in marker.files.items())
        return marker if all(found == size for found, size in sizes) else None

    def why(self, key: Key) -> list[str]:
        """Why ``key`` is not committed: a line for each component that changed; empty if it is."""
        if self.find(key):
            return []
        marker = self.marker(key.stage, key.name)
        if marker is None:
            return ["not made yet"]
        if marker.key != key.digest:
            return differences(marker.components, key.components)
        return [
            f"{name}: missing or of another size"
            for name, stored in marker.files.items()
            if self.disk.size(self.folder / name) != stored.size
        ]

    def markers(self, stage: str | None = None) -> Iterator[Marker]:
        """Every readable marker, of one stage or of all, by path."""
        for path in self.marker_paths(stage):
            if marker := Marker.of(self.disk.read(path) or b""):
                yield marker

    def marker_paths(self, stage: str | None = None) -> Iterator[Path]:
        """Every file that should be a marker, of one stage or of all, by path."""
        folder = self.folder / MARKERS
        for path in self.disk.files(folder / stage if stage else folder):
            if path.suffix == ".json" and writer(path) is None:
                yield path

    @contextmanager
    def writing(self, key: Key, files: Sequence[str]) -> Iterator[Draft]:
        """Write ``files``, paths in the run folder, to the draft's paths; commit at the end.

        An exception inside leaves what was committed before, and no temporary. Raises
        MachineError where the disk is full, read-only or gone.
        """
        finals = {name: self.folder / name for name in files}
        for path in finals.values():
            self.disk.make_folder(path.parent)
        draft = Draft({name: temporary(path) for name, path in finals.items()})
        try:
            yield draft
            draft.marker = self._commit(key, draft)
        except BaseException as error:
            for path in draft.paths.values():
                self._discard(path)
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                with explained("write", self.folder):
                    raise
            raise

    def also(self, draft: Draft, name: str, data: bytes) -> None:
        """Write one more file, unknown until now, to be committed with ``draft``."""
        path = self.folder / name
        self.disk.make_folder(path.parent)
        draft.paths[name] = temporary(path)
        self.disk.write(draft.paths[name], data)

    def _commit(self, key: Key, draft: Draft) -> Marker:
        stored = {}
        for name, path in draft.paths.items():
            self.disk.sync(path)
            stored[name] = Stored(self.disk.checksum(path), self.disk.size(path) or 0)
        marker = Marker(
            stage=key.stage,
            name=key.name,
            key=key.digest,
            components=key.components,
            files=stored,
            valid_pixels=draft.valid_pixels,
            payload=draft.payload,
            versions=self.versions,
            committed=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        text = marker.text()  # before anything is replaced: a payload that is no JSON ends here
        self._withdraw(key, stored)
        for name, path in draft.paths.items():
            self.disk.rename(path, self.folder / name)
        for folder in sorted({(self.folder / name).parent for name in draft.paths}):
            self.disk.sync_folder(folder)
        self.put(self.marker_path(key.stage, key.name), text)
        return marker

    def _withdraw(self, key: Key, stored: Mapping[str, Stored]) -> None:
        """Remove a marker whose files are about to be replaced by others.

        Else a crash between the files and the new marker would leave the old one over new files.
        """
        path = self.marker_path(key.stage, key.name)
        old = self.marker(key.stage, key.name)
        if old and dict(old.files) != dict(stored):
            self.disk.remove(path)
            self.disk.sync_folder(path.parent)

    def _discard(self, path: Path) -> None:
        """Remove a temporary, if the disk still lets us: the first error is the one to show."""
        try:
            self.disk.remove(path)
        except Exception:
            return

    def put(self, path: Path, data: bytes) -> None:
        """Replace a small file of the run in one step: it has its old bytes or the new ones."""
        self.put_all({path: data})

    def put_all(self, files: Mapping[Path, bytes]) -> None:
        """Replace small files of the run, each in one step; the folders are synced once."""
        folders = sorted({path.parent for path in files})
        for folder in folders:
            self.disk.make_folder(folder)
        for path, data in files.items():
            draft = temporary(path)
            try:
                self.disk.write(draft, data)
                self.disk.sync(draft)
                self.disk.rename(draft, path)
            except BaseException:
                self._discard(draft)
                raise
        for folder in folders:
            self.disk.sync_folder(folder)

    def put_json(self, name: str, value: Any) -> None:
        """Replace the JSON file ``name`` of the run folder in one step."""
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
        self.put(self.folder / name, text.encode() + b"\n")

    def get_json(self, name: str) -> Any:
        """The content of the JSON file ``name`` of the run folder; None where there is none.

        Raises StudyError where the file is damaged.
        """
        data = self.disk.read(self.folder / name)
        return None if data is None else parsed(self.folder / name, data)


def parsed(path: Path, data: bytes) -> Any:
    """The JSON value in ``data`` of the file ``path``. Raises StudyError where it is damaged."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise StudyError(
            f"{path}: expected JSON, found {error}; remove the file and run again"
        ) from error
