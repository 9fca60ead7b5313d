# SPDX-License-Identifier: Apache-2.0
"""Raster files of the user: what is refused, and that nothing beside the file is read."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles_rasters import write_tiff
from rasterio._env import get_gdal_config

from rsei.engine.sources.errors import InputError, RasterError
from rsei.engine.sources.grids import Lattice, Window
from rsei.engine.sources.rasterfiles import CACHE, open_raster, opened_tiff
from rsei.engine.sources.rasters import on_lattice

PLACE = Affine(500, 0, 500_000, 0, -500, 5_000_000)
METRES = Lattice("EPSG:32633", 500_000, 5_000_000, 500, 500)
WINDOW = Window(0, 0, 4, 3)
ONE_FOLDER = [HealthCheck.function_scoped_fixture]
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)

VRT = b"""<VRTDataset rasterXSize="3" rasterYSize="4"><VRTRasterBand dataType="Byte" band="1">
<SimpleSource><SourceFilename>/etc/hostname</SourceFilename></SimpleSource></VRTRasterBand>
</VRTDataset>"""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tif", VRT, "expected GTiff content"),
        ("a.tif", b"<html>Please log in</html>", "expected GTiff content"),
        ("a.tif", b"", "expected GTiff content"),
        ("a.tif", b"\x89HDF\r\n\x1a\n" + b"0" * 99, "expected GTiff content"),
        ("a.tif", b"II*\0" + b"\xff" * 60, "damaged"),
        ("a.nc", b"II*\0" + b"\xff" * 60, "expected HDF5 content"),
        ("a.nc", b"CDF\x01" + b"0" * 60, "nccopy -k nc4"),
        ("a.nc", b"\x89HDF\r\n\x1a\n" + b"0" * 99, "damaged"),
        ("a.vrt", VRT, "expected one of .tif"),
        ("a", VRT, "found no ending"),
    ],
)
def test_other_content_than_its_ending_says_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RasterError, match=message) as caught:
        open_raster(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "/vsicurl/https://example.org/a.tif",
        "/vsizip/a.zip/a.tif",
        "http://example.org/a.tif",
        "s3://bucket/a.tif",
        "missing.tif",
        ".",
    ],
)
def test_what_is_no_file_on_disk_is_refused(path: str) -> None:
    with pytest.raises(RasterError, match="expected a file"):
        open_raster(path)


def test_truncated_pixels_are_an_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).random((200, 200)).astype(np.float32)
    path = write_tiff(tmp_path / "a.tif", noise, METRES.crs, PLACE, compress="deflate")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(RasterError, match="damaged"):
        on_lattice(path, METRES, Window(0, 0, 200, 200))


def test_files_beside_a_raster_are_not_read(tmp_path: Path) -> None:
    """Overviews, masks, world files and metadata could name other files, or hold other values."""
    values = np.ones((600, 600), dtype=np.float32)
    path = write_tiff(tmp_path / "a.tif", values, METRES.crs, PLACE, tiled=True)
    write_tiff(tmp_path / "a.tif.ovr", np.zeros((300, 300), np.float32), METRES.crs, PLACE)
    write_tiff(tmp_path / "a.tif.msk", np.zeros((600, 600), np.uint8), METRES.crs, PLACE)
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><PAMRasterBand band='1'><NoDataValue>1</NoDataValue><Scale>9</Scale>"
        "</PAMRasterBand><Metadata domain='OVERVIEWS'><MDI key='OVERVIEW_FILE'>b.tif</MDI>"
        "</Metadata></PAMDataset>"
    )
    (tmp_path / "a.tfw").write_text("7\n0\n0\n-7\n0\n0\n")
    with rasterio.open(path) as trusting, opened_tiff(path) as careful:
        assert (trusting.overviews(1), trusting.nodata, trusting.scales) == ([2], 1, (9,))
        assert (careful.overviews(1), careful.nodata, careful.scales) == ([], None, (1,))
    coarse = METRES.coarse(4)
    found = on_lattice(path, coarse, Window(0, 0, 150, 150))
    assert (found == 1).all()
    assert open_raster(path).nodata == (None,)


def test_internal_mask_is_nodata(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK="YES"):
        write_tiff(path, VALUES, METRES.crs, PLACE)
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(VALUES > 5)
    found = on_lattice(path, METRES, WINDOW)
    assert np.array_equal(found, np.where(VALUES > 5, VALUES, np.nan), equal_nan=True)


def test_raster_without_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="expected a coordinate system"):
        open_raster(write_tiff(tmp_path / "a.tif", VALUES, None, PLACE))


def test_rotated_raster_is_refused(tmp_path: Path) -> None:
    turned = Affine(500, 20, 500_000, 20, -500, 5_000_000)
    with pytest.raises(RasterError, match="without rotation"):
        open_raster(write_tiff(tmp_path / "a.tif", VALUES, METRES.crs, turned))


def test_layer_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", VALUES, METRES.crs, PLACE)
    with pytest.raises(RasterError, match="expected layer 2, found 1"):
        on_lattice(path, METRES, WINDOW, band=2)


def netcdf(path: Path, crs: bool = True, rows: Any = None, **attributes: Any) -> Path:
    """A small NetCDF-4 file of two dates, rows from the south, with its axes and grid mapping."""
    with h5py.File(path, "w") as file:
        y = np.arange(4) * 500.0 + 4_998_250 if rows is None else rows
        axes = {"time": [0, 31], "y": y, "x": np.arange(3) * 500.0 + 500_250}
        for name, values in axes.items():
            file[name] = np.asarray(values)
            file[name].make_scale(name)
        file["time"].attrs["units"] = "days since 2005-01-01"
        file["x"].attrs["standard_name"] = "projection_x_coordinate"
        file["heat"] = np.stack([VALUES[::-1], VALUES[::-1] + 100]).astype(np.int16)
        for index, name in enumerate(axes):
            file["heat"].dims[index].attach_scale(file[name])
        file["heat"].attrs.update(attributes)
        if crs:
            file["crs"] = 0
            file["crs"].attrs["crs_wkt"] = rasterio.CRS.from_string(METRES.crs).to_wkt()
            file["heat"].attrs["grid_mapping"] = "crs"
    return path


def test_netcdf_is_scaled_turned_and_chosen_by_date(tmp_path: Path) -> None:
    path = netcdf(tmp_path / "a.nc", _FillValue=np.int16(4), scale_factor=0.5, add_offset=10.0)
    expected = np.where(VALUES == 4, np.nan, VALUES * 0.5 + 10)
    assert np.array_equal(on_lattice(path, METRES, WINDOW), expected, equal_nan=True)
    assert np.array_equal(on_lattice(f"{path}:heat", METRES, WINDOW), expected, equal_nan=True)
    later = VALUES * 0.5 + 60
    assert np.array_equal(on_lattice(f"{path}:heat@2005-02", METRES, WINDOW), later)
    assert np.array_equal(on_lattice(path, METRES, WINDOW, band=2), later)
    with pytest.raises(RasterError, match="one layer of 2005, found 2; it holds 2005"):
        open_raster(f"{path}:heat@2005")
    with pytest.raises(RasterError, match="found heat"):
        open_raster(f"{path}:cold")


def test_netcdf_without_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RasterError, match="expected a grid mapping"):
        open_raster(netcdf(tmp_path / "a.nc", crs=False))
    with pytest.raises(RasterError, match="evenly spaced"):
        open_raster(netcdf(tmp_path / "b.nc", rows=[0.0, 1, 2, 4]))


def test_longitude_and_latitude_need_no_grid_mapping(tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        for name, values in (("lat", [50.0, 49.0]), ("lon", [10.0, 11.0, 12.0])):
            file[name] = values
            file[name].make_scale(name)
        file["v"] = np.arange(6.0).reshape(2, 3)
        file["v"].dims[0].attach_scale(file["lat"])
        file["v"].dims[1].attach_scale(file["lon"])
        file["turned"] = np.arange(6.0).reshape(3, 2)
        file["turned"].dims[0].attach_scale(file["lon"])
        file["turned"].dims[1].attach_scale(file["lat"])
    assert open_raster(f"{path}:v").placed.bounds == (9.5, 48.5, 12.5, 50.5)
    with pytest.raises(RasterError, match="found turned, v; name one"):
        open_raster(path)
    with pytest.raises(RasterError, match="by rows and columns, found the reverse"):
        open_raster(f"{path}:turned")


def test_links_out_of_a_file_are_not_followed(tmp_path: Path) -> None:
    secret = netcdf(tmp_path / "secret.nc")
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        file["linked"] = h5py.ExternalLink(secret, "heat")
        file["soft"] = h5py.SoftLink("/linked")
        layout = h5py.VirtualLayout((4, 3), np.int16)
        layout[:] = h5py.VirtualSource(secret, "heat", shape=(2, 4, 3))[0]
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset(
            "raw", (4, 3), np.int16, external=[(str(secret), 0, h5py.h5f.UNLIMITED)]
        )
    for name in ("linked", "soft"):
        with pytest.raises(RasterError, match="expected a variable"):
            open_raster(f"{path}:{name}")
    for name in ("virtual", "raw"):
        with pytest.raises(RasterError, match="found a reference"):
            open_raster(f"{path}:{name}")


def test_huge_declared_raster_needs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "huge.tif"
    profile = {
        "driver": "GTiff",
        "height": 2_000_000,
        "width": 2_000_000,
        "count": 1,
        "dtype": "float64",
        "crs": METRES.crs,
        "transform": Affine(0.001, 0, 5e5, 0, -0.001, 5e6),
    }
    with rasterio.open(
        path,
        "w",
        tiled=True,
        blockxsize=2**13,
        blockysize=2**13,
        sparse_ok=True,
        bigtiff="yes",
        **profile,
    ):
        pass
    with pytest.raises(RasterError, match="average it first"):
        on_lattice(path, METRES, WINDOW)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    ending=st.sampled_from(["tif", "nc"]),
    flips=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 255)), min_size=1, max_size=6),
    cut=st.floats(0.3, 1),
)
def test_damaged_bytes_give_values_or_a_named_error(
    tmp_path: Path, ending: str, flips: list[tuple[int, int]], cut: float
) -> None:
    whole = tmp_path / f"whole.{ending}"
    if not whole.exists() and ending == "tif":
        write_tiff(whole, VALUES, METRES.crs, PLACE, compress="deflate", nodata=3)
    elif not whole.exists():
        netcdf(whole)
    content = bytearray(whole.read_bytes())
    for place, value in flips:
        content[place % len(content)] = value
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content[: int(len(content) * cut)])
    try:
        assert on_lattice(path, METRES, WINDOW).shape == WINDOW.shape
    except InputError as error:
        assert str(error)


def test_what_gdal_holds_of_rasters_does_not_grow_with_the_machine(tmp_path: Path) -> None:
    """However many are open; afterwards it is as it was."""
    for name in "ab":
        write_tiff(tmp_path / f"{name}.tif", VALUES, METRES.crs, PLACE)
    before = get_gdal_config("GDAL_CACHEMAX")
    first, second = (open_raster(tmp_path / f"{name}.tif") for name in "ab")
    with first.pixels():
        with second.pixels() as read:
            read(WINDOW)
        assert get_gdal_config("GDAL_CACHEMAX") == CACHE != before
    assert get_gdal_config("GDAL_CACHEMAX") == before
