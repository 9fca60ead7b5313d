# SPDX-License-Identifier: Apache-2.0
"""The few calls by which the store reads and changes the disk; tests inject faults here."""

import errno
import hashlib
import os
import re
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar

from ..sources.errors import MachineError

P = ParamSpec("P")
R = TypeVar("R")

BLOCK = 1 << 20
"""Bytes hashed at a time."""

REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space and run the same command again",
    errno.EDQUOT: "the quota is used up; free some space and run the same command again",
    errno.EROFS: "the file system is read-only; choose another folder in study.out",
    errno.EACCES: "permission denied; choose another folder in study.out, or ask for write access",
    errno.EPERM: "permission denied; choose another folder in study.out, or ask for write access",
    errno.ENOENT: "the folder is gone; was it moved or unmounted?",
    errno.ENOTDIR: "a file stands where a folder is expected; choose another folder in study.out",
    errno.EEXIST: "a file stands where a folder is expected; choose another folder in study.out",
    errno.ESTALE: "the network file system lost the file; run the same command again",
    errno.EIO: "the disk reported an error; check it, then run the same command again",
}
"""What a user can do about a failed call."""


FLEETING = {errno.ESTALE, errno.EIO, errno.EAGAIN, errno.ETIMEDOUT, errno.EINTR}
"""Failures of a file system, mostly of a network's, that may be over in a moment."""

PAUSES = (0.05, 0.25, 1.0)
"""Seconds before a call is tried again."""


def fleeting(error: BaseException) -> bool:
    """Whether a MachineError tells of a failure that may be over in a moment."""
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in FLEETING


def patient(call: Callable[P, R]) -> Callable[P, R]:
    """Try a call of the disk again where its failure may be over; calls that may be repeated."""

    @wraps(call)
    def again(*args: P.args, **kwargs: P.kwargs) -> R:
        for pause in PAUSES:
            try:
                return call(*args, **kwargs)
            except MachineError as error:
                if not fleeting(error):
                    raise
            time.sleep(pause)
        return call(*args, **kwargs)

    return again


@contextmanager
def explained(action: str, path: Path) -> Iterator[None]:
    """Turn the system's error into one that says what failed, where, and the remedy.

    Raises MachineError.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        remedy = REMEDIES.get(error.errno or 0, "check the disk, then run the same command again")
        raise MachineError(f"{path}: could not {action} ({reason}): {remedy}") from error


class Disk:
    """The real file system."""

    @patient
    def make_folder(self, folder: Path) -> None:
        """Make ``folder`` and those above it."""
        with explained("make this folder", folder):
            folder.mkdir(parents=True, exist_ok=True)

    @patient
    def write(self, path: Path, data: bytes) -> None:
        """Write a whole file, which is not yet safe from a crash."""
        with explained("write", path):
            path.write_bytes(data)

    @patient
    def read(self, path: Path) -> bytes | None:
        """The bytes of ``path``; None where there is no file."""
        with explained("read", path):
            try:
                return path.read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    @patient
    def size(self, path: Path) -> int | None:
        """Bytes of the file ``path``; None where there is no file."""
        with explained("look at", path):
            try:
                return path.stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None

    def sync(self, path: Path) -> None:
        """Wait until the bytes of ``path`` are on the disk.

        Never tried again: a system that has reported a loss forgets it, and says all is well.
        """
        with explained("write", path):
            descriptor = os.open(path, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    @patient
    def checksum(self, path: Path) -> str:
        """SHA-256 of the bytes of ``path``, hexadecimal."""
        digest = hashlib.sha256()
        with explained("read", path), path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
        return digest.hexdigest()

    def append(self, path: Path, data: bytes) -> None:
        """Add a line to a file in one call, so that writers side by side mix no lines.

        Half a line, for which a full disk had room, is taken back: whoever reads it meets none.
        """
        with explained("write", path):
            descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                written = os.write(descriptor, data)
                end = os.lseek(descriptor, 0, os.SEEK_CUR)
                if written < len(data):
                    if os.fstat(descriptor).st_size == end:
                        os.ftruncate(descriptor, end - written)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            finally:
                os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a finished file its name, in one step."""
        for pause in (*PAUSES, None):
            try:
                with explained("write", target):
                    return self._replace(source, target)
            except MachineError as error:
                if pause is None or not fleeting(error):
                    raise
                time.sleep(pause)
                # A network file system may have renamed it, and lost the answer. The name of the
                # source was ours alone: gone means done.
                if self.size(source) is None and self.size(target) is not None:
                    return None

    def _replace(self, source: Path, target: Path) -> None:
        source.replace(target)

    def sync_folder(self, folder: Path) -> None:
        """Wait until the names in ``folder`` are on the disk."""
        with explained("write", folder):
            descriptor = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            except OSError as error:
                # Some network file systems cannot sync a folder, and need not.
                if error.errno not in (errno.EINVAL, errno.ENOTSUP):
                    raise
            finally:
                os.close(descriptor)

    @patient
    def remove(self, path: Path) -> None:
        """Remove a file; one that is already gone is no error."""
        with explained("remove", path):
            path.unlink(missing_ok=True)

    def files(self, folder: Path) -> Iterator[Path]:
        """Every file under ``folder``, sorted; links are named, never followed."""
        for parent, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                yield Path(parent) / name


TEMPORARY = re.compile(r"\.(.+)\.(?P<host>[\w-]+)-(?P<pid>\d+)-[0-9a-f]{8}\.tmp(\..+)?")
"""Names that ``temporary`` gives, and the sidecar that a raster library may put beside one."""


def host() -> str:
    """This machine's name, cut to letters, digits, ``_`` and ``-``."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", socket.gethostname()) or "host"


def temporary(path: Path) -> Path:
    """A name beside ``path`` that says which process is writing it."""
    return path.with_name(f".{path.name}.{host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


@dataclass(frozen=True)
class Writer:
    """The process that a temporary's name gives."""

    host: str
    """Its machine."""

    pid: int
    """Its number there."""

    @property
    def here(self) -> bool:
        """Whether it runs, or ran, on this machine."""
        return self.host == host()

    @property
    def dead(self) -> bool:
        """Whether it is known to be gone: a process of another machine never is."""
        return self.here and not alive(self.pid)


def writer(path: Path) -> Writer | None:
    """Who wrote the temporary ``path``; None where the name is not one of ours.

    >>> writer(Path("run/.counts.tif.node1-812-0f3a9c77.tmp"))
    Writer(host='node1', pid=812)
    >>> writer(Path("run/counts.tif"))
    """
    found = TEMPORARY.fullmatch(path.name)
    return Writer(found["host"], int(found["pid"])) if found else None


def alive(pid: int) -> bool:
    """Whether a process of this machine has the number ``pid``."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def birth(pid: int) -> str | None:
    """What tells a process from a later one with its number; None where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # The command's name, in parentheses, may hold blanks; the 20th field after it is the start.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return f"{boot} {fields[19]}"
