"""The catalogue is valid, and says of each raster what the raster says."""

import hashlib
import json
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pystac
import pytest
import rasterio
import rasterio.warp

from rsei.engine.report.stac import EXTENSIONS, seasons

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def collection(folder: Path) -> pystac.Collection:
    return pystac.Collection.from_file(folder / "stac" / "collection.json")


def test_it_has_an_item_for_every_map(collection: pystac.Collection, folder: Path) -> None:
    maps = {path.relative_to(folder / "rsei") for path in (folder / "rsei").rglob("*.tif")}
    found = {item.id for item in collection.get_items()}
    assert found == {f"{path.parent}-{path.stem}" for path in maps}


def test_it_reads_back_as_it_was_written(collection: pystac.Collection) -> None:
    """pystac's own model of the specification takes every field, and gives it back."""
    for item in collection.get_items():
        again = pystac.Item.from_dict(item.to_dict(include_self_link=False))
        assert again.to_dict(include_self_link=False) == item.to_dict(include_self_link=False)
        assert item.collection_id == collection.id and item.get_parent() is not None
        assert set(item.stac_extensions) == set(EXTENSIONS)


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


def test_the_index_has_a_row_for_every_item(collection: pystac.Collection, folder: Path) -> None:
    table = gpd.read_parquet(folder / "stac" / "items.parquet")
    assert set(table["id"]) == {item.id for item in collection.get_items()}
    assert table.crs == "OGC:CRS84" and table.geometry.is_valid.all()


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
