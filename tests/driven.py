# SPDX-License-Identifier: Apache-2.0
"""A small study with drivers: planes on the drivers' own projection, some of them spoilt."""

from importlib.util import find_spec
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from studies import BOUNDS, written

from rsei.engine.sources.grids import LONLAT, carrier

CRS = "ESRI:102025"

FINE = 250.0
"""Pixels of the rasters, m: four by four in one of the grid."""

MINES = [(119.80, 39.95, 119.82, 39.96), (119.90, 40.03, 119.905, 40.035)]
"""West, south, east and north of each mine."""

LAYERS = """\
dem = "dem.tif"
prec = { months = "prec_{year}_{month:02d}.tif" }
gdp = { raster = "gdp.tif", resampling = "sum", units = "yuan" }
"""


def box() -> tuple[float, float, float, float]:
    """Left, bottom, right and top of the rasters, whole kilometres around the town."""
    west, south, east, north = carrier(LONLAT, CRS).transform_bounds(*BOUNDS, densify_pts=21)
    left, bottom = (1000.0 * (round(edge / 1000) - 4) for edge in (west, south))
    right, top = (1000.0 * (round(edge / 1000) + 4) for edge in (east, north))
    return left, bottom, right, top


def plane() -> tuple[NDArray[np.float32], Affine]:
    """Metres that rise by 20 a kilometre to the east and fall by 10 to the north, and the place."""
    left, bottom, right, top = box()
    x = np.arange(left + FINE / 2, right, FINE) - left
    y = top - np.arange(top - FINE / 2, bottom, -FINE)
    return (0.02 * x + 0.01 * y[:, None]).astype(np.float32), Affine(FINE, 0, left, 0, -FINE, top)


def raster(
    path: Path, values: NDArray[np.float32], transform: Affine, crs: str | None = CRS
) -> None:
    """Write a GeoTIFF."""
    height, width = values.shape
    shape = {"height": height, "width": width, "count": 1, "dtype": "float32", "nodata": -9999}
    with rasterio.open(path, "w", driver="GTiff", crs=crs, transform=transform, **shape) as file:
        file.write(values, 1)


def polygons(path: Path, boxes: list[tuple[float, float, float, float]]) -> None:
    """Write boxes in degrees as a GeoPackage."""
    shapes = [shapely.box(*one) for one in boxes]
    gpd.GeoDataFrame(geometry=shapes, crs="EPSG:4326").to_file(path, driver="GPKG")


def inputs(folder: Path) -> None:
    """Write the drivers that are sound."""
    folder.mkdir(parents=True, exist_ok=True)
    values, transform = plane()
    raster(folder / "dem.tif", values, transform)
    for month in range(1, 13):
        raster(folder / f"prec_2012_{month:02d}.tif", month * values, transform)
    wave = np.sin(np.arange(values.shape[1]) / 5) + np.cos(np.arange(values.shape[0]) / 7)[:, None]
    raster(folder / "gdp.tif", (wave + 3).astype(np.float32), transform)
    polygons(folder / "mines.gpkg", MINES)


def study(folder: Path, granules: Path, layers: str = LAYERS, **changes: str) -> Path:
    """The study file, with drivers and a small forest."""
    area = f'name = "Small town"\nbounds = {list(BOUNDS)}\nmines = "mines.gpkg"'
    sections = {
        "study": 'name = "small"\nout = "run"\nepochs = [2012]',
        "area": area,
        "drivers": f"year = 2012\n[drivers.layers]\n{layers}",
        "forest": "trees = 60\nfolds = 3\nblock = 4000\ntuning_trees = [20]\ntuning_mtry = [2]\n"
        + ("shap = 4" if find_spec("shap") else ""),
    }
    return written(folder, granules, **sections | changes)
