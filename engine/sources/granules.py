# SPDX-License-Identifier: Apache-2.0
"""Granules of a folder: what there is, where it lies, and its pixels.

Pixels are stored integers in the product table's own types; they may be big-endian, as HDF4 stores
them.
"""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...kernels.launch import cores
from . import eos, layerfiles, netcdf
from .catalogues import ROLES, BadGranule, Catalogue, Granule
from .errors import GranuleError, InputError
from .grids import Window
from .headers import Headers, state_of
from .headings import read_elsewhere
from .lattices import Lattices
from .located import Located, Name, Source, name_of
from .locating import each_located
from .products import Layer, products

__all__ = ["BadGranule", "Catalogue", "Granule", "catalogue", "read"]

LOG = logging.getLogger(__name__)

MANY = 3000
"""Headers for which a process of its own is worth its start, a second."""


def files_below(folder: Path) -> Iterator[Path]:
    """Every file below ``folder``, links followed, each once, in the order of names.

    Raises GranuleError where it is no folder, or cannot be listed.
    """
    if not folder.is_dir():
        raise GranuleError(f"{folder}: expected a folder of granules, found none; check its path")

    def fail(error: OSError) -> None:
        raise GranuleError(f"{error.filename}: cannot be listed: {error.strerror}") from error

    places, names = {_identity(folder)}, set[tuple[str, str]]()
    for place, folders, files in os.walk(folder, onerror=fail, followlinks=True):
        inner = {name: _identity(Path(place, name)) for name in sorted(folders)}
        folders[:] = [name for name, identity in inner.items() if identity not in places]
        places |= set(inner.values())
        here = os.path.realpath(place)
        for name in sorted(files):
            path = Path(place, name)
            # A store may hold one content under several names: those are several files.
            key = os.path.realpath(path) if path.is_symlink() else os.path.join(here, name), name
            if path.is_file() and key not in names:
                names.add(key)
                yield path


def _identity(folder: Path) -> tuple[int, int]:
    """What tells a folder from others, by whatever link it was reached."""
    status = folder.stat()
    return status.st_dev, status.st_ino


def catalogue(
    folder: Path,
    collection: str = "061",
    mixed_collections: bool = False,
    headers: Headers | None = None,
) -> Catalogue:
    """The granules below ``folder``; no pixel is read, and no header that ``headers`` knows.

    Of granules of one product, tile and date the newest production counts, one of ``collection``
    first. Raises GranuleError where there is no such folder, and for another collection unless
    ``mixed_collections`` allows it.
    """
    skipped: list[Path] = []
    bad: list[BadGranule] = []
    found: list[Located] = []
    named: list[tuple[Path, Name]] = []
    for path in files_below(folder):
        name = name_of(path.name)
        if name and name.product in products():
            named.append((path, name))
        else:
            skipped.append(path)
    for (path, name), placed in zip(named, _remembered(named, headers or Headers(folder))):
        if isinstance(placed, BadGranule) and products()[name.product].role in ROLES:
            bad.append(placed)
        elif isinstance(placed, BadGranule) or not placed:
            skipped.append(path)
        else:
            found += placed
    if not mixed_collections:
        _one_collection(found, collection)
    replaced: list[tuple[Path, Path]] = []
    granules = _newest(_granules(found, bad, replaced), collection, replaced)
    return Catalogue(tuple(granules), tuple(skipped), tuple(replaced), tuple(bad))


def _remembered(
    named: Sequence[tuple[Path, Name]], headers: Headers
) -> Iterator[list[Located] | BadGranule]:
    """What each file holds, in their order: from ``headers`` if it is there, else read and kept."""
    states = [state_of(path) for path, _ in named]
    found: list[list[Located] | BadGranule | None]
    found = [headers.find(*one, state) for one, state in zip(named, states)]

    def read_here(places: Sequence[int]) -> None:
        for place, placed in zip(places, each_located([named[place] for place in places])):
            found[place] = placed
            if not isinstance(placed, BadGranule):
                headers.keep(named[place][0], states[place], placed)

    unread = [place for place, one in enumerate(found) if one is None]
    count = min(cores(), 1 + len(unread) // MANY)
    shares = [unread[first::count] for first in range(count)]
    if count > 1:
        with ThreadPoolExecutor(count) as pool:
            jobs = [
                pool.submit(read_elsewhere, [named[place][0] for place in share], headers)
                for share in shares[1:]
            ]
            read_here(shares[0])
        for job in jobs:
            headers.learn(job.result())
        for place in (place for share in shares[1:] for place in share):
            found[place] = headers.find(*named[place], states[place])
    read_here([place for place, one in enumerate(found) if one is None])
    return (one for one in found if one is not None)


def _one_collection(found: Sequence[Located], collection: str) -> None:
    """Raises GranuleError where granules that a study uses are of another collection."""
    used = [one for one in found if products()[one.name.product].role in ROLES]
    count = Counter(one.name.collection for one in used if one.name.collection)
    for other in sorted(count.keys() - {collection}):
        example = next(one for one in used if one.name.collection == other).sources[0].path
        raise GranuleError(
            f"expected granules of collection {collection}, found {count[other]} of {other}, such "
            f"as {example}; remove them, or set granules.collection, or allow "
            "granules.mixed_collections"
        )


def _granules(
    found: Sequence[Located], bad: list[BadGranule], replaced: list[tuple[Path, Path]]
) -> list[Granule]:
    """Granules made of the layers that share product, date, grid and delivery."""
    lattices = Lattices(found)
    groups: dict[tuple[Any, ...], dict[str, Source]] = defaultdict(dict)
    for one in found:
        path = one.sources[0].path
        try:
            place = lattices.place(one)
        except InputError as error:
            bad.append(BadGranule(path, f"{path}: {error}"))
            continue
        delivery = (one.name.collection or "", one.name.produced, one.name.request)
        layers = groups[one.name.product, one.date, place, *delivery]
        for source in one.sources:
            if layers.setdefault(source.layer, source) is not source:
                replaced.append((source.path, layers[source.layer].path))
    return [
        Granule(
            product=product,
            collection=collection,
            tile=place.tile,
            date=day,
            produced=produced,
            lattice=place.lattice,
            window=place.window,
            sources=tuple(layers.values()),
            fine=place.fine,
        )
        for (product, day, place, collection, produced, _), layers in groups.items()
    ]


def _newest(
    granules: Sequence[Granule], collection: str, replaced: list[tuple[Path, Path]]
) -> list[Granule]:
    """The granules to be read, sorted: of those that share pixels, the first in preference."""

    def preference(one: Granule) -> tuple[bool, str, int]:
        return one.collection == collection, one.produced or "", len(one.sources)

    chosen: dict[tuple[str, str, date], list[Granule]] = defaultdict(list)
    for one in sorted(granules, key=preference, reverse=True):
        rivals = chosen[one.product, one.tile, one.date]
        winner = next((rival for rival in rivals if (rival.window & one.window).size), None)
        if winner is None:
            rivals.append(one)
            continue
        LOG.info("%s is replaced by %s", one.files[0], winner.files[0])
        replaced += [(path, winner.files[0]) for path in one.files if path not in winner.files]
    return [one for key in sorted(chosen) for one in sorted(chosen[key], key=lambda g: g.window)]


def read(
    granule: Granule,
    names: Sequence[str],
    window: Window,
    out: Mapping[str, NDArray[Any]] | None = None,
    threads: int | None = None,
) -> dict[str, NDArray[Any]]:
    """Stored integers of layers, each (h, w) of ``window`` of the granule's lattice.

    They have the type of the product table, big-endian where the file is, and the layer's fill
    where there is no granule. Writes into ``out[name]`` where it is given. ``threads`` inflate the
    layers of an HDF4 file; None takes as many as there are cores.
    Raises GranuleError, naming file and layer, for damage, a missing layer, and tags that
    contradict the product table.
    """
    product = products()[granule.product]
    layers = {name: product.layer(name) for name in names}
    sources = {name: granule.source(name) for name in names}
    arrays = {
        name: _array(layer, sources[name], window, (out or {}).get(name))
        for name, layer in layers.items()
    }
    shared = granule.window & window
    if shared != window:
        for name, array in arrays.items():
            array[...] = layers[name].outside
    if shared.size:
        rows, columns = shared.slices(window)
        top, left = shared.top - granule.window.top, shared.left - granule.window.left
        inner = Window(top, left, *shared.shape)
        parts = [(sources[n], layers[n], arrays[n][rows, columns]) for n in dict.fromkeys(names)]
        _read(parts, inner, threads)
    return arrays


def _array(
    layer: Layer, source: Source, window: Window, given: NDArray[Any] | None
) -> NDArray[Any]:
    """The array to be filled: the one given, or a new one in the file's byte order."""
    if given is None:
        dtype = np.dtype(layer.dtype)
        hdf4 = source.format == "hdf4"
        return np.empty(window.shape, dtype.newbyteorder(">") if hdf4 else dtype)
    if given.dtype.newbyteorder("=") != layer.dtype or given.shape != window.shape:
        raise TypeError(
            f"expected {layer.dtype} {window.shape} for {layer.name}, "
            f"found {given.dtype} {given.shape}"
        )
    return given


def _read(
    parts: Sequence[tuple[Source, Layer, NDArray[Any]]], window: Window, threads: int | None
) -> None:
    together: dict[Path, list[tuple[Source, Layer, NDArray[Any]]]] = defaultdict(list)
    for source, layer, array in parts:
        if source.format == "hdf4":
            together[source.path].append((source, layer, array))
        elif source.format == "geotiff":
            layerfiles.read(source, layer, window, array)
        else:
            netcdf.read(source, layer, window, array)
    for several in together.values():
        eos.read(several, window, threads)
