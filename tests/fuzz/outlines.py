# SPDX-License-Identifier: Apache-2.0
"""Spoilt polygons, and who reads them."""

import json
import shutil
from pathlib import Path

import geopandas as gpd
import shapely
from fuzz.damage import ODD, bytes_like, json_like
from fuzz.target import Act, Inputs, within
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from rsei.engine.sources import vectors
from rsei.engine.sources.areas import areas, inside
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window


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
