# SPDX-License-Identifier: Apache-2.0
"""The demo's own polygons and rasters: city, mines, coast, land cover and drivers, in many CRSs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from .grids import SINUSOIDAL, SINUSOIDAL_500M
from .simulated_files import written_once
from .simulated_noise import Field
from .simulated_place import DEMO_WINDOW, DemoPlace
from .simulated_region import carried, transformer
from .simulated_world import World

MARGIN = 30
"""Pixels of 500 m by which the rasters reach beyond the demo's window: 14 km."""

FOREST, GRASS, WETLAND, CROP, URBAN, BARREN, WATER = 4, 10, 11, 12, 13, 16, 17
"""IGBP classes of MCD12Q1, collection 061."""

MONTHS = (3, 5, 9, 24, 46, 82, 171, 158, 52, 24, 11, 4)
"""Usual precipitation of each month, mm, as on the gulf of Bohai."""


@dataclass(frozen=True)
class Raster:
    """The grid of a raster that the demo writes."""

    crs: str
    resolution: float
    """Width of a pixel, in units of the CRS."""


GRIDS = {
    "dem": Raster("EPSG:4326", 1 / 360),
    "prec": Raster("EPSG:4326", 1 / 120),
    "gdp": Raster("ESRI:102025", 1000.0),
    "ntl": Raster("EPSG:4326", 1 / 240),
    "elec": Raster("EPSG:3857", 1200.0),
    "co2": Raster("EPSG:32650", 1000.0),
    "pm25": Raster("EPSG:4326", 0.01),
    "lc": Raster("EPSG:32650", 500.0),
}
"""Deliberately unlike one another, as real drivers are."""


def write_vectors(folder: Path, place: DemoPlace) -> None:
    """``boundary.gpkg``, ``mines.gpkg`` and ``coast.gpkg``."""
    mines = gpd.GeoDataFrame(
        {"mine": [f"mine {n:02d}" for n in range(1, len(place.region.mines) + 1)]},
        geometry=list(place.region.mines),
        crs="EPSG:4326",
    )
    city = gpd.GeoDataFrame({"name": ["Demo city"]}, geometry=[place.boundary], crs="EPSG:4326")
    land = gpd.GeoDataFrame({"name": ["land"]}, geometry=[place.region.land], crs="EPSG:4326")
    for name, table in (("boundary", city), ("mines", mines), ("coast", land)):
        written_once(folder / f"{name}.gpkg", partial(_gpkg, table=table, layer=name))


def _gpkg(path: Path, table: gpd.GeoDataFrame, layer: str) -> None:
    """One GeoPackage."""
    table.to_file(path, driver="GPKG", layer=layer, engine="pyogrio")


def write_rasters(folder: Path, world: World, year: int, cover_years: Sequence[int]) -> None:
    """Land cover of each of ``cover_years`` and every driver of ``year``."""
    wide = World(DEMO_WINDOW.grown(MARGIN), world.region, world.seed)
    score = wide.drivers
    fields: dict[str, Callable[[], Field]] = {
        "dem": lambda: wide.dem,
        "gdp": lambda: 900 * np.exp(0.8 * score["gdp"]),
        "ntl": lambda: 6 * np.exp(0.7 * score["ntl"]),
        "elec": lambda: 2.5 * np.exp(0.6 * score["elec"]),
        "co2": lambda: 4000 * np.exp(0.5 * score["co2"]),
        "pm25": lambda: 48 + 6 * score["pm25"],
    }
    for name, made in fields.items():
        written_once(folder / f"{name}.tif", partial(_write, name=name, made=made))
    for month, usual in enumerate(MONTHS, 1):
        written_once(
            folder / f"prec_{year}_{month:02d}.tif",
            partial(_write, name="prec", made=partial(_month, usual, score["prec"])),
        )
    for cover_year in cover_years:
        written_once(
            folder / f"lc_{cover_year}.tif",
            partial(_write, name="lc", made=partial(land_cover, wide, cover_year), nearest=True),
        )


def _month(usual: int, score: Field) -> Field:
    """Precipitation of a month, mm."""
    return usual * (1 + np.float32(0.12) * score)


def land_cover(world: World, year: int) -> NDArray[np.uint8]:
    """IGBP class of each pixel, (h, w)."""
    quality, (bare, _) = world.quality(year), world.pit(year)
    out = np.where(quality > 0.45, GRASS, CROP)
    out = np.where(world.dem < 220, CROP, out)
    out = np.where((world.dem > 330) & (quality > 0.5), FOREST, out)
    out = np.where(world.town > 0.45, URBAN, out)
    out = np.where((bare > 0.5) | (quality < 0.08), BARREN, out)
    marsh = (world.inland < 0.05) & (world.noise("marsh", 10, 5) > 1.1) & (world.land > 0.5)
    out = np.where(marsh, WETLAND, out)
    return np.where(world.water >= 0.5, WATER, out).astype(np.uint8)


def _write(path: Path, name: str, made: Callable[[], NDArray[Any]], nearest: bool = False) -> None:
    """A GeoTIFF, in the grid of ``name``, of the values made on the demo's wider window."""
    grid, window = GRIDS[name], DEMO_WINDOW.grown(MARGIN)
    left, bottom, right, top = _extent(grid.crs)
    step = grid.resolution
    width, height = int((right - left) / step), int((top - bottom) / step)
    transform = Affine(step, 0, left, 0, -step, top)
    x, y = left + (np.arange(width) + 0.5) * step, top - (np.arange(height) + 0.5) * step
    east, north = transformer(grid.crs, SINUSOIDAL).transform(*np.meshgrid(x, y))
    column = (east - SINUSOIDAL_500M.left) / SINUSOIDAL_500M.dx - window.left - 0.5
    row = (SINUSOIDAL_500M.top - north) / SINUSOIDAL_500M.dy - window.top - 0.5
    order, blank = (0, 255) if nearest else (1, -9999.0)
    dtype = "uint8" if nearest else "float32"
    out = map_coordinates(made().astype(np.float64), (row, column), order=order, cval=blank)
    outside = (row < 0) | (column < 0) | (row > window.height - 1) | (column > window.width - 1)
    out[outside] = blank
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=height,
        width=width,
        count=1,
        dtype=dtype,
        crs=grid.crs,
        transform=transform,
        nodata=blank,
        compress="deflate",
        predictor=1,
    ) as file:
        file.write(out.astype(dtype), 1)


def _extent(crs: str) -> tuple[float, float, float, float]:
    """A box, in ``crs``, around the demo's window and most of its margin."""
    box = shapely.segmentize(shapely.box(*SINUSOIDAL_500M.bounds(DEMO_WINDOW.grown(10))), 5e3)
    return carried(box, SINUSOIDAL, crs).bounds
