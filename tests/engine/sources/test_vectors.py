# SPDX-License-Identifier: Apache-2.0
"""Vector layers: every format, every fault a user's file has, and real files."""

import json
import shutil
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rsei.engine.sources.errors import BoundaryError
from rsei.engine.sources.grids import LONLAT, extent
from rsei.engine.sources.repairs import POLYGONS, only
from rsei.engine.sources.vectors import read, require_overlap

ONE_FOLDER = [HealthCheck.function_scoped_fixture]
SQUARE = shapely.box(0, 0, 1, 1)
BOW_TIE = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])


def frame(*shapes: Any, crs: str | None = "EPSG:4326") -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"id": range(len(shapes))}, geometry=list(shapes), crs=crs)


def write(layer: gpd.GeoDataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        layer.to_parquet(path)
    else:
        layer.to_file(path)
    return path


@pytest.mark.parametrize("ending", ["gpkg", "shp", "geojson", "parquet"])
def test_each_format_gives_the_same_features(tmp_path: Path, ending: str) -> None:
    shapes = frame(SQUARE, shapely.MultiPolygon([shapely.box(2, 2, 3, 3), shapely.box(4, 4, 5, 6)]))
    layer = read(write(shapes, tmp_path / f"mines.{ending}"))
    assert shapely.equals(layer.frame.geometry.values, shapes.geometry.values).all()
    assert layer.frame.crs.to_epsg() == 4326
    assert str(layer.repairs) == "2 features"


@pytest.mark.slow
def test_topojson_arcs_equal_a_decoder_written_out(tmp_path: Path, real_data: Path) -> None:
    path = real_data / "coast" / "land-50m.json"
    topology = json.loads(path.read_text())
    scale, shift = (np.array(topology["transform"][key]) for key in ("scale", "translate"))
    arcs = [np.cumsum(arc, axis=0) * scale + shift for arc in topology["arcs"]]

    def ring(numbers: list[int]) -> list[Any]:
        points: list[Any] = []
        for number in numbers:
            arc = arcs[number] if number >= 0 else arcs[~number][::-1]
            points += list(map(tuple, arc[1:] if points else arc))
        return points

    (land,) = topology["objects"]["land"]["geometries"]
    expected = shapely.MultiPolygon(
        [(ring(part[0]), [ring(hole) for hole in part[1:]]) for part in land["arcs"]]
    )
    layer = read(path)
    assert dict(layer.repairs.repaired) == {"Self-intersection": 1}
    assert layer.frame.crs == LONLAT
    parts = shapely.make_valid(shapely.get_parts(expected))
    found, oracle = layer.frame.geometry[0], only(shapely.union_all(parts), POLYGONS)
    assert oracle is not None
    assert found.area == pytest.approx(oracle.area, rel=1e-12)
    points = [set(map(tuple, shapely.get_coordinates(g).round(6))) for g in (found, oracle)]
    assert points[0] == points[1]


def test_geojson_without_crs_is_longitude_and_latitude(tmp_path: Path) -> None:
    path = tmp_path / "city.geojson"
    path.write_text(json.dumps(shapely.geometry.mapping(SQUARE)))
    assert read(path).frame.total_bounds.tolist() == [0, 0, 1, 1]


def test_duplicates_stay_where_they_have_names(tmp_path: Path) -> None:
    path = write(frame(SQUARE, SQUARE), tmp_path / "cities.gpkg")
    assert len(read(path).frame) == 1
    assert len(read(path, keep_duplicates=True).frame) == 2


def test_lines_are_kept_only_on_request(tmp_path: Path) -> None:
    path = write(frame(shapely.LineString([(0, 0), (1, 1)])), tmp_path / "coast.gpkg")
    assert len(read(path, polygons=False).frame) == 1
    with pytest.raises(BoundaryError, match="expected polygons, found LineString"):
        read(path)


def test_missing_crs_is_an_error(tmp_path: Path) -> None:
    path = write(frame(SQUARE), tmp_path / "city.shp")
    path.with_suffix(".prj").unlink()
    with pytest.raises(BoundaryError, match=r"expected a coordinate system.*\.prj"):
        read(path)


def test_layers_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    path = tmp_path / "both.gpkg"
    frame(SQUARE).to_file(path, layer="city")
    frame(BOW_TIE).to_file(path, layer="mines")
    with pytest.raises(BoundaryError, match="found 'city', 'mines'"):
        read(path)
    assert read(path, layer="mines").repairs.repaired
    with pytest.raises(BoundaryError, match="expected layer 'pits'"):
        read(path, layer="pits")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.kml", b"<kml/>", "expected one of"),
        ("a.gpkg", b"<OGRVRTDataSource/>", "content of a GPKG"),
        ("a.shp", b"SQLite format 3\0", "content of a ESRI Shapefile"),
        ("a.geojson", b"<OGRVRTDataSource/>", "expected GeoJSON"),
        ("a.json", b'{"type": "Catalog"}', "found type 'Catalog'"),
        ("a.json", b'{"type": ', "expected JSON"),
        ("a.json", b'{"a":' * 100_000, "expected JSON"),
        ("a.geojson", b'{"type": "FeatureCollection", "features": []}', "expected"),
        ("a.gpkg", b"SQLite format 3\0" + b"x" * 4000, "cannot be read"),
        ("a.parquet", b"PAR1" + b"x" * 4000, "cannot be read"),
        ("a.shp", b"\0\0\x27\x0a" + b"x" * 50, "cannot be read"),
    ],
)
def test_bad_file_is_a_named_error(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(BoundaryError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    "path", ["/vsizip/a.zip/city.shp", "https://example.org/city.geojson", "missing.gpkg"]
)
def test_path_off_the_disk_is_refused(path: str) -> None:
    with pytest.raises(BoundaryError, match="expected a file"):
        read(Path(path))


def test_mines_that_miss_the_city_give_both_extents(tmp_path: Path) -> None:
    mines = read(write(frame(shapely.box(10, 20, 11, 21)), tmp_path / "mines.gpkg"))
    with pytest.raises(BoundaryError) as caught:
        require_overlap(mines, SQUARE, "EPSG:4326", "the mines")
    assert "0.000 to 1.000 E, 0.000 to 1.000 N" in str(caught.value)
    assert "10.000 to 11.000 E, 20.000 to 21.000 N" in str(caught.value)
    require_overlap(mines, shapely.box(10.5, 20.5, 30, 30), "EPSG:4326", "the mines")


def test_extent_of_the_modis_sphere_keeps_latitudes() -> None:
    metres = 6371007.181 * np.pi / 180
    crs = "+proj=sinu +R=6371007.181 +units=m +no_defs"
    assert extent((0, 0, 0, 40 * metres), crs) == "0.000 to 0.000 E, 0.000 to 40.000 N"


def test_real_mines_are_repaired(real_data: Path) -> None:
    mines = read(real_data / "mines" / "gem_coal_mine_boundaries_v1.0.1.geojson")
    assert (mines.repairs.read, sum(mines.repairs.repaired.values())) == (333, 4)
    assert mines.frame.geometry.is_valid.all()
    assert set(mines.frame.geom_type) <= POLYGONS


def test_shapefile_without_index_is_read_and_left_alone(tmp_path: Path, real_data: Path) -> None:
    for part in (real_data / "grids").glob("modis_sinusoidal_grid_world.*"):
        shutil.copy(part, tmp_path)
    before = sorted(tmp_path.iterdir())
    layer = read(tmp_path / "modis_sinusoidal_grid_world.shp")
    assert len(layer.frame) == 648
    assert sorted(tmp_path.iterdir()) == before


numbers = st.floats() | st.integers(-(10**20), 10**20) | st.sampled_from([0, 1, 180, 1e308])
rings = st.lists(st.lists(st.lists(numbers, max_size=4), max_size=6), max_size=3)
shapes = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["Polygon", "MultiPolygon", "LineString", "Topology", "Feature"]),
        "coordinates": rings | st.lists(rings, max_size=3) | st.none() | st.text(max_size=3),
        "arcs": rings | st.text(max_size=3),
        "objects": st.none() | st.dictionaries(st.text(max_size=3), rings, max_size=2),
    }
)


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(document=shapes | st.fixed_dictionaries({"type": st.just("Feature"), "geometry": shapes}))
def test_malformed_json_gives_features_or_a_named_error(
    tmp_path: Path, document: dict[str, Any]
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document))
    try:
        assert read(path, polygons=False).frame.geometry.is_valid.all()
    except BoundaryError as error:
        assert str(path) in str(error)
