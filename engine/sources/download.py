# SPDX-License-Identifier: Apache-2.0
"""One file of the archive, brought to its place: resumed, checked, renamed, or set aside."""

import csv
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import requests

from .errors import GranuleError, MachineError
from .link import Link
from .login import PROFILE, REMEDY, Refused, plain
from .manifest import Held, held_of, size_of
from .patience import Dropped, Rejected
from .rasterfiles import TIFF
from .records import Checksum, Record

PART = ".part"
"""End of the name of a file that is not complete: no reader takes it for a granule."""

QUARANTINE = "quarantine"
"""Folder of what arrived damaged, under names that no reader takes for granules."""

HDF4 = b"\x0e\x03\x13\x01"
"""First bytes of a granule. Source: HDF4 Specification, magic number."""

STARTS = {".hdf": ("HDF4", (HDF4,)), ".tif": ("a GeoTIFF", TIFF)}
"""Format and first bytes, by the end of a file's name."""

READ = 1 << 20
"""Bytes hashed at a time."""

SPARE = 1 << 28
"""Bytes of the disk that are left free."""


class Sum(Protocol):
    """Something that bytes are added to."""

    def update(self, data: bytes, /) -> None:
        """Take in some bytes."""

    def hexdigest(self) -> str:
        """What they add up to, hexadecimal."""


class Checksum32:
    """A checksum of 32 bits of zlib, in the form of ``hashlib``.

    >>> one = Checksum32(zlib.crc32, 0)
    >>> one.update(b"123456789")
    >>> one.hexdigest()
    'cbf43926'
    """

    def __init__(self, step: Callable[[bytes, int], int], value: int) -> None:
        self.step, self.value = step, value

    def update(self, data: bytes, /) -> None:
        """Take in some bytes."""
        self.value = self.step(data, self.value)

    def hexdigest(self) -> str:
        """What they add up to, hexadecimal."""
        return f"{self.value:08x}"


def _hash(name: str) -> Callable[[], Sum]:
    return lambda: hashlib.new(name, usedforsecurity=False)


SUMS: Mapping[str, Callable[[], Sum]] = {
    "MD5": _hash("md5"),
    "SHA1": _hash("sha1"),
    "SHA256": _hash("sha256"),
    "SHA384": _hash("sha384"),
    "SHA512": _hash("sha512"),
    "CRC32": lambda: Checksum32(zlib.crc32, 0),
    "ADLER32": lambda: Checksum32(zlib.adler32, 1),
}
"""Checksums that can be formed, by their names without hyphens. Source: UMM-G, ``Algorithm``."""


def known(checksum: Checksum | None) -> bool:
    """Whether a checksum can be compared: its algorithm is one of ``SUMS``."""
    return checksum is not None and _plain(checksum.algorithm) in SUMS


def _plain(algorithm: str) -> str:
    return re.sub("[^A-Z0-9]", "", algorithm.upper())


def digest(path: Path, algorithm: str = "SHA-256") -> str:
    """What the bytes of a file add up to, hexadecimal."""
    total = SUMS[_plain(algorithm)]()
    with path.open("rb") as file:
        while data := file.read(READ):
            total.update(data)
    return total.hexdigest()


def fault(path: Path, record: Record) -> str | None:
    """What is wrong with the file ``path`` if it is to be ``record``; None where it is right."""
    size = size_of(path)
    if size is None:
        return "there is no file"
    if record.size is not None and size != record.size:
        return f"expected {record.size} bytes, found {size}"
    with path.open("rb") as file:
        start = file.read(len(HDF4))
    form, starts = STARTS[Path(record.name).suffix]
    if start not in starts:
        return f"expected the first bytes of {form}, found {start.hex() or 'none'}"
    checksum = record.checksum
    if checksum is not None and known(checksum):
        found = digest(path, checksum.algorithm)
        if not _equal(found, checksum.value):
            return f"expected {checksum.algorithm} {checksum.value}, found {found}"
    return None


def _equal(found: str, told: str) -> bool:
    short = len(found) == 8 and told.isdigit() and len(told) != 8  # CRC written in decimal
    return int(found, 16) == int(told) if short else found == told


def entry(record: Record, path: Path, folder: Path) -> Held:
    """The manifest's entry of a file that has been checked."""
    checksum = record.checksum
    if checksum is not None and known(checksum):
        return held_of(record, path, folder, checksum.algorithm, checksum.value)
    return held_of(record, path, folder, "SHA-256", digest(path))


def fetch(link: Link, record: Record, target: Path, folder: Path) -> Held:
    """Bring a file of the archive to ``target`` under ``folder``; the manifest's entry of it.

    What an earlier try brought is gone on from. The file has its name only once size, first bytes
    and checksum are right; one that never is goes to ``quarantine``.
    Raises GranuleError for one that arrives damaged however often, Unreachable, Rejected, Refused,
    Interrupted.
    """
    if not record.url:
        raise Rejected(f"{record.name}: expected an address in the catalogue, found none")
    part = target.with_name(target.name + PART)
    target.parent.mkdir(parents=True, exist_ok=True)
    link.patiently(record.name, lambda: _attempt(link, record, part, folder))
    held = entry(record, part, folder)
    _commit(part, target)
    release(folder, record.name)
    return Held(**(held.__dict__ | {"file": target.relative_to(folder).as_posix()}))


def _attempt(link: Link, record: Record, part: Path, folder: Path) -> None:
    """One try to complete and check ``part``; raises Dropped where another may succeed."""
    have = size_of(part) or 0
    if record.size is None or have > record.size:
        have = 0  # it cannot be told from a complete file
    if have == 0 or have != record.size:
        headers = {"Range": f"bytes={have}-"} if have else {}
        with link.open(link.signed(record.url), headers) as response:
            told = _take(link, response, part, have)
        size = size_of(part)
        if told is not None and size != told:
            raise Dropped(f"{size} of {told} bytes")
        if record.size is not None and size is not None and size < record.size and told is None:
            raise Dropped(f"{size} of {record.size} bytes")
    if reason := fault(part, record):
        set_aside(part, folder, record.name)
        raise Dropped(f"a damaged file ({reason})", kind=GranuleError)


def _take(link: Link, response: requests.Response, part: Path, have: int) -> int | None:
    """Write a body after the first ``have`` bytes; the file's size as the server tells it."""
    told = _total(response, have)
    if response.status_code == 416 or (response.status_code == 206 and told is None):
        part.unlink(missing_ok=True)
        raise Dropped("a server that cannot go on where the last try ended")
    resumed = response.status_code == 206 and have > 0
    body = link.body(response)
    first = next(body, b"")
    if not resumed:
        refuse_page(response, first)
    with part.open("r+b" if resumed else "wb") as file:
        file.seek(have if resumed else 0)
        file.truncate()
        file.write(first)
        for block in body:
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return told


def _total(response: requests.Response, have: int) -> int | None:
    """The file's size as the headers tell it; None where they do not, or begin elsewhere."""
    if response.status_code == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
        return int(found[2]) if found and int(found[1]) == have else None
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdigit() else None


def refuse_page(response: requests.Response, first: bytes) -> None:
    """Raises Refused where a web page comes in place of data: somebody wants a login."""
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "text/html" or re.match(rb"\s*<(!doctype\s+html|html)", first[:256], re.IGNORECASE):
        raise Refused(
            f"{plain(response.url)}: expected a granule, found a web page, as a login gives; "
            f"authorise the archive's application at {PROFILE}, then: {REMEDY}"
        )


def _commit(part: Path, target: Path) -> None:
    """Give a complete file its name."""
    part.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot sync a folder, and need not
    finally:
        os.close(descriptor)


def set_aside(path: Path, folder: Path, name: str) -> Path:
    """Move a damaged file to the quarantine of ``folder``, where it replaces one of its name."""
    target = folder / QUARANTINE / f"{name}.bad"
    target.parent.mkdir(exist_ok=True)
    path.replace(target)
    return target


def is_inside(path: Path, folder: Path) -> bool:
    """Whether a file lies in a folder itself, and is not linked from elsewhere."""
    return path.resolve().is_relative_to(folder.resolve())


def release(folder: Path, name: str) -> None:
    """Remove what was set aside of a file that has come whole since."""
    (folder / QUARANTINE / f"{name}.bad").unlink(missing_ok=True)


def write_quarantine(folder: Path, failed: Mapping[str, str]) -> None:
    """Write the list of files that could not be had, and why; none where there are none."""
    path = folder / QUARANTINE / "quarantine.csv"
    if not failed:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(exist_ok=True)
    fresh = path.with_name(path.name + PART)
    with fresh.open("w", encoding="utf-8", newline="") as file:
        writer: Any = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "reason"])
        writer.writerows(sorted(failed.items()))
    fresh.replace(path)


def require_space(folder: Path, size: float) -> None:
    """Raises MachineError where the disk of ``folder`` does not take ``size`` more bytes."""
    free = shutil.disk_usage(folder).free
    if free < size + SPARE:
        raise MachineError(
            f"{folder}: expected {(size + SPARE) / 1e9:.1f} GB of free space, found "
            f"{free / 1e9:.1f} GB; free some, or name another folder in granules.path"
        )
