# SPDX-License-Identifier: Apache-2.0
"""The catalogue is valid, and says of each raster what the raster says."""

import hashlib
import json
from datetime import date, datetime
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pystac
import pytest
import rasterio
import rasterio.warp
import shapely.geometry
from pystac.extensions.file import FileExtension
from pystac.extensions.processing import ProcessingExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.raster import RasterExtension
from pystac.validation.stac_validator import JsonSchemaSTACValidator
from stac_geoparquet.arrow import stac_table_to_items

from rsei.engine.report.stac import EXTENSIONS, seasons

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def collection(folder: Path) -> pystac.Collection:
    return pystac.Collection.from_file(folder / "stac" / "collection.json")


def test_it_has_an_item_for_every_map(collection: pystac.Collection, folder: Path) -> None:
    maps = {path.relative_to(folder / "rsei") for path in (folder / "rsei").rglob("*.tif")}
    found = {item.id for item in collection.get_items()}
    assert found == {f"{path.parent}-{path.stem}" for path in maps}


def test_it_is_valid_by_the_schemas_of_the_specification(
    collection: pystac.Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that pystac brings along, and so without any network."""
    for one in (collection, *collection.get_items()):
        monkeypatch.setattr(one, "stac_extensions", [])
        assert one.validate()


def test_it_is_valid_by_the_schemas_of_its_extensions(
    collection: pystac.Collection, real_data: Path
) -> None:
    folder = real_data / "stac-extensions"
    if not folder.is_dir():
        pytest.skip(f"no schemas of STAC extensions in {folder}")
    validator = JsonSchemaSTACValidator()
    for address in EXTENSIONS:
        name, version = address.split("/")[-3:-1]
        validator.schema_cache[address] = json.loads(
            (folder / f"{name}-{version}.json").read_text()
        )
    for item in collection.get_items():
        assert item.validate(validator=validator)


def test_it_reads_back_as_it_was_written(collection: pystac.Collection) -> None:
    """pystac's own model of the specification takes every field, and gives it back."""
    for item in collection.get_items():
        again = pystac.Item.from_dict(item.to_dict(include_self_link=False))
        assert again.to_dict(include_self_link=False) == item.to_dict(include_self_link=False)
        assert item.collection_id == collection.id and item.get_parent() is not None
        assert set(item.stac_extensions) == set(EXTENSIONS)


def test_extensions_are_understood(collection: pystac.Collection, folder: Path) -> None:
    """By pystac's model of each, in the version that the item names."""
    for item in collection.get_items():
        grid = ProjectionExtension.ext(item)
        assert grid.wkt2 is not None and grid.wkt2.startswith("PROJCRS[")
        assert ProcessingExtension.ext(item).level == "L4"
        asset = item.assets["rsei"]
        (band,) = RasterExtension.ext(asset).bands or []
        with rasterio.open(folder / "stac" / asset.href) as dataset:
            assert band.nodata == "nan" and str(band.data_type) == dataset.dtypes[0]
            assert band.unit == "1"
            assert band.spatial_resolution == pytest.approx(dataset.res[0], abs=1e-3)
        size, path = FileExtension.ext(asset).size, folder / "stac" / asset.href
        assert size == path.stat().st_size


def test_checksums_are_those_of_the_files(collection: pystac.Collection, folder: Path) -> None:
    for item in collection.get_items():
        for asset in item.assets.values():
            path = (folder / "stac" / asset.href).resolve()
            data = path.read_bytes()
            assert asset.extra_fields["file:size"] == len(data)
            expected = "1220" + hashlib.sha256(data).hexdigest()
            assert asset.extra_fields["file:checksum"] == expected


def test_grids_are_those_of_the_files(collection: pystac.Collection, folder: Path) -> None:
    for item in collection.get_items():
        path = folder / "stac" / item.assets["rsei"].href
        with rasterio.open(path) as dataset:
            assert item.properties["proj:shape"] == list(dataset.shape)
            assert item.properties["proj:transform"] == list(dataset.transform)[:6]
            assert rasterio.crs.CRS.from_wkt(item.properties["proj:wkt2"]) == dataset.crs
            box = rasterio.warp.transform_bounds(dataset.crs, "OGC:CRS84", *dataset.bounds)
            names = [band["name"] for band in item.assets["rsei"].extra_fields["raster:bands"]]
            assert names == list(dataset.descriptions)
        assert item.bbox is not None
        np.testing.assert_allclose(item.bbox, box, atol=1e-6)


def test_the_extent_holds_every_item(collection: pystac.Collection) -> None:
    west, south, east, north = collection.extent.spatial.bboxes[0]
    ((start, end),) = collection.extent.temporal.intervals
    for item in collection.get_items():
        assert item.bbox is not None and start is not None and end is not None
        assert west <= item.bbox[0] and east >= item.bbox[2]
        assert south <= item.bbox[1] and north >= item.bbox[3]
        assert start.date().isoformat() <= item.properties["start_datetime"][:10]


def test_the_index_is_the_items(collection: pystac.Collection, folder: Path) -> None:
    """Read by the package of the specification's authors."""
    table = pq.read_table(folder / "stac" / "items.parquet")
    found = {item["id"]: item for item in stac_table_to_items(table)}
    for item in collection.get_items():
        record = json.loads((folder / "stac" / f"{item.id}.json").read_text())
        there = found.pop(item.id)
        times = ("start_datetime", "end_datetime")
        for one in (record, there):
            for name in times:
                one["properties"][name] = datetime.fromisoformat(one["properties"][name])
        assert there == record
    assert not found


def test_the_index_is_a_map(collection: pystac.Collection, folder: Path) -> None:
    table = gpd.read_parquet(folder / "stac" / "items.parquet")
    assert table.crs == "OGC:CRS84" and table.geometry.is_valid.all()
    for item in collection.get_items():
        (row,) = table[table["id"] == item.id].itertuples()
        assert row.geometry.equals_exact(shapely.geometry.shape(item.geometry or {}), 1e-9)


def test_nothing_in_it_depends_on_where_it_lies(folder: Path) -> None:
    for path in (folder / "stac").glob("*.json"):
        text = path.read_text()
        assert str(folder) not in text
        links = json.loads(text).get("links", [])
        assert all("/" not in link["href"] for link in links)


@pytest.mark.parametrize(
    ("season", "reach", "expected"),
    [
        (["06-01", "09-30"], 1, (date(2018, 6, 1), date(2020, 9, 30))),
        (["11-01", "02-29"], 0, (date(2019, 11, 1), date(2020, 2, 29))),
        (["11-01", "02-29"], 1, (date(2018, 11, 1), date(2021, 2, 28))),
    ],
)
def test_seasons_may_reach_over_the_new_year(
    season: list[str], reach: int, expected: tuple[date, date]
) -> None:
    assert seasons({"granules": {"season": season, "reach": reach}}, 2019) == expected
