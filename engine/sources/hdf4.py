# SPDX-License-Identifier: Apache-2.0
"""Layers of HDF4 granules, inflated in threads; the HDF4 library reads what is laid out otherwise.

An SDS is one deflate stream, a grid of them (chunks), or plain bytes. Its arrays stay big-endian,
as stored: swapping is free in the kernels and would cost a pass here. libdeflate
inflates a layer 2.6 times as fast as pyhdf on one core (benchmarks/bench_decode.py) and lets other
threads run meanwhile, which pyhdf does not.
"""

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from ...kernels.launch import cores
from .descriptors import ELEMENT_LIMIT, SPECIAL, reading
from .errors import GranuleError
from .grids import Window
from .hdf4_library import LIBRARY
from .sds import Chunks, Dataset, Stored, datasets, layout
from .vsets import VDATA_HEADER, Value, Vgroup, Vsets

EXPANSION = 1032
"""Deflate cannot make more bytes than this from one. Source: zlib, technical details."""


class HDF4File(Vsets):
    """An open HDF4 file: attributes and arrays by name. Reading is safe from several threads."""

    def __init__(self, path: Path):
        super().__init__(path)
        try:
            with reading(path, "its table of contents"):
                self.datasets: Mapping[str, Dataset] = datasets(self)
        except BaseException:
            self.close()
            raise

    @cached_property
    def attributes(self) -> dict[str, Value]:
        """The file's own attributes by name."""
        with reading(self.path, "its attributes"):
            groups = [group for group in self.vgroups.values() if group.kind == "CDF0.0"]
            return self._attributes(groups[0]) if groups else {}

    def tags(self, name: str) -> dict[str, Value]:
        """The attributes of an SDS by name."""
        with reading(self.path, f"the attributes of {name}"):
            return self._attributes(self.dataset(name).group)

    def _attributes(self, group: Vgroup) -> dict[str, Value]:
        tables = (ref for tag, ref in group.members if tag == VDATA_HEADER)
        return dict(filter(None, map(self.attribute, tables)))

    def dataset(self, name: str) -> Dataset:
        """The SDS of this name. Raises GranuleError where there is none."""
        if name not in self.datasets:
            found = ", ".join(self.datasets) or "none"
            raise GranuleError(f"{self.path}: expected a layer {name}, found {found}")
        return self.datasets[name]

    def read(self, name: str, window: Window, out: NDArray[Any]) -> None:
        """Writes the stored values of part of a two-dimensional SDS into ``out``, (h, w).

        Raises GranuleError, naming file and layer, for a missing layer or a damaged stream.
        """
        dataset = self.dataset(name)
        if len(dataset.shape) != 2:
            raise GranuleError(
                f"{self.path}: expected rows and columns in {name}, found shape {dataset.shape}"
            )
        self.unchanged()
        with reading(self.path, name):
            pieces = self._pieces(dataset, window)
            if pieces is None:
                out[...] = self._library(dataset, (window.top, window.left), window.shape)
                return
            for piece, stored in pieces:
                shared = piece & window
                place = out[shared.slices(window)]
                if shared == piece and place.dtype == dataset.dtype and place.flags.c_contiguous:
                    _unpack(self._packed(stored), stored, place)  # spares a copy
                else:
                    place[...] = self._array(stored, piece.shape, dataset)[shared.slices(piece)]

    def whole(self, name: str) -> NDArray[Any]:
        """Stored values of an SDS of any number of dimensions. Raises GranuleError as ``read``."""
        dataset = self.dataset(name)
        if len(dataset.shape) == 2:
            out = np.empty(dataset.shape, dataset.dtype)
            self.read(name, Window(0, 0, *out.shape), out)
            return out
        with reading(self.path, name):
            if isinstance(dataset.layout, Stored):
                return self._array(dataset.layout, dataset.shape, dataset)
            return self._library(dataset, (0,) * len(dataset.shape), dataset.shape)

    def _pieces(self, dataset: Dataset, window: Window) -> list[tuple[Window, Stored]] | None:
        """What together holds all of ``window``, each with its place; None where it is foreign."""
        if isinstance(dataset.layout, Stored):
            return [(Window(0, 0, *dataset.shape), dataset.layout)]
        return self._chunks(dataset, dataset.layout, window) if dataset.layout else None

    def _chunks(
        self, dataset: Dataset, chunks: Chunks, window: Window
    ) -> list[tuple[Window, Stored]] | None:
        """The chunks that have pixels of ``window``; None where any is missing or foreign.

        A missing chunk is all fill, and the HDF4 library knows its fill.
        """
        records = self.records(chunks.table)
        if records.shape[1] != 12:
            raise ValueError(f"chunk records of {records.shape[1]} bytes instead of 12")
        origins = np.ascontiguousarray(records[:, :8]).view(">i4").astype(np.int64) * chunks.shape
        keys = np.ascontiguousarray(records[:, 8:]).view(">u2").astype(np.int64)
        if (origins < 0).any() or (origins >= dataset.shape).any():
            raise ValueError("a chunk outside the array")
        if len(np.unique(origins, axis=0)) != len(origins):
            raise ValueError("a chunk listed twice")
        if len(origins) != math.prod(-(-a // b) for a, b in zip(dataset.shape, chunks.shape)):
            return None
        before = (origins < (window.bottom, window.right)).all(axis=1)
        wanted = before & (origins + chunks.shape > (window.top, window.left)).all(axis=1)
        found = []
        for corner, (tag, ref) in zip(origins[wanted].tolist(), keys[wanted].tolist()):
            stored = layout(self, (tag & ~SPECIAL, ref), chunks.shape, dataset.dtype)
            if not isinstance(stored, Stored):
                return None
            found.append((Window(*corner, *chunks.shape), stored))
        return found

    def _array(self, stored: Stored, shape: tuple[int, ...], dataset: Dataset) -> NDArray[Any]:
        data = self._packed(stored)
        out = np.empty(shape, dataset.dtype)
        _unpack(data, stored, out)
        return out

    def _packed(self, stored: Stored) -> bytes | memoryview:
        """The bytes of a piece as they lie in the file, checked for what they can hold."""
        data = self.stream(*stored.element)
        limit = min(EXPANSION * (len(data) + 1), ELEMENT_LIMIT) if stored.deflated else len(data)
        if stored.size > limit:
            raise ValueError(f"{stored.size} bytes declared in a piece of {len(data)}")
        return data

    def _library(
        self, dataset: Dataset, start: tuple[int, ...], count: tuple[int, ...]
    ) -> NDArray[Any]:
        """What the HDF4 library reads, for layouts that are not understood here."""
        return LIBRARY.read(self.path, dataset.name, start, count)


def _unpack(data: bytes | memoryview, stored: Stored, out: NDArray[Any]) -> None:
    """Write all of a piece into ``out``, contiguous, of its size. Raises ValueError for damage."""
    room = out.reshape(-1).view(np.uint8)
    if stored.deflated:
        found = _inflate(data, room)
    else:
        found = len(data)
        room[:] = np.frombuffer(data, np.uint8)[: len(room)]
    if found != len(room):
        raise ValueError(f"{found} bytes instead of {len(room)}")


def _inflate(data: bytes | memoryview, room: NDArray[np.uint8]) -> int:
    """Write the bytes of a zlib stream into ``room``, its checksum verified; how many there are.

    Raises ValueError for a damaged stream, and for one of more bytes.
    """
    try:
        return len(imagecodecs.deflate_decode(data, out=room))
    except imagecodecs.DeflateError as error:
        raise ValueError(f"a deflate stream that is not whole: {error}") from error


@dataclass(frozen=True)
class Request:
    """A part of a layer, and where it is wanted."""

    name: str
    """Name of the SDS."""

    window: Window
    """Rows and columns of the SDS."""

    out: NDArray[Any]
    """Array of that shape; its type may differ from the stored one in byte order alone."""


def read_layers(file: HDF4File, requests: Sequence[Request], threads: int | None = None) -> None:
    """Reads several layers at once, in ``threads`` (None: as many as there are cores).

    Raises GranuleError as ``HDF4File.read``.
    """

    def read(request: Request) -> None:
        file.read(request.name, request.window, request.out)

    threads = threads or cores()
    if threads == 1 or len(requests) < 2:
        for request in requests:
            read(request)
    else:
        jobs = [_pool(threads).submit(read, request) for request in requests]
        wait(jobs)  # all of them: none may read on after the file is closed
        for job in jobs:
            job.result()


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Threads that inflate; kept, because starting them costs as much as a small layer."""
    return ThreadPoolExecutor(threads, "inflate")
