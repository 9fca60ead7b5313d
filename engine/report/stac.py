# SPDX-License-Identifier: Apache-2.0
"""A catalogue of the run's rasters: a STAC collection with an item for each area and epoch."""

import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow.parquet as pq
import pystac
import rasterio.warp
import shapely
from shapely.geometry.base import BaseGeometry

from ..sources.grids import LONLAT
from ..sources.rasterfiles import opened_tiff
from .findings import Findings, Site, in_degrees

EXTENSIONS = (
    "https://stac-extensions.github.io/projection/v2.0.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)
"""Extensions of each item, by the address of their schema."""

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
"""Media type of the maps."""

ROLES = {
    "rsei": ("Remote sensing ecological index", COG),
    "indicators": (
        "The four indicators, MNDWI and the common mask",
        "image/tiff; application=geotiff",
    ),
    "composites": (
        "Mean reflectance, NDVI and heat, with counts",
        "image/tiff; application=geotiff",
    ),
}
"""Assets of an item: folder, title and media type."""


@dataclass(frozen=True)
class Committed:
    """A committed file of the run."""

    sha256: str
    """Checksum, hexadecimal."""

    size: int
    """Bytes."""


def catalogue(findings: Findings, stored: Mapping[str, Committed]) -> dict[str, bytes]:
    """The files of the catalogue by their path in the run folder.

    ``stored`` has the checksum of each raster by its path in the run folder.
    """
    items = [
        item(findings, site, epoch, path, stored)
        for site in findings.sites
        for epoch in site.epochs
        for path in site.files("rsei", epoch)
    ]
    record = collection(findings, items).to_dict(include_self_link=False, transform_hrefs=False)
    files = {"stac/collection.json": _json(record)}
    for one in items:
        one.links = [
            pystac.Link("collection", "collection.json", "application/json"),
            pystac.Link("parent", "collection.json", "application/json"),
            pystac.Link("root", "collection.json", "application/json"),
        ]
        files[f"stac/{one.id}.json"] = _json(
            one.to_dict(include_self_link=False, transform_hrefs=False)
        )
    return files


def _json(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, indent=2, ensure_ascii=False).encode() + b"\n"


def item(
    findings: Findings, site: Site, epoch: int, path: Path, stored: Mapping[str, Committed]
) -> pystac.Item:
    """The item of one map: of an area and epoch, or of a tile of it."""
    tile = path.stem if path.parent.name == str(epoch) else ""
    with opened_tiff(path) as dataset:
        bounds = rasterio.warp.transform_bounds(dataset.crs, LONLAT, *dataset.bounds)
        whole = in_degrees(shapely.box(*dataset.bounds), dataset.crs.to_wkt())
        grid = {
            "proj:code": None,
            "proj:wkt2": dataset.crs.to_wkt(version="WKT2_2019"),
            "proj:shape": list(dataset.shape),
            "proj:transform": list(dataset.transform)[:6],
        }
    first, last = seasons(findings.settings, epoch)
    found = pystac.Item(
        id="-".join(filter(None, (site.slug, str(epoch), tile))),
        geometry=json.loads(shapely.to_geojson(_footprint(whole, site.outline, bool(tile)))),
        bbox=[round(float(edge), 6) for edge in bounds],
        datetime=None,
        properties=grid
        | {
            "title": ", ".join(filter(None, (site.name, str(epoch), tile))),
            "start_datetime": _instant(first, time.min),
            "end_datetime": _instant(last, time(23, 59, 59)),
            "processing:software": dict(findings.record["versions"]),
            "processing:level": "L4",
            "rsei:settings": {k: v for k, v in findings.settings["rsei"].items() if v is not None},
        },
        stac_extensions=list(EXTENSIONS),
        collection="rsei",
    )
    for folder, (title, media) in ROLES.items():
        name = f"{folder}/{path.relative_to(findings.folder / 'rsei').as_posix()}"
        if (findings.folder / name).is_file():
            found.add_asset(folder, _asset(findings, name, title, media, stored.get(name)))
    return found


@lru_cache(maxsize=1 << 10)  # the same at each epoch, and a nation's outline takes a while
def _footprint(whole: BaseGeometry, outline: BaseGeometry | None, tiled: bool) -> BaseGeometry:
    """What of the area a map holds, in degrees, coarse; its whole rectangle where none is known."""
    shape = whole if outline is None else outline
    if tiled and outline is not None:
        part = shapely.intersection(shapely.make_valid(outline), whole)
        shape = whole if part.is_empty or shapely.get_dimensions(part) < 2 else part
    return shapely.set_precision(shapely.simplify(shape, 0.0006), 1e-5, mode="pointwise")


def _asset(
    findings: Findings, name: str, title: str, media: str, stored: Committed | None
) -> pystac.Asset:
    with opened_tiff(findings.folder / name) as dataset:
        bands = [
            {
                "name": band,
                "data_type": str(dtype),
                "nodata": "nan" if nodata is not None and math.isnan(nodata) else nodata,
                "spatial_resolution": round(float(dataset.res[1]), 3),
                **({"unit": unit} if unit else {}),
            }
            for band, dtype, nodata, unit in zip(
                dataset.descriptions, dataset.dtypes, dataset.nodatavals, dataset.units
            )
        ]
    extra: dict[str, Any] = {"raster:bands": bands}
    if stored is not None:
        # A multihash: 12 stands for SHA-256, 20 for its 32 bytes.
        extra |= {"file:checksum": f"1220{stored.sha256}", "file:size": stored.size}
    return pystac.Asset(f"../{name}", title, media_type=media, roles=["data"], extra_fields=extra)


def collection(findings: Findings, items: Sequence[pystac.Item]) -> pystac.Collection:
    """The collection of the run's items."""
    boxes = [one.bbox for one in items if one.bbox]
    whole = [
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    ]
    starts = [one.properties["start_datetime"] for one in items]
    stops = [one.properties["end_datetime"] for one in items]
    found = pystac.Collection(
        id="rsei",
        title=f"RSEI: {findings.settings['study']['name']}",
        description="Remote sensing ecological index of each area and epoch of a study.",
        license="other",
        extent=pystac.Extent(
            pystac.SpatialExtent([whole, *boxes] if len(boxes) > 1 else [whole]),
            pystac.TemporalExtent(
                [[datetime.fromisoformat(min(starts)), datetime.fromisoformat(max(stops))]]
            ),
        ),
        keywords=["MODIS", "RSEI", "ecology"],
    )
    for one in items:
        found.add_link(pystac.Link("item", f"{one.id}.json", "application/geo+json", one.id))
    return found


def seasons(settings: Mapping[str, Any], epoch: int) -> tuple[date, date]:
    """First and last day of the seasons that an epoch is made of."""
    reach = settings["granules"]["reach"]
    first, last = (tuple(map(int, day.split("-"))) for day in settings["granules"]["season"])
    over_new_year = last < first
    end_year = epoch + reach + over_new_year
    leap = end_year % 4 == 0 and (end_year % 100 != 0 or end_year % 400 == 0)
    day = 28 if last == (2, 29) and not leap else last[1]
    return date(epoch - reach, *first), date(end_year, last[0], day)


def _instant(day: date, at: time) -> str:
    return datetime.combine(day, at).isoformat() + "Z"


def index(files: Mapping[str, bytes]) -> bytes:
    """The items as one GeoParquet file, a row an item and a column a property.

    Source: stac-geoparquet specification 1.0.0.
    """
    records = [json.loads(data) for name, data in files.items() if name != "stac/collection.json"]
    frame = gpd.GeoDataFrame(
        [_row(record) for record in records],
        geometry=[shapely.from_geojson(json.dumps(record["geometry"])) for record in records],
        crs=LONLAT,
    )
    frame["datetime"] = pd.to_datetime(frame["datetime"], utc=True)  # none, but of that type
    plain = io.BytesIO()
    frame.to_parquet(plain, schema_version="1.1.0")
    table = pq.read_table(plain)
    said = json.dumps({"version": "1.0.0"}).encode()
    found = io.BytesIO()
    pq.write_table(
        table.replace_schema_metadata({**table.schema.metadata, b"stac-geoparquet": said}), found
    )
    return found.getvalue()


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    """An item with its properties beside its other fields, its box by edge, its times as times."""
    row = {k: v for k, v in record.items() if k not in ("properties", "geometry")}
    row["bbox"] = dict(zip(("xmin", "ymin", "xmax", "ymax"), record["bbox"]))
    times = {
        name: pd.to_datetime(value, utc=True)
        for name, value in record["properties"].items()
        if name.endswith("datetime")
    }
    return row | dict(record["properties"]) | times
