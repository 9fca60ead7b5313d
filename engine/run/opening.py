# SPDX-License-Identifier: Apache-2.0
"""Open the results of a run as one labelled data set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pyproj
import rasterio
import xarray as xr
from numpy.typing import NDArray

from ..report.findings import Site
from ..sources.errors import StudyError
from ..sources.geotiff import read_geotiff, window_in
from ..sources.grids import Lattice, Window
from ..sources.rasterfiles import opened_tiff
from .reporting import findings
from .store import Store

VARIABLES: Mapping[str, tuple[str, int, str, str]] = {
    "rsei": ("rsei", 1, "remote sensing ecological index", "1"),
    "ndvi": ("indicators", 1, "normalised difference vegetation index", "1"),
    "wet": ("indicators", 2, "wetness, tasselled cap", "1"),
    "ndbsi": ("indicators", 3, "dryness: normalised difference built-up and soil index", "1"),
    "lst": ("indicators", 4, "heat: land surface temperature", "K"),
    "mndwi": ("indicators", 5, "modified normalised difference water index", "1"),
}
"""Variables: folder and band they lie in, long name, and unit."""

STANDARD_NAMES: Mapping[str, str] = {
    "ndvi": "normalized_difference_vegetation_index",
    "lst": "surface_temperature",
}
"""Names of variables that the CF conventions know."""

CHUNK = 2400
"""Pixels along a side of what is read at a time: a tile of the products."""

UNFILLED = {"_FillValue": None}
"""Encoding of coordinates: CF forbids them a value that stands for none, which xarray writes."""


def open_run(path: Path | str, areas: Sequence[str] | None = None) -> xr.Dataset:
    """The rasters of the run in ``path`` over area, epoch, y and x; read when they are used.

    Areas share the grid of the run, NaN where one has no pixel; ``areas`` chooses some by name.
    Attributes follow CF 1.10, and rioxarray finds the grid. Raises StudyError where there is no
    run, no map, or no such area.
    """
    folder = Path(path)
    found = findings(Store(folder)).sites
    chosen = [s for s in found if areas is None or s.name in areas or s.slug in areas]
    if not chosen or (areas is not None and len(chosen) < len(set(areas))):
        there = ", ".join(site.name for site in found) or "none"
        raise StudyError(f"{folder}: expected the areas {areas or 'of a run'}, found {there}")
    lattice = _lattice(chosen[0])
    whole = _around([_window(site, lattice) for site in chosen])
    epochs = sorted({epoch for site in chosen for epoch in site.epochs})
    layers = {
        name: (
            ("area", "epoch", "y", "x"),
            da.stack([_stack(site, name, epochs, lattice, whole) for site in chosen]),
            _described(name),
        )
        for name in VARIABLES
    }
    return xr.Dataset(layers, _coordinates(chosen, epochs, lattice, whole), _attributes(folder))


def _described(name: str) -> dict[str, str]:
    """Attributes of a variable."""
    _, _, about, unit = VARIABLES[name]
    known = {"standard_name": STANDARD_NAMES[name]} if name in STANDARD_NAMES else {}
    return {"long_name": about, "units": unit, "grid_mapping": "spatial_ref", **known}


def _lattice(site: Site) -> Lattice:
    with opened_tiff(site.files("rsei", site.epochs[0])[0]) as dataset:
        return Lattice.of(dataset.crs.to_wkt(), dataset.transform)


def _window(site: Site, lattice: Lattice) -> Window:
    """The pixels of a site: its map, or its maps of a tile each."""
    return _around([window_in(path, lattice) for path in site.files("rsei", site.epochs[0])])


def _around(windows: Sequence[Window]) -> Window:
    whole = windows[0]
    for window in windows[1:]:
        whole |= window
    return whole


def _stack(
    site: Site, name: str, epochs: Sequence[int], lattice: Lattice, whole: Window
) -> da.Array:
    """A variable of one area over (epoch, y, x) of the whole window, NaN beyond its own."""
    return da.stack([_layer(site, name, epoch, lattice, whole) for epoch in epochs])


def _layer(site: Site, name: str, epoch: int, lattice: Lattice, whole: Window) -> da.Array:
    folder, band, _, _ = VARIABLES[name]
    paths = site.files(folder, epoch) if epoch in site.epochs else ()
    if not paths:
        return da.full(whole.shape, np.nan, np.float32, chunks=CHUNK)
    files = [(path, window_in(path, lattice)) for path in paths]
    return da.map_blocks(
        _read,
        files=files,
        lattice=lattice,
        whole=whole,
        band=band,
        dtype=np.float32,
        chunks=da.core.normalize_chunks(CHUNK, whole.shape),
        meta=np.empty((0, 0), np.float32),
    )


def _read(
    files: Sequence[tuple[Path, Window]],
    lattice: Lattice,
    whole: Window,
    band: int,
    block_info: Mapping[None, Any],
) -> NDArray[np.float32]:
    """A chunk of the whole window, from each of the files that has pixels of it."""
    (top, bottom), (left, right) = block_info[None]["array-location"]
    wanted = Window(whole.top + top, whole.left + left, bottom - top, right - left)
    found = np.full(wanted.shape, np.nan, np.float32)
    for path, window in files:
        part = wanted & window
        if part.size:
            found[part.slices(wanted)] = read_geotiff(path, lattice, part, [band])[0]
    return found


def _coordinates(
    sites: Sequence[Site], epochs: Sequence[int], lattice: Lattice, whole: Window
) -> dict[str, Any]:
    crs = rasterio.crs.CRS.from_user_input(lattice.crs)
    step = lattice.transform(whole)
    grid = {
        "long_name": "coordinate system of x and y",
        **pyproj.CRS.from_wkt(crs.to_wkt()).to_cf(),  # the projection by its parameters
        "crs_wkt": crs.to_wkt(),
        "spatial_ref": crs.to_wkt(),
        "GeoTransform": " ".join(map(repr, step.to_gdal())),
    }
    # A grid in degrees has other standard names than a projected one.
    if crs.is_geographic:
        x_name, y_name, *units = "longitude", "latitude", "degrees_east", "degrees_north"
    else:
        x_name, y_name, *units = "projection_x_coordinate", "projection_y_coordinate", "m", "m"
    return {
        "area": ("area", [site.name for site in sites], {"long_name": "name of the area"}),
        "slug": ("area", [site.slug for site in sites], {"long_name": "area in paths"}),
        "epoch": ("epoch", list(epochs), {"long_name": "middle year of the epoch"}),
        "y": ("y", lattice.y(whole), _axis("Y", y_name, units[1]), UNFILLED),
        "x": ("x", lattice.x(whole), _axis("X", x_name, units[0]), UNFILLED),
        "spatial_ref": ((), 0, grid),
    }


def _axis(axis: str, name: str, units: str) -> dict[str, str]:
    return {"standard_name": name, "units": units, "axis": axis}


def _attributes(folder: Path) -> dict[str, str]:
    record = Store(folder).get_json("run.json")
    version = "rsei " + str(record["versions"].get("rsei", ""))
    return {
        "Conventions": "CF-1.10",
        "title": f"RSEI: {record['settings']['study']['name']}",
        "source": version,
        "history": f"{record['timings']['started']} rsei run {record['study_file']}, {version}",
    }
