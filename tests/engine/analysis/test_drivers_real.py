"""Real rasters of a mountain range, of many grids: months, slope, correlation and a forest."""

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from rsei.engine.analysis import drivers
from rsei.engine.analysis.correlation import correlation, inflation
from rsei.engine.analysis.forest import ForestSettings, forest, split
from rsei.engine.sources.areas import Area, inside
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
    layers = {"dem": dem[1:-1, 1:-1], "slope": slope, "prec": prec}
    table = drivers.driver_table("Neiba", lattice, window, within, stand_in, layers)
    names, complaints = drivers.usable(table, list(drivers.DRIVERS))
    assert names == ("dem", "slope", "prec") and len(complaints) == 7
    settings = ForestSettings(trees=50, mtry=2, folds=2)
    table["split"] = split(table, names, settings)
    found = correlation(table, names)
    assert (found["n_eff"] < found["n"]).all() and (found["n"] > 150).all()
    assert (inflation(table, names)["vif"] >= 1).all()
    made = forest(table, names, settings, "Neiba")
    assert np.isfinite(made.scores.to_numpy()).all()
    pd.testing.assert_series_equal(
        made.importance["driver"], pd.Series(names, name="driver"), check_dtype=False
    )
