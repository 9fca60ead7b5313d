# SPDX-License-Identifier: Apache-2.0
"""Real rasters of a mountain range, of many grids: months, slope, correlation and a forest."""

import shutil
import subprocess
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from numpy.typing import NDArray
from scipy import ndimage

from rsei.engine.analysis import drivers
from rsei.engine.analysis.correlation import correlation, inflation
from rsei.engine.analysis.forest import ForestSettings, forest, split
from rsei.engine.analysis.pixels import Pixels
from rsei.engine.sources.areas import Area, inside
from rsei.engine.sources.geotiff import Form, write_geotiff
from rsei.engine.sources.grids import Lattice, Window
from rsei.engine.sources.rasters import on_lattice

ALBERS = "+proj=aea +lat_0=18 +lon_0=-71.5 +lat_1=17 +lat_2=20 +datum=WGS84 +units=m"


@pytest.fixture(scope="module")
def range_(real_data: Path) -> tuple[Path, Lattice, Window, NDArray[np.bool_]]:
    folder = real_data / "drivers/sierra-de-neiba"
    shape = gpd.read_file(folder / "extdata/sierra_de_neiba_478140.gpkg").geometry.union_all()
    bounds = gpd.GeoSeries([shape], crs=4326).to_crs(ALBERS).total_bounds
    lattice, window, _ = drivers.grid(tuple(bounds), ALBERS, 1000)
    area = Area("Neiba", "neiba", shape, "EPSG:4326")
    return folder, lattice, window, inside(area, lattice, window)


def test_real_drivers_reach_the_grid_and_a_forest(
    range_: tuple[Path, Lattice, Window, NDArray[np.bool_]],
) -> None:
    folder, lattice, window, within = range_
    around = window.grown(1)
    dem = on_lattice(folder / "nasa_srtm/NASADEM_HGT_n18w072.tif", lattice, around, "average")
    slope = drivers.slope(dem, lattice)[1:-1, 1:-1]
    kernel = np.outer([1, 2, 1], [-1, 0, 1]) / 8000
    parts = [ndimage.correlate(dem.astype(float), k)[1:-1, 1:-1] for k in (kernel, kernel.T)]
    expected = np.degrees(np.arctan(np.hypot(*parts)))
    known = np.isfinite(expected) & within
    np.testing.assert_allclose(slope[known], expected[known], rtol=1e-4, atol=1e-4)
    assert 1 < np.nanmedian(slope[within]) < 20  # a mountain range, at 1 km

    files = [folder / f"chirps/chirps-v2.0.2010.{month:02d}.tif" for month in range(1, 13)]
    months = [on_lattice(file, lattice, window) for file in files]
    prec = drivers.year_of_months(months, "sum", "prec", "Neiba")
    assert 400 < np.nanmedian(prec[within]) < 3000  # mm a year on Hispaniola
    people = on_lattice(folder / "worldpop/ppp_2019_1km_Aggregated.tif", lattice, window)

    # No index lies here: what is explained is the population's logarithm, labelled so.
    stand_in = np.log1p(people)
    layers = {"rsei": stand_in, "dem": dem[1:-1, 1:-1], "slope": slope, "prec": prec}
    pixels = Pixels.of("Neiba", lattice, window, within, layers.items())
    names, complaints = drivers.usable(pixels, list(drivers.DRIVERS))
    assert names == ("dem", "slope", "prec") and len(complaints) == 7
    settings = ForestSettings(trees=50, mtry=2, folds=2)
    table = pixels.frame()
    table["split"] = split(table, names, settings)
    found = correlation(pixels, names)
    assert (found["n_eff"] < found["n"]).all() and (found["n"] > 150).all()
    assert (inflation(pixels, names)["vif"] >= 1).all()
    made = forest(table, names, settings, "Neiba")
    assert np.isfinite(made.scores.to_numpy()).all()
    pd.testing.assert_series_equal(
        made.importance["driver"], pd.Series(names, name="driver"), check_dtype=False
    )


def test_the_slope_of_a_real_island_is_gdals(real_data: Path, tmp_path: Path) -> None:
    """Horn's slope of the whole of Sao Miguel at 200 m, in metres and in feet; coast and all."""
    if not shutil.which("gdaldem"):
        pytest.skip("no gdaldem on this machine: apt-get install gdal-bin")
    lattice = Lattice("EPSG:32626", 0.0, 0.0, 200.0, 200.0)
    window = lattice.bounding(595_000, 4_170_000, 669_000, 4_199_000)
    dem = on_lattice(real_data / "drivers/sao-miguel/eu_dem_v11.tif", lattice, window)
    for metres in (1.0, 0.3048):
        write_geotiff(tmp_path / "dem.tif", (dem / metres)[None], lattice, window, Form(("dem",)))
        command = ["gdaldem", "slope", "-q", "-alg", "Horn", "-s", str(1 / metres)]
        subprocess.run([*command, "dem.tif", "slope.tif"], cwd=tmp_path, check=True)
        with rasterio.open(tmp_path / "slope.tif") as file:
            gdals = file.read(1, masked=True).filled(np.nan)
        ours = drivers.slope(dem / np.float32(metres), lattice, metres)
        known = np.isfinite(gdals)
        assert known.sum() > 15_000 and gdals[known].max() > 35
        np.testing.assert_allclose(ours[known], gdals[known], atol=2e-3)
        assert (np.isfinite(ours) >= known).all()  # GDAL leaves the coast out, where we extrapolate
