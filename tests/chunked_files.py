# SPDX-License-Identifier: Apache-2.0
"""HDF4 arrays in chunks, as NASA stores its granules; pyhdf reads these but cannot write them."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsei.engine.sources.hdf4 import HDF4File
from rsei.engine.sources.sds import DATA, DIMENSIONS, NUMERIC_DATA_GROUP, STREAM

FILL = bytes([9, 8, 7, 6])
"""Bytes of a pixel of a chunk that is not there."""

CHUNK, SPECIAL, VDATA_HEADER, VDATA = 61, 0x4000, 1962, 1963


class Appender:
    """Adds elements to a file, and their descriptors in a block at its end."""

    def __init__(self, path: Path):
        self.path = path
        self.data = bytearray(path.read_bytes())
        self.added: list[tuple[int, int, int, int]] = []

    def add(self, tag: int, ref: int, content: bytes) -> None:
        self.added.append((tag, ref, len(self.data), len(content)))
        self.data += content

    def blocks(self) -> list[int]:
        found = [4]
        while following := struct.unpack_from(">I", self.data, found[-1] + 2)[0]:
            found.append(following)
        return found

    def remove(self, tag: int, ref: int) -> None:
        for block in self.blocks():
            for k in range(struct.unpack_from(">H", self.data, block)[0]):
                at = block + 6 + 12 * k
                if struct.unpack_from(">HH", self.data, at) == (tag, ref):
                    struct.pack_into(">HHII", self.data, at, 1, 0, 0xFFFFFFFF, 0xFFFFFFFF)

    def save(self) -> None:
        last = self.blocks()[-1]
        for start in range(0, len(self.added), 60_000):
            part = self.added[start : start + 60_000]
            struct.pack_into(">I", self.data, last + 2, len(self.data))
            last = len(self.data)
            self.data += struct.pack(">HI", len(part), 0)
            self.data += b"".join(struct.pack(">HHII", *one) for one in part)
        self.path.write_bytes(self.data)


def rechunk(
    path: Path,
    shape: tuple[int, int],
    level: int = 6,
    keep: Callable[[int, int], bool] = lambda row, column: True,
    plain: bool = False,
) -> Path:
    """Stores every SDS of a file that pyhdf wrote in chunks of ``shape``; ``keep`` drops some.

    ``plain`` chunks are not deflated.
    """
    file = Appender(path)
    ref = 20_000
    with HDF4File(path) as source:
        for dataset in source.datasets.values():
            group = next(r for tag, r in dataset.group.members if tag == NUMERIC_DATA_GROUP)
            parts = dict(struct.iter_unpack(">HH", source.element(NUMERIC_DATA_GROUP, group)))
            assert DIMENSIONS in parts
            values = source.whole(dataset.name)
            records = []
            for row, column, chunk in _chunks(values, shape):
                if keep(row, column):
                    ref += 1
                    _add_chunk(file, ref, chunk, None if plain else level)
                    records.append(struct.pack(">iiHH", row, column, CHUNK, ref))
            ref += 1
            _add_table(file, ref, records)
            header = _header(values, shape, ref, plain)
            for old in (DATA, DATA | SPECIAL):
                file.remove(old, parts[DATA])
            file.add(DATA | SPECIAL, parts[DATA], header)
    file.save()
    return path


def _chunks(values: NDArray[Any], shape: tuple[int, int]) -> list[tuple[int, int, bytes]]:
    found = []
    for row in range(-(-values.shape[0] // shape[0])):
        for column in range(-(-values.shape[1] // shape[1])):
            chunk = np.full(shape, 77, values.dtype)  # what stands in the margin must not matter
            part = values[row * shape[0] :, column * shape[1] :][: shape[0], : shape[1]]
            chunk[: part.shape[0], : part.shape[1]] = part
            found.append((row, column, chunk.tobytes()))
    return found


def _add_chunk(file: Appender, ref: int, chunk: bytes, level: int | None) -> None:
    if level is None:
        file.add(CHUNK, ref, chunk)
        return
    header = struct.pack(">HHIHHHH", 3, 0, len(chunk), ref, 0, 4, level)
    file.add(CHUNK | SPECIAL, ref, header)
    file.add(STREAM, ref, zlib.compress(chunk, level))


def _add_table(file: Appender, ref: int, records: list[bytes]) -> None:
    def text(value: str) -> bytes:
        return struct.pack(">H", len(value)) + value.encode()

    head = struct.pack(">HIHH", 0, len(records), 12, 3)
    head += struct.pack(">12H", 24, 23, 23, 8, 2, 2, 0, 8, 10, 2, 1, 1)
    head += text("origin") + text("chk_tag") + text("chk_ref")
    head += text(f"_HDF_CHK_TBL_{ref}") + text("_HDF_CHK_TBL_0")
    head += bytes([0, 0, 0, 0, 0, 3, 0, 0, 0, 3, 0, 0, 0])
    file.add(VDATA_HEADER, ref, head)
    file.add(VDATA, ref, b"".join(records))


def _header(values: NDArray[Any], shape: tuple[int, int], table: int, plain: bool) -> bytes:
    size = values.dtype.itemsize
    body = struct.pack(">BIIII", 0, 0 if plain else 3, values.size, shape[0] * shape[1], size)
    body += struct.pack(">HHHHI", VDATA_HEADER, table, 1, 0, 2)
    for whole, part in zip(values.shape, shape):
        body += struct.pack(">III", 0, whole, part)
    body += struct.pack(">I", size) + FILL[:size]
    coder = b"" if plain else struct.pack(">HIHHH", 3, 6, 0, 4, 6)
    return struct.pack(">HI", 5, len(body)) + body + coder
