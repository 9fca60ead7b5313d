# SPDX-License-Identifier: Apache-2.0
"""Rasters of the user: their place, scale and nodata, and real ones."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from affine import Affine
from oracles_rasters import ANSHAN, LONLAT, METRES, write_tiff
from pyproj import Transformer

from rsei.engine.sources.errors import RasterError
from rsei.engine.sources.geotiff import Form, write_geotiff
from rsei.engine.sources.grids import SINUSOIDAL, SINUSOIDAL_500M, Lattice, Window
from rsei.engine.sources.placed import same_grid
from rsei.engine.sources.rasterfiles import open_raster
from rsei.engine.sources.rasters import (
    averaged,
    class_share,
    method,
    on_lattice,
    share_covered,
)


def test_scale_offset_and_nodata_are_applied(tmp_path: Path) -> None:
    stored = np.array([[1, 2], [255, 4]], dtype=np.uint8)
    path = write_tiff(
        tmp_path / "a.tif",
        stored,
        METRES.crs,
        Affine(500, 0, 500_000, 0, -500, 5_000_000),
        nodata=255,
        scales=28.0,
        offsets=-450.0,
    )
    found = on_lattice(path, METRES, Window(0, 0, 2, 2))
    assert np.array_equal(found, np.array([[-422, -394], [np.nan, -338]]), equal_nan=True)


def test_rows_from_the_south_are_turned(tmp_path: Path) -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    path = write_tiff(
        tmp_path / "a.tif", values[::-1], METRES.crs, Affine(500, 0, 500_000, 0, 500, 4_998_000)
    )
    assert np.array_equal(on_lattice(path, METRES, Window(0, 0, 4, 3)), values)
    assert np.array_equal(on_lattice(path, METRES, Window(1, 0, 2, 3)), values[1:3])


@pytest.mark.parametrize("west", [-180, 0])
def test_longitudes_go_round_the_globe(tmp_path: Path, west: int) -> None:
    """A global raster, its cut anywhere, has no seam at it."""
    lattice = Lattice(LONLAT, -180, 90, 1.0, 1.0)
    x = west + (np.arange(180) + 0.5) * 2
    values = np.broadcast_to(np.cos(np.radians(x)), (90, 180)).astype(np.float32)
    path = write_tiff(tmp_path / "a.tif", values, LONLAT, Affine(2, 0, west, 0, -2, 90))
    window = Window(60, -4, 30, 368)
    expected = np.cos(np.radians(lattice.x(window)))
    found = on_lattice(path, lattice, window, "bilinear")
    assert np.abs(found - expected).max() < 2e-3
    coarse = on_lattice(path, lattice.coarse(4), Window(4, -2, 20, 94), "average")
    middle = np.cos(np.radians(lattice.coarse(4).x(Window(4, -2, 20, 94))))
    assert np.abs(coarse - middle).max() < 2e-3


def test_raster_elsewhere_gives_both_extents(tmp_path: Path) -> None:
    transform = Affine(0.1, 0, 10, 0, -0.1, 50)
    path = write_tiff(tmp_path / "a.tif", np.ones((10, 10), np.float32), LONLAT, transform)
    with pytest.raises(RasterError) as caught:
        on_lattice(path, SINUSOIDAL_500M, ANSHAN)
    assert "10.000 to 11.000 E, 49.000 to 50.000 N" in str(caught.value)
    assert "40.667 to 40.833 N" in str(caught.value)
    with pytest.raises(RasterError, match="expected a raster that covers"):
        class_share(path, [1], SINUSOIDAL_500M, ANSHAN)
    missing = on_lattice(path, SINUSOIDAL_500M, ANSHAN, required=False)
    assert np.isnan(missing).all()
    assert np.isnan(class_share(path, [1], SINUSOIDAL_500M, ANSHAN, required=False)).all()


def test_share_covered_counts_centres(tmp_path: Path) -> None:
    path = write_tiff(
        tmp_path / "a.tif",
        np.ones((10, 10), np.float32),
        METRES.crs,
        Affine(500, 0, 501_000, 0, -500, 5_000_000),
    )
    assert share_covered(open_raster(path), METRES, Window(0, 0, 4, 4)) == 0.5


def test_sinusoidal_by_another_name_is_the_same_grid(real_data: Path) -> None:
    burnt = next((real_data / "drivers" / "sierra-de-neiba" / "mcd64a1").glob("*.tif"))
    placed = open_raster(burnt).placed
    window = same_grid(placed, SINUSOIDAL_500M)
    assert window is not None
    assert window.shape == placed.shape
    ellipsoid = SINUSOIDAL.replace("+R=6371007.181", "+ellps=WGS84")
    shifted = Lattice(ellipsoid, SINUSOIDAL_500M.left, SINUSOIDAL_500M.top, 463.3127, 463.3127)
    assert same_grid(placed, shifted) is None


def test_layers_are_averaged_where_they_are_valid(tmp_path: Path) -> None:
    place = Affine(500, 0, 500_000, 0, -500, 5_000_000)
    one, two = np.array([[1, np.nan, np.nan]]), np.array([[3, 5, np.nan]])
    paths = [
        write_tiff(tmp_path / f"{i}.tif", values, METRES.crs, place)
        for i, values in enumerate((one, two))
    ]
    found = averaged(paths, METRES, Window(0, 0, 1, 3))
    assert np.array_equal(found, [[2, 5, np.nan]], equal_nan=True)


def test_nodata_that_is_asked_for_is_a_class(tmp_path: Path) -> None:
    place = Affine(250, 0, 500_000, 0, -250, 5_000_000)
    cover = np.array([[0, 0, 5, 5], [0, 5, 0, 17]], dtype=np.uint8)
    path = write_tiff(tmp_path / "lc.tif", cover, METRES.crs, place, nodata=0)
    window = Window(0, 0, 1, 2)
    assert class_share(path, [0, 17], METRES, window).tolist() == [[0.75, 0.5]]
    third = class_share(path, [17], METRES, window)
    assert third[0, 0] == 0
    assert third[0, 1] == pytest.approx(1 / 3)


def test_coarse_classes_are_taken_whole(tmp_path: Path) -> None:
    place = Affine(750, 0, 500_000, 0, -750, 5_000_000)
    cover = np.array([[17, 5], [5, 17]], dtype=np.uint8)
    path = write_tiff(tmp_path / "lc.tif", cover, METRES.crs, place)
    share = class_share(path, [17], METRES, Window(0, 0, 3, 3))
    assert set(share.ravel()) == {0, 1}


def test_real_heat_stand_in_is_in_kelvin(real_data: Path) -> None:
    band = next((real_data / "munich-2022").glob("*sur_refl_b01_doy2022153*.tif"))
    placed = open_raster(band).placed
    lattice = Lattice.of(placed.crs, placed.transform)
    window = Window(0, 0, *placed.shape)
    folder = real_data / "munich-2022" / "heat-stand-in"
    months = [folder / f"era5_t2m_2022_{month:02d}.tif" for month in (6, 7, 8, 9)]
    heat = averaged(months, lattice, window)
    assert np.isfinite(heat).all()
    assert 288 < heat.min() < heat.max() < 294
    red = on_lattice(band, lattice, window)
    assert np.isfinite(red).all()
    assert 0 < np.median(red) < 0.2


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("sierra-de-neiba/chelsa/CHELSA_pr_01_2010_V.2.1.tif", 0, 65_000),
        ("sierra-de-neiba/nasa_srtm/NASADEM_HGT_n18w072.tif", -10, 2_400),
        ("sierra-de-neiba/esalandcover/W080N20_LC100_v3.0.1_2015.tif", 0, 254),
        ("sao-miguel/eu_dem_v11.tif", -10, 1_110),
    ],
)
def test_real_drivers_keep_range_and_total(
    real_data: Path, name: str, low: float, high: float
) -> None:
    path = real_data / "drivers" / name
    raster = open_raster(path)
    west, south, east, north = raster.placed.bounds
    equal_area = f"+proj=laea +lat_0={south} +lon_0={west} +datum=WGS84 +units=m"
    lattice = Lattice(equal_area, 0, 0, 1000, 1000)
    carry = Transformer.from_crs(LONLAT, equal_area, always_xy=True)
    window = lattice.bounding(*carry.transform_bounds(west, south, east, north)).grown(1)
    assert method(raster, lattice, window) == "average"
    values = on_lattice(path, lattice, window)
    assert low <= np.nanmin(values) <= np.nanmax(values) <= high
    with raster.pixels() as read:
        stored, valid = read(Window(0, 0, *raster.placed.shape))
    total = on_lattice(path, lattice, window, "sum")
    # Pixels at the rim of the valid ones straddle missing ones, and are seen in part.
    assert np.nansum(total) == pytest.approx(stored[valid].sum(dtype=np.float64), rel=2e-3)


def test_real_land_cover_by_year(real_data: Path) -> None:
    cover = f"{real_data}/western-new-york/MCD12Q1.051_aid0001.nc:Land_Cover_Type_1"
    heat = open_raster(f"{real_data}/western-new-york/MOD11A2.006_aid0001.nc:LST_Day_1km")
    lattice = Lattice.of(heat.placed.crs, heat.placed.transform)
    window = Window(0, 0, *heat.placed.shape)
    share = class_share(f"{cover}@2005", [0, 11], lattice, window)
    with h5py.File(real_data / "western-new-york" / "MCD12Q1.051_aid0001.nc") as file:
        stored = file["Land_Cover_Type_1"][4]
    land = on_lattice(f"{cover}@2005", *whole(f"{cover}@2005"))
    assert np.array_equal(land, np.where(stored == 255, np.nan, stored), equal_nan=True)
    valid = np.isfinite(share)
    assert 1_400 < valid.sum() < 1_600
    assert set(np.unique(share[valid] * 12).round(5)) <= {0, 3, 4, 6, 8, 9, 12}


def whole(source: str) -> tuple[Lattice, Window]:
    placed = open_raster(source).placed
    return Lattice.of(placed.crs, placed.transform), Window(0, 0, *placed.shape)


def test_real_altitude_serves_anywhere_once_it_has_a_place(tmp_path: Path, real_data: Path) -> None:
    bare = real_data / "drivers" / "Altitude.h5"
    with pytest.raises(RasterError, match="write it as a GeoTIFF"):
        open_raster(bare)
    with h5py.File(bare) as file:
        codes = file["Altitude"][:]
    globe = Lattice(LONLAT, -180, 90, 1 / 12, 1 / 12)
    metres = np.where(codes == 255, np.nan, 28.0 * codes - 450).astype(np.float32)
    path = tmp_path / "altitude.tif"
    write_geotiff(path, metres[np.newaxis], globe, Window(0, 0, *metres.shape), Form(("dem",)))
    panzhihua = Window(15_038, 64_802, 302, 350)
    dem = on_lattice(path, SINUSOIDAL_500M, panzhihua)
    assert np.isfinite(dem).all()
    assert 900 < dem.min() < 1_500 < dem.max() < 4_000
