# SPDX-License-Identifier: Apache-2.0
"""The objects of an HDF4 file: its data descriptors, Vgroups and Vdatas, read without its library.

HDF4's C library is not thread safe and pyhdf holds the interpreter's lock while it inflates, so the
descriptors are read here and the streams they point at are inflated elsewhere, in threads. Only
what MODIS land granules are made of is understood; the rest is left to pyhdf.
Source: HDF4 Specification and Developer's Guide, chapters 2, 9 and 10; hchunks.c, hblocks.c, vg.c.
"""

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

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

LINK, VGROUP, VDATA_HEADER, VDATA = 20, 1965, 1962, 1963
"""Tags of a linked block, and of the objects of the Vset interface."""

UNUSED = 1
"""Tag of an empty descriptor."""

ELEMENT_LIMIT = 1 << 30
"""Bytes of the largest element that is believed; a 250 m layer of 4800 x 4800 has 92 million."""

NUMBERS = {
    3: "u1", 4: "S1", 5: "f4", 6: "f8", 20: "i1", 21: "u1", 22: "i2", 23: "u2", 24: "i4", 25: "u4",
    26: "i8", 27: "u8",
}  # fmt: skip
"""HDF4's number types, without byte order."""

LITTLE_ENDIAN, NATIVE = 0x4000, 0x1000
"""Bits of a number type: stored in Intel's byte order, or in the writing machine's."""

LIKE = 1024
"""Descriptions that are kept: those of all granules of a product are alike, byte by byte."""

VDATA_START = struct.Struct(">HIHH")
"""Interlace, records, bytes of a record and fields of a Vdata."""

Object = tuple[int, int]
"""Tag and reference number."""

Value = str | int | float | list[int] | list[float]
"""An attribute's value."""


@cache
def number_type(code: int) -> np.dtype[np.generic]:
    """The dtype of an HDF4 number type, big-endian unless it says otherwise.

    >>> number_type(22), number_type(25 | LITTLE_ENDIAN)
    (dtype('>i2'), dtype('uint32'))
    """
    if code & NATIVE or code & ~LITTLE_ENDIAN not in NUMBERS:
        raise ValueError(f"number type {code}")
    return np.dtype(("<" if code & LITTLE_ENDIAN else ">") + NUMBERS[code & ~LITTLE_ENDIAN])


@dataclass(frozen=True)
class Vgroup:
    """A named list of objects."""

    name: str
    """Its own name: of a variable, a dimension or a grid."""

    kind: str
    """Its class, such as ``Var0.0``."""

    members: tuple[Object, ...]
    """What it holds."""


@dataclass(frozen=True)
class Vdata:
    """A table; an attribute is one of a single field and record."""

    name: str
    """Its own name."""

    kind: str
    """Its class, such as ``Attr0.0``."""

    records: int
    """Number of records."""

    size: int
    """Bytes of a record."""

    types: tuple[int, ...]
    """HDF4 number type of each field."""

    orders: tuple[int, ...]
    """Values in each field."""


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

    @cached_property
    def vgroups(self) -> dict[int, Vgroup]:
        """Every Vgroup by its reference number."""
        refs = [ref for tag, ref in self._places if tag == VGROUP]
        return {ref: _vgroup(self.element(VGROUP, ref)) for ref in refs}

    def vdata(self, ref: int) -> Vdata:
        """The description of a Vdata."""
        return _vdata(self.element(VDATA_HEADER, ref))

    def records(self, ref: int) -> NDArray[np.uint8]:
        """The bytes of a Vdata, (records, size)."""
        table = self.vdata(ref)
        data = np.frombuffer(self.element(VDATA, ref), np.uint8)
        return data[: table.records * table.size].reshape(table.records, table.size)

    def attribute(self, ref: int) -> tuple[str, Value] | None:
        """Name and value of a Vdata that is an attribute; None for another one."""
        table = self.vdata(ref)
        if table.kind != "Attr0.0" or len(table.types) != 1:
            return None
        data = self.element(VDATA, ref)[: table.records * table.size]
        dtype = number_type(table.types[0])
        if dtype.kind == "S" or table.types[0] == 3:
            return table.name, data.decode("latin-1").rstrip("\0")
        values = np.frombuffer(data, dtype).tolist()
        return table.name, values[0] if len(values) == 1 else values


def _text(data: bytes, at: int) -> tuple[str, int]:
    """A string with its length before it, and where the next thing starts."""
    start = at + 2
    end = start + (data[at] << 8 | data[at + 1])
    if end > len(data):
        raise ValueError("a name that leaves its element")
    return data[start:end].decode("latin-1").rstrip("\0"), end


@lru_cache(maxsize=LIKE)
def _vgroup(data: bytes) -> Vgroup:
    (count,) = struct.unpack_from(">H", data)
    tags = struct.unpack_from(f">{count}H", data, 2)
    refs = struct.unpack_from(f">{count}H", data, 2 + 2 * count)
    name, at = _text(data, 2 + 4 * count)
    kind, _ = _text(data, at)
    return Vgroup(name, kind, tuple(zip(tags, refs)))


@lru_cache(maxsize=LIKE)
def _vdata(data: bytes) -> Vdata:
    _, records, size, count = VDATA_START.unpack_from(data)
    table = struct.unpack_from(f">{4 * count}H", data, 10)  # of each field one after the other
    types, orders = table[:count], table[3 * count :]
    at = 10 + 8 * count
    for _ in range(count):
        _, at = _text(data, at)
    name, at = _text(data, at)
    kind, _ = _text(data, at)
    if records * size > ELEMENT_LIMIT:
        raise ValueError(f"a table of {records} x {size} bytes")
    return Vdata(name, kind, records, size, types, orders)
