# SPDX-License-Identifier: Apache-2.0
"""Whether HDF5's library gets to the end of a file's global heaps, where texts and axes are kept.

A damaged heap with an object that takes no room sends HDF5 2.0 round in a circle for ever, with
Python's lock held: nothing can end that but the end of the process. So they are looked at before.
Source: HDF5 File Format Specification 3.0, III.E; H5HGcache.c.
"""

import mmap
from functools import lru_cache
from pathlib import Path

HEAP = b"GCOL\x01\0\0\0"
"""Start of a global heap: with its zeros no data look like it by chance."""

HEADER = 16
"""Bytes before the first object of a heap, and before the content of each."""

LENGTHS = {0: 14, 1: 14, 2: 10, 3: 10}
"""Where the superblock says how many bytes a length takes, by its version."""

MOST = 1 << 16
"""Objects of a heap that are believed; NetCDF's library puts some dozens into one."""


def require_ends(path: Path) -> None:
    """Raises ValueError for a file of HDF5 in which reading a heap would never end."""
    found = path.stat()
    if place := _endless(path, found.st_mtime_ns, found.st_size):
        raise ValueError(f"the global heap at byte {place} has no end")


@lru_cache(maxsize=1 << 12)
def _endless(path: Path, time: int, size: int) -> int | None:
    """Where a heap without an end starts; ``time`` and ``size`` tell a file from its successor."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        version = data[8] if size > HEADER else 0
        length = data[LENGTHS[version]] if version in LENGTHS and size > HEADER else 8
        at = data.find(HEAP)
        while at >= 0:
            if not _ends(data, at, length):
                return at
            at = data.find(HEAP, at + 1)
    return None


def _ends(data: mmap.mmap, start: int, length: int) -> bool:
    """Whether the objects of the heap at ``start`` lead to its end, or out of the file."""

    def number(at: int, size: int) -> int:
        return int.from_bytes(data[at : at + size], "little")

    end = min(start + number(start + 8, length), len(data))
    at = start + HEADER
    for _ in range(MOST):
        if at + HEADER > end:
            return True
        room = number(at + 8, length)
        # Object 0 is what is left: its size counts its own header.
        step = room if number(at, 2) == 0 else HEADER + (room + 7) // 8 * 8
        if step < HEADER:
            return False
        at += step
    return False
