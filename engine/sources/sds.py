# SPDX-License-Identifier: Apache-2.0
"""The scientific data sets of an HDF4 file: names, shapes, types, and how their values are stored.

Source: HDF4 Specification and Developer's Guide, chapters 9 and 10; hcomp.c, hchunks.c.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from .descriptors import CHUNKED, COMPRESSED, ELEMENT_LIMIT, Descriptors, Object
from .vsets import LIKE, VDATA_HEADER, Vgroup, Vsets, number_type

NUMERIC_DATA_GROUP, DIMENSIONS, DATA, STREAM = 720, 701, 702, 40
"""Tags of an SDS: the list of its parts, its shape, its values, and compressed values."""

DEFLATE = 4
"""HDF4's code of the deflate coder."""

IEEE, INTEL = 1, 4
"""Last byte of a number type element: big- and little-endian."""

RANK_LIMIT = 32
"""Dimensions that HDF4 allows."""


@dataclass(frozen=True)
class Stored:
    """Values in one piece: plain, or a deflate stream."""

    element: Object
    """Where its bytes lie."""

    size: int
    """Bytes once inflated."""

    deflated: bool
    """Whether it is a deflate stream."""


@dataclass(frozen=True)
class Chunks:
    """Values in a grid of pieces of one shape; those at the edges are padded to it."""

    shape: tuple[int, ...]
    """Shape of one piece."""

    table: int
    """Reference number of the Vdata that lists them."""


@dataclass(frozen=True)
class Dataset:
    """One SDS: what it is, and how it is stored."""

    name: str
    """Its name, such as ``sur_refl_b01``."""

    shape: tuple[int, ...]
    """Length of each dimension."""

    dtype: np.dtype[Any]
    """Type and byte order in the file."""

    layout: Stored | Chunks | None
    """Where its values lie; None where only the HDF4 library knows."""

    group: Vgroup
    """Its Vgroup, which leads to its attributes."""

    @property
    def size(self) -> int:
        """Bytes of all its values."""
        return math.prod(self.shape) * self.dtype.itemsize


def datasets(file: Vsets) -> Mapping[str, Dataset]:
    """Every SDS by name; of several of one name, the first, as the HDF4 library does."""
    found: dict[str, Dataset] = {}
    for group in file.vgroups.values():
        parts = [ref for tag, ref in group.members if tag == NUMERIC_DATA_GROUP]
        if group.kind == "Var0.0" and parts and group.name not in found:
            found[group.name] = _dataset(file, group, parts[0])
    return found


def _dataset(file: Descriptors, group: Vgroup, ref: int) -> Dataset:
    parts = dict(struct.iter_unpack(">HH", file.element(NUMERIC_DATA_GROUP, ref)))
    shape, dtype = _form(file, parts[DIMENSIONS])
    size = math.prod(shape) * dtype.itemsize
    if size > ELEMENT_LIMIT:
        raise ValueError(f"{group.name} of {size} bytes")
    value = (DATA, parts.get(DATA, 0))
    found = layout(file, value, shape, dtype) if DATA in parts else None
    return Dataset(group.name, shape, dtype, found, group)


def _form(file: Descriptors, ref: int) -> tuple[tuple[int, ...], np.dtype[Any]]:
    shape, tag, number = _dimensions(file.element(DIMENSIONS, ref))
    _, code, _, order = file.element(tag, number)[:4]
    if order not in (IEEE, INTEL):
        raise ValueError(f"byte order {order}")
    return shape, number_type(code).newbyteorder(">" if order == IEEE else "<")


@lru_cache(maxsize=LIKE)
def _dimensions(data: bytes) -> tuple[tuple[int, ...], int, int]:
    """Shape of an SDS, and tag and reference number of its type."""
    (rank,) = struct.unpack_from(">H", data)
    if not 0 < rank <= RANK_LIMIT:
        raise ValueError(f"{rank} dimensions")
    tag, number = struct.unpack_from(">HH", data, 2 + 4 * rank)
    return struct.unpack_from(f">{rank}I", data, 2), tag, number


def layout(
    file: Descriptors, value: Object, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> Stored | Chunks | None:
    """How an array lies in the file; None for a layout that only the HDF4 library knows."""
    size = math.prod(shape) * dtype.itemsize
    header = file.special(*value)
    if header is None:
        return Stored(value, size, deflated=False) if file.length(*value) == size else None
    (kind,) = struct.unpack_from(">H", header)
    if kind == COMPRESSED:
        _, length, stream, model, coder = struct.unpack_from(">HIHHH", header, 2)
        known = length == size and model == 0 and coder == DEFLATE
        return Stored((STREAM, stream), size, deflated=True) if known else None
    if kind == CHUNKED:
        item, tag, table, _, _, rank = struct.unpack_from(">IHHHHI", header, 19)
        if (item, tag, rank) != (dtype.itemsize, VDATA_HEADER, len(shape)):
            return None
        lengths = struct.unpack_from(f">{3 * rank}I", header, 35)
        whole, part = lengths[1::3], lengths[2::3]
        return Chunks(part, table) if whole == shape and all(part) else None
    return None
