# SPDX-License-Identifier: Apache-2.0
"""Files that would lead elsewhere, run something or fill the memory are refused by name."""

import http.server
import io
import json
import pickle
import re
import sqlite3
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas as gpd
import h5py
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine

from rsei.engine.sources import vectors
from rsei.engine.sources.arrays import read_arrays, write_arrays
from rsei.engine.sources.errors import BoundaryError, InputError, RasterError
from rsei.engine.sources.granules import catalogue
from rsei.engine.sources.inspection import inspect
from rsei.engine.sources.rasterfiles import open_raster

RING = [[5, 5], [6, 5], [6, 6], [5, 5]]
SHAPE: dict[str, Any] = {"type": "Polygon", "coordinates": [RING]}
APPEEARS = "MOD09A1.061_sur_refl_b01_doy2022153_aid0001.tif"


@pytest.fixture
def visits() -> Iterator[tuple[str, list[str]]]:
    """A server of this machine, and the paths that were asked of it."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, *args: Any) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["link", "url", "URL"])
@pytest.mark.parametrize("place", ["collection", "geometry"])
def test_a_linked_coordinate_system_is_not_fetched(
    kind: str, place: str, tmp_path: Path, visits: tuple[str, list[str]]
) -> None:
    url, asked = visits
    crs = {"type": kind, "properties": {"href": url + "/crs", "url": url + "/crs"}}
    inner = {"crs": crs} if place == "geometry" else {}
    feature = {"type": "Feature", "properties": {}, "geometry": SHAPE | inner}
    document = {"type": "FeatureCollection", "features": [feature]}
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(document | ({"crs": crs} if place == "collection" else {})))
    with pytest.raises(BoundaryError, match="found a link to one"):
        vectors.read(path)
    assert asked == []


def test_a_document_that_is_a_command_is_not_carried_out(tmp_path: Path) -> None:
    secret = tmp_path / "secret.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.box(5, 5, 6, 6)], crs="EPSG:4326").to_file(secret)
    command = f"gdal vector pipeline ! read {secret} ! write --output-format=stream x"
    kind = '"type": "gdal_streamed_alg", "command_line": ' + json.dumps(command)
    path = tmp_path / "a.geojson"
    path.write_text(f'{{{kind}, "type": "FeatureCollection", "features": []}}')
    with pytest.raises(BoundaryError, match="expected polygons, found none"):
        vectors.read(path)


def geopackage(path: Path, *statements: str) -> Path:
    """A layer ``city``, and then what somebody did to the database."""
    frame = gpd.GeoDataFrame({"a": [1]}, geometry=[shapely.box(5, 5, 6, 6)], crs="EPSG:4326")
    frame.to_file(path, layer="city", driver="GPKG")
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()
    return path


def registered(name: str) -> tuple[str, str]:
    """Make the table or view ``name`` a layer like the city's."""
    return (
        f"INSERT INTO gpkg_contents SELECT '{name}', data_type, '{name}', description, "
        "last_change, min_x, min_y, max_x, max_y, srs_id FROM gpkg_contents",
        f"INSERT INTO gpkg_geometry_columns SELECT '{name}', column_name, geometry_type_name, "
        "srs_id, z, m FROM gpkg_geometry_columns",
    )


def test_a_view_that_calls_a_server_is_refused(
    tmp_path: Path, visits: tuple[str, list[str]]
) -> None:
    url, asked = visits
    call = f"ogr_geocode('x', 'geometry', 'QUERY_TEMPLATE={url}/%s')"
    view = f"CREATE VIEW evil AS SELECT fid, geom, {call} AS g FROM city"
    path = geopackage(tmp_path / "a.gpkg", view, *registered("evil"))
    for layer in ("evil", "city"):
        with pytest.raises(BoundaryError, match="without your consent"):
            vectors.read(path, layer)
    assert asked == []


def test_a_virtual_table_of_another_file_is_refused(tmp_path: Path) -> None:
    secret = geopackage(tmp_path / "secret.gpkg")
    sql = f"CREATE VIRTUAL TABLE evil USING VirtualOGR(''{secret}'')"
    rows = "(type, name, tbl_name, rootpage, sql) VALUES ('table', 'evil', 'evil', 0, "
    table = f"INSERT INTO sqlite_master {rows}'{sql}')"
    path = geopackage(tmp_path / "a.gpkg", "PRAGMA writable_schema = 1", table, *registered("evil"))
    with pytest.raises(BoundaryError, match="no such module: VirtualOGR"):
        vectors.read(path, "evil")


def test_triggers_do_not_fire_and_nothing_is_written(tmp_path: Path) -> None:
    trigger = "CREATE TRIGGER evil AFTER UPDATE ON gpkg_contents BEGIN DELETE FROM city; END"
    path = geopackage(tmp_path / "a.gpkg", trigger)
    before = path.read_bytes()
    assert len(vectors.read(path, "city").frame) == 1
    assert path.read_bytes() == before and [path] == list(tmp_path.iterdir())


def test_tiles_of_a_geopackage_are_not_unpacked(tmp_path: Path) -> None:
    """A picture that declares more pixels than there is memory for is no layer of polygons."""
    path = tmp_path / "a.gpkg"
    form = {"driver": "GPKG", "width": 256, "height": 256, "count": 1, "dtype": "uint8"}
    place = {"crs": "EPSG:3857", "transform": Affine(2, 0, 9, 0, -2, 9)}
    with rasterio.open(path, "w", **form, **place) as file:
        file.write(np.ones((1, 256, 256), np.uint8))
    with sqlite3.connect(path) as database:
        (tile,) = database.execute("SELECT tile_data FROM a").fetchone()
        at = tile.find(b"IHDR") + 4
        assert at > 4
        huge = tile[:at] + b"\x7f\xff\xff\xff" * 2 + tile[at + 8 :]
        database.execute("UPDATE a SET tile_data = ?", (huge,))
        database.execute("UPDATE gpkg_tile_matrix SET matrix_width = 1 << 30")
    database.close()
    with pytest.raises(BoundaryError, match="cannot be read"):
        vectors.read(path)
    with pytest.raises(RasterError, match=r"expected one of \.tif"):
        open_raster(path)
    with pytest.raises(InputError, match="found a file that starts with b'SQLite"):
        inspect(path)


def shifted(grid: str) -> str:
    """A coordinate system whose shifts lie in the file ``grid``."""
    wkt: str = pyproj.CRS(f"+proj=longlat +ellps=bessel +nadgrids={grid} +type=crs").to_wkt()
    return wkt


def with_crs_gpkg(folder: Path, crs: str) -> None:
    frame = gpd.GeoDataFrame(geometry=[shapely.box(5, 5, 6, 6)], crs=crs)
    frame.to_file(folder / "a.gpkg")
    vectors.read(folder / "a.gpkg")


def with_crs_shapefile(folder: Path, crs: str) -> None:
    """A ``.prj`` of the old kind, whose grids stand in an extension."""
    gpd.GeoDataFrame(geometry=[shapely.box(5, 5, 6, 6)], crs="EPSG:4326").to_file(folder / "a.shp")
    (grids,) = re.findall(r'"(/[^"]+)"', crs)
    spheroid = 'SPHEROID["Bessel 1841",6377397.155,299.15281]'
    datum = f'DATUM["d",{spheroid},EXTENSION["PROJ4_GRIDS","{grids}"]]'
    unit = 'UNIT["degree",0.0174532925199433]'
    (folder / "a.prj").write_text(f'GEOGCS["g",{datum},PRIMEM["Greenwich",0],{unit}]')
    vectors.read(folder / "a.shp")


def with_crs_netcdf(folder: Path, crs: str) -> None:
    with h5py.File(folder / "a.nc", "w") as file:
        file["v"] = np.zeros((4, 3), np.int16)
        file["y"], file["x"] = np.arange(4.0)[::-1], np.arange(3.0)
        for axis, name in enumerate("yx"):
            file[name].make_scale()
            file["v"].dims[axis].attach_scale(file[name])
        file["v"].attrs["grid_mapping"] = "crs"
        file["crs"] = 0
        file["crs"].attrs["crs_wkt"] = crs
    open_raster(f"{folder / 'a.nc'}:v")


@pytest.mark.parametrize("read", [with_crs_gpkg, with_crs_shapefile, with_crs_netcdf])
def test_a_coordinate_system_that_names_a_file_is_refused(
    read: Callable[[Path, str], None], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="names a file of shifts"):
        read(tmp_path, shifted("/etc/passwd"))


def test_a_coordinate_system_without_shifts_is_read(tmp_path: Path) -> None:
    mercator = pyproj.CRS("EPSG:3857").to_wkt("WKT1_GDAL")
    assert "+nadgrids=@null" in mercator
    with_crs_gpkg(tmp_path, mercator)


def tiff(path: Path, **form: Any) -> Path:
    place = {"crs": "EPSG:32632", "transform": Affine(500, 0, 5e5, 0, -500, 5e6)}
    whole = {"driver": "GTiff", "count": 1, "dtype": "int16", "sparse_ok": True} | place | form
    with rasterio.open(path, "w", bigtiff="yes", **whole):
        pass
    return path


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefghi", "bcdefghij"))
    + "]><GDALMetadata><Item name='x'>&j;</Item>"
    "<Item name='y'><xi:include href='file:///etc/passwd' parse='text'/></Item></GDALMetadata>"
)
"""Ten billion letters, were its entities taken at their word."""


def test_entities_in_the_metadata_of_a_tiff_are_not_expanded(tmp_path: Path) -> None:
    path = tiff(tmp_path / "a.tif", width=3, height=4)
    with rasterio.open(path, "r+") as file:
        file.update_tags(filler="x" * (len(BOMB) + 60))
    data = path.read_bytes()
    start, end = data.index(b"<GDALMetadata>"), data.index(b"</GDALMetadata>") + 15
    path.write_bytes(data[:start] + BOMB.encode().ljust(end - start) + data[end:])
    assert open_raster(path).bands == 1
    (layer,) = inspect(path)["layers"]
    assert layer["shape"] == [4, 3]


@pytest.mark.parametrize("name", ["a.tif", APPEEARS])
def test_a_tiff_in_one_huge_block_is_refused(name: str, tmp_path: Path) -> None:
    form = {"tiled": True, "blockxsize": 1 << 15, "blockysize": 1 << 15}
    path = tiff(tmp_path / name, width=1 << 15, height=1 << 15, **form)
    assert path.stat().st_size < 1000
    with pytest.raises(InputError, match="expected blocks of at most 1024 MiB"):
        open_raster(path)
    if name == APPEEARS:
        (bad,) = catalogue(tmp_path).bad
        assert "expected blocks of at most 1024 MiB" in bad.reason


def test_declared_pixels_are_not_counted_for_ever(tmp_path: Path) -> None:
    form = {"tiled": True, "blockxsize": 1 << 14, "blockysize": 1 << 14}
    path = tiff(tmp_path / "a.tif", width=1 << 20, height=1 << 20, **form)
    with pytest.raises(InputError, match=r"expected at most 4294967296 pixels.*1048576 x 1048576"):
        inspect(path)


@pytest.mark.parametrize(
    ("shape", "chunks"), [((4, 1 << 40), (1, 1 << 10)), ((1 << 16, 1 << 16), (1 << 15, 1 << 15))]
)
def test_a_declared_axis_or_chunk_is_not_believed(
    shape: tuple[int, int], chunks: tuple[int, int], tmp_path: Path
) -> None:
    path = tmp_path / "a.nc"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("v", shape, np.int16, chunks=chunks)
        scale = file.create_dataset("x", shape[1:], np.float64, chunks=(1 << 10,))
        scale.make_scale("x")
        data.dims[1].attach_scale(scale)
    assert path.stat().st_size < 1 << 16
    with pytest.raises(RasterError, match=r"expected at most 16777216 values along an axis"):
        open_raster(f"{path}:v")


def entry(path: Path, name: str, data: bytes) -> Path:
    """A ``.npz`` of one entry."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return path


def header(shape: tuple[int, ...], dtype: str = "<f8") -> bytes:
    data = io.BytesIO()
    form = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(data, form)
    return data.getvalue()


def test_arrays_are_read_and_pickles_are_not(tmp_path: Path) -> None:
    arrays = {"a": np.arange(6.0).reshape(2, 3), "b": np.zeros(10_000, np.int8)}
    write_arrays(tmp_path / "a.npz", arrays)
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == arrays.keys()
    assert all(np.array_equal(found[name], arrays[name]) for name in arrays)
    fired = tmp_path / "fired"

    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (fired,)

    payload = header((1,), "|O") + pickle.dumps(np.array([Evil()], dtype=object))
    np.save(tmp_path / "alone.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Evil()))
    entry(tmp_path / "inside.npz", "a.npy", payload)
    for name in ("alone.npy", "plain.npz", "inside.npz"):
        with pytest.raises(InputError, match=r"expected a file of arrays"):
            read_arrays(tmp_path / name)
    assert not fired.exists()


@pytest.mark.parametrize(
    "data",
    [
        header((1 << 40,)) + b"\0" * 64,
        header((1 << 40, 1 << 40)),
        header((2,)) + b"\0" * (200 << 20),
        b"\0" * (200 << 20),
    ],
    ids=["declared", "overflow", "longer", "bomb"],
)
def test_a_file_of_arrays_that_would_burst_is_refused(data: bytes, tmp_path: Path) -> None:
    path = entry(tmp_path / "a.npz", "a.npy", data)
    assert path.stat().st_size < 1 << 19
    with pytest.raises(InputError, match="expected a file of arrays"):
        read_arrays(path)


def test_no_name_leads_into_an_archive_or_to_a_server(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.tif", b"II*\0")
    for path in (f"/vsizip/{tmp_path}/a.zip/a.tif", "/VSICURL/http://127.0.0.1/a.tif", "s3://b/a"):
        reads: tuple[Callable[[Path], Any], ...] = (open_raster, vectors.read, inspect)
        for read in reads:
            with pytest.raises(InputError, match="expected a file on disk"):
                read(Path(path))
