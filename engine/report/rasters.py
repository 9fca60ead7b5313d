# SPDX-License-Identifier: Apache-2.0
"""Maps for a GIS: grades of the index as classes, and how each map of a run is to be shown."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from ..analysis.grades import GRADES, edges_of, grade
from ..sources.geotiff import Form, cog, stored_transform, window_in
from ..sources.grids import Lattice
from ..sources.rasterfiles import opened_tiff
from ..sources.virtual import virtual
from . import qgis
from .findings import Site, parts_of, read_layer
from .style import CHANGE_MAP, RSEI_MAP, grades_map, reach

SCHEME = "five"
"""The grades that are mapped."""


def for_a_gis(site: Site) -> Iterator[tuple[str, bytes]]:
    """Files that belong to the maps of an area, by their path in the run folder."""
    crs = site.crs().to_wkt()
    ramp, categories = qgis.ramp(RSEI_MAP, 0, 1), qgis.categories(GRADES[SCHEME])
    classes = qgis.classes(GRADES[SCHEME], list(_shades()))
    for epoch in site.epochs:
        yield f"rsei/{site.slug}/{epoch}.qml", ramp
        tiles = site.files("rsei", epoch)
        for path in tiles:
            base = path.relative_to(site.folder / "rsei").with_suffix("").as_posix()
            yield f"grades/{base}.tif", graded(path, crs)
            yield f"grades/{base}.tif.aux.xml", categories
            yield f"grades/{base}.qml", classes
        if tiles[0].parent.name == str(epoch):  # a file a tile: and all of them as one
            base = f"grades/{site.slug}/{epoch}"
            yield f"{base}.vrt", together(tiles).encode()
            yield f"{base}.qml", classes
    changes = {path.stem for path in (site.folder / "change" / site.slug).glob("[!.]*")}
    signed = [f"trends/{site.slug}", *(f"change/{site.slug}/{pair}" for pair in sorted(changes))]
    for base in signed:
        if parts := parts_of(site.folder / base):
            widest = reach(read_layer(parts, 1).values, 0)
            yield f"{base}.qml", qgis.ramp(CHANGE_MAP, -widest, widest)


def graded(path: Path, crs: str | None = None) -> bytes:
    """The grade of each pixel of a map of RSEI, from 1, and 0 where there is none, as a COG.

    Its coordinate system takes long to read; ``crs`` spares it to one who knows it.
    """
    place = stored_transform(path) if crs else None
    with opened_tiff(path, placed=place is None) as dataset:
        rsei, transform = dataset.read(1), place or dataset.transform
        crs = crs if place and crs else dataset.crs.to_wkt()
        tags = {k: v for k, v in dataset.tags().items() if k != "AREA_OR_POINT"}
    lattice, known = Lattice.of(crs, transform), np.isfinite(rsei)
    found = np.where(known, 1 + grade(np.where(known, rsei, 0), SCHEME), 0).astype(np.uint8)
    form = _form(tags | {"grades": SCHEME})
    return cog(found[None], lattice, lattice.window(transform, rsei.shape), form)


def together(paths: Sequence[Path]) -> str:
    """The grades of an area by tiles as one virtual raster, from the folder above theirs."""
    with opened_tiff(paths[0]) as dataset:
        lattice = Lattice.of(dataset.crs.to_wkt(), dataset.transform)
    sources = {f"{path.parent.name}/{path.name}": window_in(path, lattice) for path in paths}
    return virtual(sources, lattice, _form({}))


def _form(tags: Mapping[str, str]) -> Form:
    """What a map of grades holds, and its colours."""
    shades = ((0, 0, 0, 0), *((*map(int, shade), 255) for shade in np.rint(255 * _shades()[:, :3])))
    colours = {number: (r, g, b, a) for number, (r, g, b, a) in enumerate(shades)}
    return Form(("grade",), "uint8", 0, ("1",), tags, colours=colours)


@cache
def _shades() -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Red, green, blue and opacity of each grade, 0 to 1."""
    colours, _ = grades_map([float(edge) for edge in edges_of(SCHEME)])
    return np.asarray(colours(np.arange(len(GRADES[SCHEME]))), np.float64)
