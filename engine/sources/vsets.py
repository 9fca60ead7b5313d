# SPDX-License-Identifier: Apache-2.0
"""The Vset interface of an HDF4 file: its Vgroups and Vdatas, read without its library.

Source: HDF4 Specification and Developer's Guide, chapter 9; vg.c.
"""

import struct
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from .descriptors import ELEMENT_LIMIT, Descriptors, Object

VGROUP, VDATA_HEADER, VDATA = 1965, 1962, 1963
"""Tags of its objects."""

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


class Vsets(Descriptors):
    """The open file, its Vgroups and its Vdatas. To be closed, or used in ``with``."""

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
