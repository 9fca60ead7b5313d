# SPDX-License-Identifier: Apache-2.0
"""Spoilt names, granules and rasters, and who reads them."""

import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rasterio
from affine import Affine
from chunked_files import rechunk
from fuzz.damage import bytes_like, text_like
from fuzz.target import DAY, METRES, TILE, WINDOW, within
from granule_files import core_metadata, granule_name, struct_metadata, write_granule
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rsei.engine.sources.errors import GranuleError, RseiError
from rsei.engine.sources.granules import catalogue, read
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window
from rsei.engine.sources.hdf4 import HDF4File
from rsei.engine.sources.inspection import inspect
from rsei.engine.sources.located import name_of
from rsei.engine.sources.rasters import on_lattice


def some_names(folder: Path) -> SearchStrategy[bytes]:
    known = [
        granule_name("MOD09A1", DAY, TILE),
        "MOD13A1.061__500m_16_days_NDVI_doy2019161_aid0001.tif",
        "MOD11A2.061_LST_Day_1km_doy2026001000000_aid0001.tif",
        "MOD11A2.006_aid0001.nc",
        "MOD13A1_NDVI_2016_145.tif",
        "MOD09A1.A2017193.h18v04.006.2017202035302.sur_refl_b01.tif",
    ]
    return st.one_of(*(bytes_like(name.encode()) | text_like(name) for name in known))


def read_name(data: bytes, folder: Path) -> None:
    name = data.decode("utf-8", "replace")
    name_of(name)
    with suppress(OSError, ValueError):  # no file can have it
        path = within(folder, name.replace("/", "_"), b"")
        catalogue(path.parent)


def metadata(folder: Path) -> SearchStrategy[bytes]:
    names = {"sur_refl_b01": "int16", "sur_refl_state_500m": "uint16"}
    struct = struct_metadata(SINUSOIDAL_500M, WINDOW, names)
    core = core_metadata(granule_name("MOD09A1", DAY, TILE), DAY, "061", TILE)
    return text_like(struct + SPLIT + core) | text_like(core + SPLIT + struct)


SPLIT = "\n====\n"


def read_metadata(data: bytes, folder: Path) -> None:
    struct, _, core = data.decode("latin-1").partition(SPLIT)
    place = folder / "spoilt"
    shutil.rmtree(place, ignore_errors=True)
    texts = {"struct": struct or " ", "core": core or " "}
    path = write_granule(place, "MOD09A1", DAY, window=WINDOW, **texts)
    read_granules(path)
    inspect(path)


def hdf4_bytes(folder: Path) -> SearchStrategy[bytes]:
    how = ["deflate", "plain", "rle", "deflate"]
    paths = [write_granule(folder / str(k), "MOD11A2", DAY, how=one) for k, one in enumerate(how)]
    rechunk(paths[-1], (7, 12))
    return st.one_of(*(bytes_like(path.read_bytes()) for path in paths))


def read_hdf4(data: bytes, folder: Path) -> None:
    path = within(folder, granule_name("MOD11A2", DAY, TILE), data)
    read_granules(path)
    with suppress(RseiError), HDF4File(path) as file:
        for name in file.datasets:
            with suppress(RseiError):
                file.whole(name)
    inspect(path)


def read_granules(path: Path) -> None:
    """Every layer of a catalogue of one file."""
    for granule in catalogue(path.parent).granules:
        window = Window(granule.window.top, granule.window.left, 20, 30)
        for source in granule.sources:
            with suppress(GranuleError):
                read(granule, [source.layer], window)


APPEEARS = "MOD09A1.061_sur_refl_b01_doy2022161_aid0001"


def tiff_bytes(folder: Path) -> SearchStrategy[bytes]:
    form: dict[str, Any] = {"driver": "GTiff", "width": 30, "height": 20, "count": 1}
    form |= {"crs": METRES.crs, "transform": Affine(500, 0, 5e5, 0, -500, 5e6), "nodata": -28672}
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16}
    packed = {"compress": "deflate", "predictor": 2}
    ways: list[dict[str, Any]] = [{}, packed, {"compress": "lerc"}, {"compress": "lzw", **tiles}]
    seeds = []
    for k, more in enumerate(ways):
        path = folder / f"{k}.tif"
        with rasterio.open(path, "w", dtype="int16", **form, **more) as file:
            file.write(np.arange(600, dtype=np.int16).reshape(1, 20, 30))
            file.update_tags(1, scale_factor="0.0001", SHORTNAME="MOD09A1")
        seeds.append(path.read_bytes())
    return st.one_of(*map(bytes_like, seeds))


def read_tiff(data: bytes, folder: Path) -> None:
    read_raster(within(folder, f"{APPEEARS}.tif", data))


def read_raster(path: Path) -> None:
    read_granules(path)
    with suppress(RseiError):
        on_lattice(path, METRES, Window(0, 0, 20, 30))
    inspect(path)


def netcdf_bytes(folder: Path) -> SearchStrategy[bytes]:
    path = folder / "seed.nc"
    with h5py.File(path, "w") as file:
        axes = {"time": [8187, 8195], "ydim": 4999750.0 - 500 * np.arange(20),
                "xdim": 500250.0 + 500 * np.arange(30)}  # fmt: skip
        for name, values in axes.items():
            file[name] = np.asarray(values)
            file[name].make_scale(name)
        file["time"].attrs["units"] = "days since 2000-01-01 00:00:00"
        values = np.arange(1200, dtype=np.int16).reshape(2, 20, 30)
        data = file.create_dataset("sur_refl_b01", data=values, compression=4, chunks=(1, 10, 30))
        data.attrs.update({"_FillValue": np.int16(-28672), "scale_factor": 0.0001})
        for index, name in enumerate(axes):
            data.dims[index].attach_scale(file[name])
        data.attrs["grid_mapping"] = "crs"
        file["crs"] = 0
        file["crs"].attrs["crs_wkt"] = rasterio.CRS.from_string(METRES.crs).to_wkt()
    return bytes_like(path.read_bytes())


def read_netcdf(data: bytes, folder: Path) -> None:
    read_raster(within(folder, "MOD09A1.061_aid0001.nc", data))
