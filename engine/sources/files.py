# SPDX-License-Identifier: Apache-2.0
"""Files of the user, told apart by what they hold: no library may guess, unpack or download."""

import re
from pathlib import Path

from .errors import InputError

REMOTE = re.compile(r"/vsi|[a-z][a-z0-9+.-]+:/", re.IGNORECASE)
"""Starts of paths that GDAL would open in an archive, in memory or on a server."""

GRIDS = re.compile(
    r'PARAMETERFILE\[|(?:(?:nad|geoid)grids=|PROJ4_GRIDS"\s*,\s*")(?!@null\b)', re.IGNORECASE
)
"""Where a coordinate system names a file of shifts, which PROJ would open."""


def require_no_file(crs: str, path: Path, error: type[InputError]) -> str:
    """The coordinate system ``crs`` of ``path``; raises ``error`` where it names another file."""
    if GRIDS.search(crs):
        raise error(
            f"{path}: expected a coordinate system that stands for itself, found one that names a "
            "file of shifts; give it an EPSG code, for example in QGIS: Export, Save As"
        )
    return crs


def beginning(start: bytes) -> str:
    """What a file is, by its first bytes, when it is none of the formats expected.

    >>> beginning(b"hello, world"), beginning(b"<HTML><head>"), beginning(b"")
    ("a file that starts with b'hello, world'", 'a web page, such as a login form', 'an empty file')
    """
    if not start:
        return "an empty file"
    if b"<html" in start.lower() or b"<!doctype" in start.lower():
        return "a web page, such as a login form"
    return f"a file that starts with {start[:16]!r}"


def first_bytes(path: Path, count: int, error: type[InputError]) -> bytes:
    """The first ``count`` bytes of a file on disk; raises ``error`` where it is not one."""
    if REMOTE.match(str(path)):
        raise error(f"{path}: expected a file on disk; download or unpack it first")
    if not path.is_file():
        found = "a folder" if path.is_dir() else "none"
        raise error(f"{path}: expected a file, found {found}; check the path")
    try:
        with path.open("rb") as file:
            return file.read(count)
    except OSError as failure:
        raise error(f"{path}: cannot be read: {failure}") from failure
