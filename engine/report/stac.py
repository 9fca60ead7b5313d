"""A catalogue of the run's rasters: a STAC collection with an item for each area and epoch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

import geopandas as gpd
import pystac
import rasterio.warp
import shapely

from ..sources.grids import LONLAT
from ..sources.rasterfiles import opened_tiff
from .findings import Findings, Site

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
        item(findings, site, epoch, stored) for site in findings.sites for epoch in site.epochs
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
    findings: Findings, site: Site, epoch: int, stored: Mapping[str, Committed]
) -> pystac.Item:
    """The item of one area and epoch."""
    with opened_tiff(findings.folder / f"rsei/{site.slug}/{epoch}.tif") as dataset:
        bounds = rasterio.warp.transform_bounds(dataset.crs, LONLAT, *dataset.bounds)
        grid = {
            "proj:code": None,
            "proj:wkt2": dataset.crs.to_wkt(),
            "proj:shape": list(dataset.shape),
            "proj:transform": list(dataset.transform)[:6],
        }
    box = [round(float(edge), 6) for edge in bounds]
    outline = (
        site.outline if site.outline is not None else shapely.box(box[0], box[1], box[2], box[3])
    )
    shape = shapely.set_precision(shapely.simplify(outline, 0.0006), 1e-5, mode="pointwise")
    first, last = seasons(findings.settings, epoch)
    found = pystac.Item(
        id=f"{site.slug}-{epoch}",
        geometry=json.loads(shapely.to_geojson(shape)),
        bbox=box,
        datetime=None,
        properties=grid
        | {
            "title": f"{site.name}, {epoch}",
            "start_datetime": _instant(first, time.min),
            "end_datetime": _instant(last, time(23, 59, 59)),
            "created": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "processing:software": dict(findings.record["versions"]),
            "processing:level": "L4",
            "rsei:settings": findings.settings["rsei"],
        },
        stac_extensions=list(EXTENSIONS),
        collection="rsei",
    )
    for folder, (title, media) in ROLES.items():
        name = f"{folder}/{site.slug}/{epoch}.tif"
        if (findings.folder / name).is_file():
            found.add_asset(folder, _asset(findings, name, title, media, stored.get(name)))
    return found


def _asset(
    findings: Findings, name: str, title: str, media: str, stored: Committed | None
) -> pystac.Asset:
    with opened_tiff(findings.folder / name) as dataset:
        bands = [
            {
                "name": band,
                "data_type": str(dtype),
                "nodata": "nan",
                **({"unit": unit} if unit else {}),
            }
            for band, dtype, unit in zip(dataset.descriptions, dataset.dtypes, dataset.units)
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


def index(files: Mapping[str, bytes]) -> gpd.GeoDataFrame:
    """A row an item: id, area, epoch, path of the map, and outline in degrees."""
    records = [json.loads(data) for name, data in files.items() if name != "stac/collection.json"]
    rows = [
        {
            "id": record["id"],
            "title": record["properties"]["title"],
            "start_datetime": record["properties"]["start_datetime"],
            "end_datetime": record["properties"]["end_datetime"],
            "rsei": record["assets"]["rsei"]["href"],
        }
        for record in records
    ]
    shapes = [shapely.from_geojson(json.dumps(record["geometry"])) for record in records]
    return gpd.GeoDataFrame(rows, geometry=shapes, crs=LONLAT)
