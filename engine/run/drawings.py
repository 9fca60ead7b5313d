# SPDX-License-Identifier: Apache-2.0
"""What the tasks of stage ``report`` make; apart from them, as no other stage needs any of it."""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..report import figures, guide, stac, stac_index, vectors
from ..report.findings import Findings
from ..report.kinds import KINDS, PDF
from ..report.page import page
from ..report.rasters import for_a_gis
from ..sources.errors import InputError
from .reporting import PAGE, README, findings
from .store import Draft, Store


def draw_area(slug: str, kinds: Sequence[str], store: Store, draft: Draft) -> None:
    """Draw the figures of an area, and put beside each of its maps what a GIS is to show.

    Raises InputError for an area without any map.
    """
    found = findings(store, whole=False)
    site = next((one for one in found.sites if one.slug == slug), None)
    if site is None:
        raise InputError(f"{slug}: expected a map of at least one epoch, found none")
    folder = f"figures/{slug}"
    with quick_collections():
        names = _put(store, draft, folder, figures.of_an_area(found, site, kinds))
    for name, data in for_a_gis(site):
        store.also(draft, name, data)
    withdrawn(store, folder, figures.OF_AN_AREA, names)
    draft.payload["figures"] = sorted(names)


def draw_run(kinds: Sequence[str], store: Store, draft: Draft) -> None:
    """Draw each figure that the run as a whole has reason for."""
    found = findings(store, whole=False)
    with quick_collections():
        names = _put(store, draft, "figures", figures.of_the_run(found, kinds))
    withdrawn(store, "figures", figures.OF_THE_RUN, names)
    draft.payload["figures"] = sorted(names)


def describe(store: Store, draft: Draft) -> None:
    """Describe each raster, and write each layer of places that there is reason for."""
    found = findings(store, whole=False)
    if found.sites:
        _catalogue(store, found)
    for name, layer in vectors.files(found):
        if layer is not None:
            store.also(draft, name, layer)
        elif (store.folder / name).is_file():
            store.disk.remove(store.folder / name)


def _catalogue(store: Store, found: Findings) -> None:
    stored = {
        name: stac.Committed(one.sha256, one.size)
        for stage in ("composite", "write")
        for marker in store.markers(stage)
        for name, one in marker.files.items()
    }
    files = stac.catalogue(found, stored)
    files["stac/items.parquet"] = stac_index.index(files)
    store.put_all({store.folder / name: data for name, data in files.items()})


def write_page(store: Store, draft: Draft) -> None:
    """Write the page and the README, with whatever figures there are."""
    found = findings(store)
    draft.paths[PAGE].write_bytes(page(found))
    draft.paths[README].write_bytes(guide.readme(found))
    draft.payload["areas"] = [site.slug for site in found.sites]


@contextmanager
def quick_collections() -> Iterator[None]:
    """Leave what is there now to itself when Python looks for objects that nobody holds.

    A figure is made of many thousands, so it looks often: among them and all that was imported it
    took a sixth of the time.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()  # of the figures alone: later they would be among all the rest, and stay
        gc.unfreeze()


def _put(store: Store, draft: Draft, folder: str, drawings: Iterable[figures.Drawn]) -> set[str]:
    """Write the files of figures, those that the draft awaits to it; names of the figures."""
    names, others = set(), {}
    for drawn in drawings:
        names.add(drawn.sketch.name)
        for kind, data in drawn.files.items():
            name = f"{folder}/{drawn.sketch.name}.{kind}"
            if name in draft.paths:
                draft.paths[name].write_bytes(data)
            else:
                others[store.folder / name] = data
    store.put_all(others)
    return names


def withdrawn(
    store: Store, folder: str, sketches: Sequence[figures.Sketch], kept: set[str]
) -> None:
    """Remove figures of an earlier run that this one has no reason to draw."""
    for sketch in sketches:
        for kind in (*KINDS, PDF) if sketch.name not in kept else ():
            path = store.folder / folder / f"{sketch.name}.{kind}"
            if path.is_file():
                store.disk.remove(path)
