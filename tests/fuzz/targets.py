# SPDX-License-Identifier: Apache-2.0
"""What is given spoilt input, and what it may do then: work, or raise an error for the user."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import driven
import geopandas as gpd
import h5py
import numpy as np
import rasterio
import shapely
import studies
from affine import Affine
from chunked_files import rechunk
from fuzz.damage import ODD, bytes_like, json_like, text_like
from granule_files import core_metadata, granule_name, struct_metadata, write_granule
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rsei.engine.run import applying, pipeline, reading, reporting
from rsei.engine.run.opening import open_run
from rsei.engine.run.skeleton import skeleton
from rsei.engine.run.store import Key, Store
from rsei.engine.run.upkeep import verification
from rsei.engine.sources import vectors
from rsei.engine.sources.areas import areas, inside
from rsei.engine.sources.errors import GranuleError, RseiError
from rsei.engine.sources.fixed import numbers
from rsei.engine.sources.granules import catalogue, read
from rsei.engine.sources.grids import SINUSOIDAL_500M, Lattice, Window, tile_window
from rsei.engine.sources.hdf4 import HDF4File
from rsei.engine.sources.inspection import inspect
from rsei.engine.sources.located import name_of
from rsei.engine.sources.manifest import MANIFEST, Manifest
from rsei.engine.sources.rasters import on_lattice
from rsei.engine.sources.records import Wanted

Inputs = Callable[[Path], SearchStrategy[bytes]]
Act = Callable[[bytes, Path], None]

DAY = date(2022, 6, 10)
TILE = "h27v05"
CORNER = tile_window(TILE, SINUSOIDAL_500M)
WINDOW = Window(CORNER.top, CORNER.left, 20, 30)
METRES = Lattice("EPSG:32632", 500_000, 5_000_000, 500, 500)


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote."""

    inputs: Inputs
    """Spoilt input, made of sound input that is written into a folder."""

    act: Act
    """Reads it; raises RseiError or nothing. The folder is the same, for files."""

    share: float = 1.0
    """Part of the inputs that it is given: some take their time."""


def within(folder: Path, name: str, data: bytes) -> Path:
    """A file of ``data``, alone in a folder of its own."""
    place = folder / "spoilt"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / name).write_bytes(data)
    return place / name


# ---- names


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


# ---- granules


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


# ---- polygons


def polygons() -> gpd.GeoDataFrame:
    shapes = [shapely.box(5, 5, 6, 6), shapely.box(7, 7, 8, 8).union(shapely.box(9, 9, 10, 10))]
    return gpd.GeoDataFrame({"name": ["a", "b"]}, geometry=shapes, crs="EPSG:4326")


def polygon_bytes(ending: str) -> Inputs:
    def inputs(folder: Path) -> SearchStrategy[bytes]:
        path = folder / f"seed{ending}"
        if ending == ".parquet":
            polygons().to_parquet(path)
        else:
            polygons().to_file(path)
        return bytes_like(path.read_bytes())

    return inputs


def read_polygons(ending: str) -> Act:
    def act(data: bytes, folder: Path) -> None:
        path = within(folder, f"a{ending}", data)
        if ending == ".shp":
            for part in (".shx", ".dbf", ".prj"):
                shutil.copy(folder / f"seed{part}", path.with_suffix(part))
        vectors.read(path, polygons=False)
        for area in areas(path, "a"):
            inside(area, SINUSOIDAL_500M, Window(20_000, 44_000, 8, 8))

    return act


NUMBERS = st.floats() | st.integers(-(10**20), 10**20) | st.sampled_from([0, 1, 180, 1e308])
RINGS = st.lists(st.lists(st.lists(NUMBERS, max_size=4), max_size=6), max_size=3)
KINDS = [*vectors.GEOMETRIES, "Topology", "Feature", "FeatureCollection", "GeometryCollection"]
SHAPES = st.fixed_dictionaries(
    {
        "type": st.sampled_from(KINDS) | ODD,
        "coordinates": RINGS | st.lists(RINGS, max_size=3) | st.none() | ODD,
        "arcs": RINGS | ODD,
        "objects": st.none() | st.dictionaries(ODD, RINGS, max_size=2),
        "crs": st.none() | st.dictionaries(ODD | st.just("type"), ODD, max_size=2),
    }
)
TREES = st.recursive(
    SHAPES,
    lambda inner: st.fixed_dictionaries(
        {
            "type": st.sampled_from(KINDS),
            "geometry": inner,
            "features": st.lists(inner, max_size=3),
            "geometries": st.lists(inner, max_size=3),
            "properties": st.none() | st.dictionaries(ODD, ODD, max_size=2),
        }
    ),
    max_leaves=4,
)


def geojson(folder: Path) -> SearchStrategy[bytes]:
    seed = polygons().to_json().encode()
    written = TREES.map(lambda tree: json.dumps(tree).encode("utf-8", "replace"))
    return written | json_like(seed) | bytes_like(seed)


# ---- what the user and the run write


def study_texts(folder: Path) -> SearchStrategy[bytes]:
    text = driven.study(folder, folder).read_text()
    return text_like(text) | bytes_like(text.encode()) | text_like(skeleton().replace("# ", ""))


def read_study(data: bytes, folder: Path) -> None:
    study = reading.parse(data, folder / "study.toml")
    study.resolved()


def tables(folder: Path) -> SearchStrategy[bytes]:
    text = "indicator,min,max\nndvi,-0.1,0.9\nwet,-0.3,0.2\nndbsi,-0.5,0.5\nlst,280,320\n"
    return text_like(text) | bytes_like(text.encode())


def read_table(data: bytes, folder: Path) -> None:
    numbers(within(folder, "limits.csv", data), ("indicator", "min", "max"))


def marker_texts(folder: Path) -> SearchStrategy[bytes]:
    store = Store(folder / "store-seed")
    with store.writing(KEY, ["store/a.bin"]) as draft:
        draft.paths["store/a.bin"].write_bytes(b"pixels")
        draft.payload["observations"] = {"red": 16}
    data = store.marker_path(KEY.stage, KEY.name).read_bytes()
    return json_like(data) | bytes_like(data)


def manifests(folder: Path) -> SearchStrategy[bytes]:
    name = granule_name("MOD09A1", DAY, TILE)
    entry = {"file": name, "size": 3, "algorithm": "md5", "checksum": "0" * 32,
             "url": "https://a/b", "time": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    absent = {"absent": name[:27], "time": entry["time"]}
    failed = {"failed": name, "reason": "404", "time": entry["time"]}
    lines = [json.dumps(one).encode() for one in (entry, absent, failed)]
    spoilt = st.one_of(*map(json_like, lines), *map(bytes_like, lines))
    return st.lists(spoilt, min_size=1, max_size=3).map(b"\n".join)


def read_manifest(data: bytes, folder: Path) -> None:
    found = Manifest.read(within(folder, MANIFEST, data).parent)
    found.stems()
    found.lacking()
    found.settled(Wanted("MOD09A1", "061", TILE, DAY))


KEY = Key("partial", "h27v05/2019", 1, {"preset": "standard"}, {"a": "b"})


def read_marker(data: bytes, folder: Path) -> None:
    store = Store(folder / "store-seed")
    store.marker_path(KEY.stage, KEY.name).write_bytes(data)
    store.find(KEY)
    store.why(KEY)
    verification(store)


@cache
def finished(folder: Path) -> Path:
    """A small study with drivers and a forest, run."""
    home = folder / "study"
    driven.inputs(home)
    studies.run(driven.study(home, studies.write_all(folder / "granules")), until="analyse")
    return home


def records(folder: Path) -> Iterator[Path]:
    """What a run remembers of itself."""
    run = finished(folder) / "run"
    yield run / "run.json"
    yield from sorted((run / "store/markers").rglob("*.json"))


def run_records(folder: Path) -> SearchStrategy[bytes]:
    run = finished(folder) / "run"

    def named(path: Path) -> SearchStrategy[bytes]:
        name = path.relative_to(run).as_posix().encode() + b"\0"
        spoilt = json_like(path.read_bytes()) | bytes_like(path.read_bytes())
        return spoilt.map(lambda data: name + data)

    return st.one_of(*map(named, records(folder)))


def with_record(look: Callable[[Path], None]) -> Act:
    """Replace one record of the run, look at the run, and put the record back."""

    def act(data: bytes, folder: Path) -> None:
        run = finished(folder) / "run"
        name, _, text = data.partition(b"\0")
        path = run / name.decode()
        sound = path.read_bytes()
        path.write_bytes(text)
        try:
            look(run)
        finally:
            path.write_bytes(sound)

    return act


def look_at(run: Path) -> None:
    for look in (
        lambda: pipeline.status(run, why=True),
        lambda: verification(Store(run)),
        lambda: reporting.headline(run),
        lambda: open_run(run).rsei.mean().compute(),
        lambda: applying.saved(run, None),
    ):
        with suppress(RseiError):
            look()


def go_on(run: Path) -> None:
    """What a record says wrong may cost work, and may end the run: with an error for the user."""
    outcome = studies.run(run.parent / "study.toml", until="analyse")
    unforeseen = [reason for _, reason in outcome.failed if "unexpected" in reason]
    assert not unforeseen, unforeseen


def forest_bytes(folder: Path) -> SearchStrategy[bytes]:
    (path,) = (finished(folder) / "run/forests").glob("*.npz")
    arrays = np.load(path)
    plain = folder / "plain.npz"
    np.savez(plain, **{name: arrays[name] for name in arrays.files})
    return bytes_like(plain.read_bytes()) | bytes_like(path.read_bytes())


def read_forest(data: bytes, folder: Path) -> None:
    path = within(folder, "forests", b"")
    path.unlink()
    path.mkdir()
    (path / "small-town.npz").write_bytes(data)
    found = applying.saved(path.parent, None)
    rows = np.random.default_rng(0).normal(size=(50, len(found.trees.drivers)))
    found.trees.predict(rows)


TARGETS = {
    "names": Target(some_names, read_name),
    "metadata": Target(metadata, read_metadata, 0.7),
    "hdf4": Target(hdf4_bytes, read_hdf4, 2.0),
    "tiff": Target(tiff_bytes, read_tiff),
    "netcdf": Target(netcdf_bytes, read_netcdf),
    "geojson": Target(geojson, read_polygons(".geojson")),
    "geopackage": Target(polygon_bytes(".gpkg"), read_polygons(".gpkg"), 0.5),
    "shapefile": Target(polygon_bytes(".shp"), read_polygons(".shp"), 0.5),
    "geoparquet": Target(polygon_bytes(".parquet"), read_polygons(".parquet"), 0.5),
    "study": Target(study_texts, read_study),
    "tables": Target(tables, read_table, 0.5),
    "markers": Target(marker_texts, read_marker),
    "manifests": Target(manifests, read_manifest, 0.5),
    "runs": Target(run_records, with_record(look_at), 0.3),
    "resumed": Target(run_records, with_record(go_on), 0.05),
    "forests": Target(forest_bytes, read_forest),
}
