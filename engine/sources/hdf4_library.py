# SPDX-License-Identifier: Apache-2.0
"""The HDF4 library in a process of its own: a file that crashes it, hangs it or fills the memory
ends that process, and nothing else.

Run as a module, this is that process: it reads requests from its input, a line of JSON each, and
answers with a line of JSON and the bytes of an array.
"""

import atexit
import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock, Timer
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

COMMAND = (sys.executable, "-P", "-m", __name__)
"""What starts the process."""

PATIENCE = 120.0
"""Seconds for one array; the largest that is believed, 1 GiB, takes some 20."""

ROOM = 4 << 30
"""Bytes of address space of the process: the largest array, and what unpacks it."""

TRIES = 2
"""A file is read once more, in a fresh process, before it is blamed for the end of one."""


class Ended(Exception):
    """The process ended, or was ended, before it answered."""


class Library:
    """Reads arrays by the HDF4 library; one at a time, as it is not thread safe."""

    def __init__(self, command: Sequence[str] = COMMAND, patience: float = PATIENCE) -> None:
        self._command, self._patience = tuple(command), patience
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def read(
        self, path: Path, name: str, start: tuple[int, ...], count: tuple[int, ...]
    ) -> NDArray[Any]:
        """Part of an SDS, ``count`` values from ``start`` on along each axis.

        Raises ValueError for what the library refuses, and for what ends it twice.
        """
        request = {"path": str(path), "name": name, "start": start, "count": count}
        with self._lock:
            for _ in range(TRIES):
                try:
                    return self._answer(json.dumps(request).encode() + b"\n", count)
                except Ended as error:
                    reason = error
        raise ValueError(f"the HDF4 library: {reason}, each of {TRIES} times")

    def close(self) -> None:
        """End the process; the next request starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        with process, suppress(OSError):
            process.kill()

    def _answer(self, request: bytes, count: tuple[int, ...]) -> NDArray[Any]:
        process = self._process = self._process or started(self._command)
        assert process.stdin and process.stdout
        late = Timer(self._patience, process.kill)
        late.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            said = json.loads(process.stdout.readline())
            if "error" in said:
                raise ValueError(f"the HDF4 library: {said['error']}")
            values = np.empty(count, said["dtype"])
            if process.stdout.readinto(values.reshape(-1).view(np.uint8).data) < values.nbytes:  # type: ignore[attr-defined]
                raise EOFError
            return values
        except (OSError, EOFError, json.JSONDecodeError):
            process.kill()
            code = process.wait()
            self.close()
            slow = not late.is_alive()
            raise Ended(f"no answer in {self._patience:g} s" if slow else ending(code)) from None
        finally:
            late.cancel()


def started(command: Sequence[str]) -> "subprocess.Popen[bytes]":
    """The process; what the library prints is nobody's answer."""
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # each thread's stack counts as room
    )


def ending(code: int) -> str:
    """How a process ended, by its exit status.

    >>> ending(-11), ending(3)
    ('it crashed (SIGSEGV)', 'it ended with status 3')
    """
    if code >= 0:
        return f"it ended with status {code}"
    return f"it crashed ({signal.Signals(-code).name})"


def answered(request: Mapping[str, Any], answers: IO[bytes]) -> None:
    """Answer one request."""
    from pyhdf.error import HDF4Error
    from pyhdf.SD import SD, SDC

    try:
        file = SD(request["path"], SDC.READ)
        values = np.asarray(file.select(request["name"]).get(request["start"], request["count"]))
        file.end()
    except (HDF4Error, ValueError, TypeError, MemoryError) as error:
        answers.write(json.dumps({"error": str(error) or "out of memory"}).encode() + b"\n")
    else:
        if values.size != math.prod(request["count"]):
            raise RuntimeError(f"expected {request['count']} values, found {values.shape}")
        answers.write(json.dumps({"dtype": values.dtype.str}).encode() + b"\n")
        answers.write(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    answers.flush()


def main() -> None:
    """Answer requests until there are no more."""
    limited()
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what the library prints must not stand among the answers
        for line in sys.stdin.buffer:
            answered(json.loads(line), answers)


def limited() -> None:
    """Limit this process's memory where the system can, and let it leave no core behind."""
    with suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (ROOM, ROOM))


LIBRARY = Library()
"""The one of this process."""

if __name__ == "__main__":
    main()
