# SPDX-License-Identifier: Apache-2.0
"""What was fetched into a folder: a line for each file, for what does not exist, and for failures.

A line is one JSON object, added at the end and never changed; the last one of a name counts. A line
cut off by a crash is passed over. A composite that the catalogue does not have is noted with the
day it was asked for, so that a folder with all that exists costs no further request.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from .errors import MachineError
from .login import plain
from .records import Record, Wanted

MANIFEST = "fetched.jsonl"
"""The manifest's name in the folder of granules."""

SETTLED = timedelta(days=120)
"""After the start of a period, an absence counts for good: new composites come within weeks.

An earlier one is asked for again with every command. Our choice; ``--refresh`` asks for all.
"""


@dataclass(frozen=True)
class Held:
    """A file that was fetched, or found, and checked."""

    file: str
    """Its path, relative to the folder."""

    size: int
    """Bytes."""

    algorithm: str
    """How the checksum is formed."""

    checksum: str
    """Its checksum, hexadecimal: the catalogue's where it has one, else our own."""

    url: str
    """Where it came from, without anything that a login signs."""

    time: str
    """When, UTC, ISO 8601."""

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.file).name


@dataclass
class Manifest:
    """What was fetched into one folder."""

    folder: Path
    """The folder of granules."""

    held: dict[str, Held] = field(default_factory=dict)
    """Files, by name."""

    absent: dict[str, date] = field(default_factory=dict)
    """When the catalogue was last found without a composite, by stem."""

    failed: dict[str, str] = field(default_factory=dict)
    """Why a file could not be had, by name."""

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """The manifest of ``folder``; empty where there is none."""
        manifest = cls(folder)
        try:
            text = (folder / MANIFEST).read_text("utf-8", "replace")
        except (FileNotFoundError, NotADirectoryError):
            return manifest
        for line in text.splitlines():
            try:
                manifest._take(json.loads(line))
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
                continue  # cut off by a crash, or written by a later version
        return manifest

    def _take(self, entry: Any) -> None:
        time = str(entry["time"])
        if not all(isinstance(entry.get(name, ""), str) for name in ("file", "absent", "failed")):
            raise TypeError
        if "file" in entry:
            held = Held(**{name: entry[name] for name in Held.__dataclass_fields__})
            if Path(held.file).is_absolute() or ".." in Path(held.file).parts:
                raise ValueError
            self.held[held.name] = held
            self.failed.pop(held.name, None)
        elif "absent" in entry:
            self.absent[entry["absent"]] = datetime.fromisoformat(time).date()
        elif "failed" in entry:
            self.failed[entry["failed"]] = str(entry["reason"])

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep other commands from writing to the folder; raises MachineError where one does."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / MANIFEST).open("a+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MachineError(
                    f"{self.folder}: another rsei fetch is writing to this folder; wait for it"
                ) from None
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    file.write(b"\n")
                    file.flush()
            yield

    def hold(self, held: Held) -> None:
        """Note a file."""
        self._append({name: getattr(held, name) for name in Held.__dataclass_fields__})

    def miss(self, wanted: Wanted) -> None:
        """Note that the catalogue does not have a composite."""
        self._append({"absent": wanted.stem, "time": now()})

    def fail(self, name: str, reason: str) -> None:
        """Note why a file could not be had."""
        self._append({"failed": name, "reason": reason, "time": now()})

    def _append(self, entry: Mapping[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        with (self.folder / MANIFEST).open("ab", buffering=0) as file:
            file.write(line.encode())
            os.fsync(file.fileno())
        self._take({"time": now(), **entry})

    def sound(self, name: str) -> bool:
        """Whether the file ``name`` was fetched, and is there with all its bytes."""
        held = self.held.get(name)
        return held is not None and size_of(self.folder / held.file) == held.size

    def stems(self) -> set[str]:
        """What the sound files hold."""
        return {stem_of(name) for name in self.held if self.sound(name)}

    def lacking(self) -> dict[str, str]:
        """Why files could not be had, by name, but for those another production stands in for."""
        held = self.stems()
        return {name: why for name, why in self.failed.items() if stem_of(name) not in held}

    def settled(self, wanted: Wanted) -> bool:
        """Whether the catalogue was found without a composite so late that it will not come."""
        asked = self.absent.get(wanted.stem)
        return asked is not None and asked - wanted.date >= SETTLED


def stem_of(name: str) -> str:
    """The part of a file's name that says what it holds, without its production time.

    >>> stem_of("MOD09A1.A2012161.h27v05.061.2021212041320.hdf")
    'MOD09A1.A2012161.h27v05.061'
    >>> stem_of("MOD09A1.A2012161.h27v05.061.2021212041320.sur_refl_b01.tif")
    'MOD09A1.A2012161.h27v05.061.sur_refl_b01'
    """
    *first, _, last, _ = name.split(".") if name.endswith(".tif") else [*name.split("."), ""]
    return ".".join([*first[:4], *([last] if name.endswith(".tif") else [])])


def held_of(record: Record, file: Path, folder: Path, algorithm: str, checksum: str) -> Held:
    """The entry of ``record``, which is the file ``file`` under ``folder``."""
    relative = file.relative_to(folder).as_posix()
    return Held(relative, file.stat().st_size, algorithm, checksum, plain(record.url), now())


def size_of(path: Path) -> int | None:
    """Bytes of a file; None where there is none."""
    try:
        return path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        return None


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")
