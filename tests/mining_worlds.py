# SPDX-License-Identifier: Apache-2.0
"""Cities whose RSEI is a known function of the distance to the mines or of their size."""

from collections.abc import Callable
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from numpy.typing import NDArray

from rsei.engine.analysis.polygons import Geometries, carried
from rsei.engine.analysis.stacks import Stack
from rsei.engine.analysis.zones import centres, labels_of
from rsei.engine.sources.grids import SINUSOIDAL_500M

LONLAT = "EPSG:4326"
EPOCHS = (2001, 2004, 2007)


def real_city(folder: Path, code: str) -> Geometries:
    """The boundary of a real city, longitude and latitude."""
    return np.asarray(gpd.read_file(folder / "cities" / f"{code}.geojson").geometry.values)


def real_mines(folder: Path) -> Geometries:
    """The real mines of Tangshan and Panzhihua."""
    file = folder / "mines" / "gem_coal_mine_boundaries_Tangshan_Panzhihua.geojson"
    return np.asarray(gpd.read_file(file).geometry.values)


def stack_of(
    city: Geometries,
    rsei: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]],
    epochs: tuple[int, ...] = EPOCHS,
) -> Stack:
    """The same RSEI at each epoch, a function of longitude and latitude, inside the city."""
    lattice = SINUSOIDAL_500M
    shapes = carried(city, LONLAT, lattice.crs, 1.0)
    window = lattice.bounding(*shapely.total_bounds(shapes)).grown(1)
    layer = rsei(*centres(lattice, window)).astype(np.float32)
    layer[labels_of(city, LONLAT, lattice, window) == 0] = np.nan
    return Stack("Town", lattice, window, epochs, np.repeat(layer[None], len(epochs), axis=0))


def square(lon: float = 117.7, lat: float = 39.2, side: float = 0.8) -> Geometries:
    """A city of four straight edges in degrees."""
    return np.array([shapely.box(lon, lat, lon + side, lat + side)])
