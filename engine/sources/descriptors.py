# SPDX-License-Identifier: Apache-2.0
"""The elements of an HDF4 file, found by its data descriptors and read without its library.

HDF4's C library is not thread safe and pyhdf holds the interpreter's lock while it inflates, so the
descriptors are read here and the streams they point at are inflated elsewhere, in threads. Only
what MODIS land granules are made of is understood; the rest is left to pyhdf.
Source: HDF4 Specification and Developer's Guide, chapters 2 and 10; hchunks.c, hblocks.c.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from .errors import GranuleError
from .files import beginning

MAGIC = b"\x0e\x03\x13\x01"
"""The first four bytes of every HDF4 file."""

SPECIAL = 0x4000
"""Bit of a tag whose element is linked, compressed, chunked or elsewhere."""

LINKED, EXTERNAL, COMPRESSED, CHUNKED = 1, 2, 3, 5
"""First word of a special element's header."""

NOT_SPECIAL = 0x8000
"""Bit of a user's own tag, which is never special."""

LINK = 20
"""Tag of a linked block."""

UNUSED = 1
"""Tag of an empty descriptor."""

ELEMENT_LIMIT = 1 << 30
"""Bytes of the largest element that is believed; a 250 m layer of 4800 x 4800 has 92 million."""

Object = tuple[int, int]
"""Tag and reference number."""


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turns whatever a damaged file provokes into a GranuleError that names file and place."""
    try:
        yield
    except GranuleError:
        raise
    except (OSError, ValueError, struct.error, KeyError, IndexError, OverflowError) as error:
        raise GranuleError(
            f"{path}: expected a whole HDF4 file, found damage in {what} ({error}); "
            "download it again"
        ) from error


class Descriptors:
    """The open file and where each of its elements lies. To be closed, or used in ``with``."""

    def __init__(self, path: Path):
        self.path = path
        self._file = self._map = None
        with reading(path, "its descriptors"):
            self._file = path.open("rb")
            try:
                self.size = os.fstat(self._file.fileno()).st_size
                if self.size:
                    self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
                self._places = self._walk()
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Closes the file; a second call does nothing."""
        if self._map is not None:
            with suppress(BufferError):  # an array still looks at it, and closes it at its end
                self._map.close()
        if self._file is not None:
            self._file.close()
        self._map = self._file = None

    def unchanged(self) -> None:
        """Raises GranuleError where the file was cut since it was opened.

        Mapped pages that a file has lost would end the process without a word.
        """
        if self._file is None or os.fstat(self._file.fileno()).st_size < self.size:
            raise GranuleError(f"{self.path}: was cut while it was being read; download it again")

    def __enter__(self) -> Self:
        """The open file."""
        return self

    def __exit__(self, *error: object) -> None:
        """Closes the file."""
        self.close()

    def _walk(self) -> dict[Object, tuple[int, int]]:
        """Offset and length of every object that the chain of blocks describes."""
        start = self.part(0, 4) if self.size >= 4 else b""
        if start != MAGIC:
            raise GranuleError(self._no_hdf4())
        places: dict[Object, tuple[int, int]] = {}
        block, seen = 4, set[int]()
        while block:
            if block in seen:
                raise ValueError("descriptor blocks that form a ring")
            seen.add(block)
            count, following = struct.unpack(">HI", self.part(block, 6))
            table = self.part(block + 6, 12 * count)
            found = {
                (tag, ref): (offset, length)
                for tag, ref, offset, length in struct.iter_unpack(">HHII", table)
                if tag != UNUSED and offset != 0xFFFFFFFF
            }
            places |= found
            for (tag, _), (offset, _) in found.items():
                if tag & SPECIAL:
                    self._require_own(tag, offset)
            block = following
        return places

    def _require_own(self, tag: int, offset: int) -> None:
        """Raises GranuleError for an element in another file, whose path this one gives."""
        if not tag & NOT_SPECIAL and offset + 2 <= self.size:
            if struct.unpack(">H", self.part(offset, 2)) == (EXTERNAL,):
                raise GranuleError(
                    f"{self.path}: expected a granule that holds its own values, found one that "
                    "takes them from another file; download it again"
                )

    def _no_hdf4(self) -> str:
        start = bytes(self.part(0, min(512, self.size))) if self.size else b""
        return f"{self.path}: expected an HDF4 granule, found {beginning(start)}; download it again"

    def part(self, offset: int, length: int) -> memoryview:
        """``length`` bytes at ``offset``. Raises ValueError where the file ends before."""
        if offset + length > self.size or self._map is None:
            raise ValueError(f"the file ends at {self.size}, {offset + length - self.size} short")
        return memoryview(self._map)[offset : offset + length]

    def stream(self, tag: int, ref: int) -> bytes | memoryview:
        """As ``element``, but without a copy, which would cost 4 % of the decoding time."""
        if (tag, ref) not in self._places:
            return self.element(tag, ref)
        return self.part(*self._places[tag, ref])

    def special(self, tag: int, ref: int) -> bytes | None:
        """The header of a special element; None for a plain one."""
        place = self._places.get((tag | SPECIAL, ref))
        return bytes(self.part(*place)) if place else None

    def length(self, tag: int, ref: int) -> int:
        """Bytes of a plain element in the file. Raises KeyError where there is none."""
        return self._places[tag, ref][1]

    def element(self, tag: int, ref: int) -> bytes:
        """The bytes of an element, joined where they lie in linked blocks.

        Raises KeyError where there is none, ValueError for another special layout.
        """
        if (tag | SPECIAL, ref) not in self._places:
            return bytes(self.part(*self._places[tag, ref]))
        header = self.special(tag, ref) or b""
        if struct.unpack(">H", header[:2]) != (LINKED,):
            raise ValueError(f"an unknown layout of element {tag}/{ref}")
        return self._linked(header)

    def _linked(self, header: bytes) -> bytes:
        length, _, count, table = struct.unpack(">IIIH", header[2:16])
        if length > self.size:
            raise ValueError(f"linked blocks of {length} bytes in a file of {self.size}")
        parts, found, seen = [], 0, set[int]()
        while table and found < length and table not in seen:
            seen.add(table)
            table, *blocks = struct.unpack(f">{1 + count}H", self.element(LINK, table))
            for ref in filter(None, blocks):
                if found < length:
                    parts.append(self.element(LINK, ref))
                    found += len(parts[-1])
        if found < length:
            raise ValueError(f"linked blocks of {found} bytes instead of {length}")
        return b"".join(parts)[:length]
