# SPDX-License-Identifier: Apache-2.0
"""What proves that an artefact is complete: its key, its marker, and how two of them differ."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

KEPT = 512
"""Markers kept as they were read: of a country each is asked for seven times, mostly in a row."""


def flat(tree: Any, path: str = "") -> dict[str, Any]:
    """The leaves of nested mappings by dotted path.

    >>> flat({"quality": {"preset": "strict"}, "reach": 1})
    {'quality.preset': 'strict', 'reach': 1}
    """
    if not isinstance(tree, Mapping) or not tree:
        return {path: tree}
    dot = path and path + "."
    leaves: dict[str, Any] = {}
    for name, branch in tree.items():
        leaves |= flat(branch, f"{dot}{name}")
    return leaves


def differences(before: Any, after: Any) -> list[str]:
    """What changed between two nested mappings, a line each, by dotted path.

    >>> differences({"reach": 1, "season": "06-01"}, {"reach": 2, "pca": "epoch"})
    ['pca: added ("epoch")', 'reach: 1 -> 2', 'season: removed ("06-01")']
    >>> differences({"days": ["2012-06-01", "2012-06-09"] * 9}, {"days": ["2012-06-01"] * 9})
    ['days: 9 fewer, such as "2012-06-09"']
    """
    old, new = flat(before), flat(after)
    lines = []
    for path in sorted(old.keys() | new.keys()):
        if path not in old:
            lines.append(f"{path}: added ({_short(new[path])})")
        elif path not in new:
            lines.append(f"{path}: removed ({_short(old[path])})")
        elif old[path] != new[path]:
            lines.append(f"{path}: {_change(old[path], new[path])}")
    return lines


TOLD = 100
"""Letters of a value that are shown: a nation's list of composites has a hundred thousand."""


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= TOLD else f"{text[:TOLD]}..."


def _change(old: Any, new: Any) -> str:
    """What became of a value; of a long list, which of its items came and went."""
    if not (isinstance(old, list) and isinstance(new, list) and len(json.dumps([old, new])) > TOLD):
        return f"{_short(old)} -> {_short(new)}"
    before, after = Counter(map(json.dumps, old)), Counter(map(json.dumps, new))
    moves = {"fewer": before - after, "more": after - before}
    said = [
        f"{items.total()} {word}, such as {next(iter(items))}"
        for word, items in moves.items()
        if items
    ]
    return "; ".join(said) or "another order"


@dataclass(frozen=True)
class Key:
    """All that an artefact's content depends on; times and software versions are not part of it."""

    stage: str
    """Stage of the run, such as ``partial``."""

    name: str
    """The artefact within its stage, such as ``h27v05/2019``."""

    algorithm: int
    """Version of the stage's algorithm: raised when its results change."""

    settings: Mapping[str, Any]
    """The settings that matter to the stage, as JSON values."""

    inputs: Mapping[str, str]
    """Digest of each input, by its name: a file's checksum, or the key of another artefact."""

    @property
    def components(self) -> dict[str, Any]:
        """The parts of the key, as JSON values."""
        return {
            "algorithm": f"{self.stage} {self.algorithm}",
            "settings": dict(self.settings),
            "inputs": dict(self.inputs),
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the components, hexadecimal: the same for every order of their keys."""
        text = json.dumps(self.components, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Stored:
    """One committed file."""

    sha256: str
    """Checksum of its bytes, hexadecimal."""

    size: int
    """Bytes."""


@dataclass(frozen=True)
class Marker:
    """The proof that an artefact is complete, and what its stage had to say of it."""

    stage: str
    """Stage of the run."""

    name: str
    """The artefact within its stage."""

    key: str
    """Digest of the key it was made with."""

    components: Mapping[str, Any]
    """The key's parts, so that a change can be named."""

    files: Mapping[str, Stored]
    """The artefact's files, by their path in the run folder."""

    valid_pixels: int | None
    """Pixels that hold a value; None where that has no meaning."""

    payload: Mapping[str, Any]
    """The stage's own result, as JSON values: moments, counts, warnings."""

    versions: Mapping[str, str]
    """Software that made it."""

    committed: str
    """Time of the commit, UTC, ISO 8601."""

    def text(self) -> bytes:
        """This marker as JSON."""
        record = self.__dict__ | {"files": {name: x.__dict__ for name, x in self.files.items()}}
        sealed = record | {"seal": _seal(record)}
        return json.dumps(sealed, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"

    @staticmethod
    def of(data: bytes) -> "Marker | None":
        """The marker in ``data``; None where that is not one, whole and harmless."""
        return _marker(data)


@lru_cache(maxsize=KEPT)
def _marker(data: bytes) -> Marker | None:
    """As ``Marker.of``; whoever is given it changes nothing in it, as others are given the same."""
    try:
        record = json.loads(data)
        if record.pop("seal") != _seal(record):
            return None  # somebody, or a failing disk, changed it
        files = {name: Stored(**entry) for name, entry in record.pop("files").items()}
        marker = Marker(files=files, **record)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    sound = all(inside(name) and type(entry.size) is int for name, entry in files.items())
    return marker if sound and isinstance(marker.key, str) else None


def _seal(record: Mapping[str, Any]) -> str:
    """Checksum of a marker's values: what stages find in it, nobody else has written."""
    text = json.dumps(record, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def inside(name: str) -> bool:
    """Whether a path stays within the run folder.

    >>> inside("rsei/a/2001.tif"), inside("../a"), inside("/etc/passwd"), inside("")
    (True, False, False, False)
    """
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts
