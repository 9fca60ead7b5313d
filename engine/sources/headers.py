# SPDX-License-Identifier: Apache-2.0
"""What was read of granules' headers, kept: a country has 20,000 of them, a millisecond each.

It is a cache and no more: damage, other software, or a file that is not as it was make it be read
again. No pickle, since who may write the file may not therefore run code.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from time import time as now
from typing import Annotated, Any, Self

import rasterio.crs
from affine import Affine
from pydantic import Field, PositiveInt, TypeAdapter

from .located import Located, Name, Source

SETTLED = 5.0
"""Seconds after which a change must show in a file's times: some systems count them in twos."""

State = tuple[int, int, int, int]
"""Size, times of change of content and of status, ns, and number of a file; zeros without one."""

Entry = tuple[int, int, int, int, list[tuple[int, int]]]
"""State of a file, and the day and form of each date that it holds."""

FORM: TypeAdapter[Any] = TypeAdapter(
    tuple[
        str,
        tuple[float, float, float, float, float, float],
        tuple[PositiveInt, PositiveInt],
        Annotated[tuple[tuple[str, str, int], ...], Field(min_length=1)],
    ]
)
"""Coordinate system, transform, rows and columns, and each layer: its name, its name in the file,
and its place among the bands or dates there."""


@dataclass
class Headers:
    """What is known of the files below one folder."""

    folder: Path
    """The folder of granules, to which paths are relative."""

    known: dict[str, Entry] = field(default_factory=dict)
    """What was read before, by path."""

    forms: list[Any] = field(default_factory=list)
    """Coordinate system, transform, shape and layers: what many dates have in common."""

    changed: bool = False
    """Whether something was read that was not known."""

    met: dict[str, Entry] = field(default_factory=dict)
    """What was asked for or read by now: the others are gone."""

    _numbers: dict[str, int] = field(default_factory=dict)
    _shared: dict[int, tuple[Any, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, data: bytes | None, folder: Path) -> Self:
        """What ``data`` tells of the files below ``folder``; nothing where it is damaged or old."""
        digest, _, body = (data or b"").partition(b"\n")
        if digest.decode("latin-1") != hashlib.sha256(body).hexdigest():
            return cls(folder)
        try:
            record = json.loads(body)
            if record["reader"] != reader():
                return cls(folder)
            return cls(folder, dict(record["files"]), list(record["forms"]))
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls(folder)

    @property
    def data(self) -> bytes:
        """What was met, as bytes for ``of``."""
        used = sorted({form for entry in self.met.values() for _, form in entry[4]})
        places = {form: place for place, form in enumerate(used)}
        record = {
            "reader": reader(),
            "forms": [self.forms[form] for form in used],
            "files": {
                key: (*state, [(day, places[form]) for day, form in dates])
                for key, (*state, dates) in self.met.items()
            },
        }
        body = json.dumps(record, separators=(",", ":")).encode()
        return hashlib.sha256(body).hexdigest().encode() + b"\n" + body

    @property
    def outdated(self) -> bool:
        """Whether what is stored is not what was met."""
        return self.changed or len(self.met) != len(self.known)

    def find(self, path: Path, name: Name, state: State) -> list[Located] | None:
        """What a file in ``state`` holds; None where it was not read in this state."""
        key = os.path.relpath(path, self.folder)
        try:
            entry = self.known[key]
            if tuple(entry[:4]) != state:
                return None
            found = [self._located(path, name, day, form) for day, form in entry[4]]
        except (LookupError, TypeError, ValueError, OverflowError):
            return None  # nothing of it, or nothing that we wrote
        self.met[key] = entry
        return found

    def keep(self, path: Path, state: State, found: Sequence[Located]) -> None:
        """Remember what was found in a file, whose state was taken before it was read.

        One that was changed only just is left out: a second change would not show in its times.
        """
        if not state[1] or now() - max(state[1:3]) / 1e9 < SETTLED:
            return
        dates = [(one.date.toordinal(), self._number(_form(one))) for one in found]
        self.met[os.path.relpath(path, self.folder)] = (*state, dates)
        self.changed = True

    def learn(self, data: bytes) -> None:
        """Know what another process has kept of the same folder."""
        other = Headers.of(data, self.folder)
        numbers = [self._number(form) for form in other.forms]
        for key, (size, content, status, number, dates) in other.known.items():
            renumbered = [(day, numbers[form]) for day, form in dates]
            self.known[key] = size, content, status, number, renumbered
        self.changed |= bool(other.known)

    def _number(self, form: list[Any]) -> int:
        if not self._numbers:
            self._numbers = {json.dumps(form): n for n, form in enumerate(self.forms)}
        number = self._numbers.setdefault(json.dumps(form), len(self.forms))
        if number == len(self.forms):
            self.forms.append(form)
        return number

    def _located(self, path: Path, name: Name, day: int, number: int) -> Located:
        if number not in self._shared:
            crs, transform, shape, layers = FORM.validate_python(self.forms[number])
            rasterio.crs.CRS.from_user_input(crs)  # this too raises ValueError for nonsense
            self._shared[number] = crs, Affine(*transform), shape, layers
        crs, transform, shape, layers = self._shared[number]
        sources = tuple(Source(layer, path, name.format, stored, i) for layer, stored, i in layers)
        return Located(name, date.fromordinal(day), crs, transform, shape, sources)


def _form(one: Located) -> list[Any]:
    layers = [[source.layer, source.stored, source.index] for source in one.sources]
    return [one.crs, list(one.transform[:6]), list(one.shape), layers]


def state_of(path: Path) -> State:
    """What tells whether a file is as it was."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0, 0, 0  # whoever reads it says what is wrong
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


@cache
def reader() -> str:
    """What reads headers: the sources of this wing and its table of products, by their checksum."""
    digest = hashlib.sha256(rasterio.__version__.encode())
    here = Path(__file__).parent
    for source in sorted((*here.glob("*.py"), *here.glob("*.toml"))):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()
