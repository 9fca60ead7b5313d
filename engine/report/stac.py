# SPDX-License-Identifier: Apache-2.0
"""A catalogue of the run's rasters: a STAC collection with an item for each area and epoch."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import lru_cache
from pathlib import Path
from typing import Any

import rasterio.warp
import shapely
from affine import Affine
from rasterio.transform import array_bounds
from shapely.geometry.base import BaseGeometry

from ..sources.geotiff import stored_transform
from ..sources.grids import LONLAT
from ..sources.rasterfiles import opened_tiff
from .findings import Findings, Site, in_degrees

VERSION = "1.1.0"
"""Version of the specification."""

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


Record = dict[str, Any]
"""A JSON object."""


@dataclass(frozen=True)
class Looked:
    """What a raster says of itself."""

    bands: list[Record]
    """Its bands, as the extension for rasters has them."""

    shape: tuple[int, int]
    """Rows and columns."""

    transform: Affine
    """Of columns and rows to its coordinate system."""


def catalogue(findings: Findings, stored: Mapping[str, Committed]) -> dict[str, bytes]:
    """The files of the catalogue by their path in the run folder.

    ``stored`` has the checksum of each raster by its path in the run folder.
    """
    items = [item(findings, one, stored) for site in findings.sites for one in _maps(site)]
    files = {"stac/collection.json": _json(collection(findings, items))}
    return files | {f"stac/{one['id']}.json": _json(one) for one in items}


def _json(record: Record) -> bytes:
    return json.dumps(record, indent=2, ensure_ascii=False).encode() + b"\n"


@dataclass(frozen=True)
class Map:
    """One map of the index."""

    site: Site
    """Its area."""

    epoch: int
    """Middle year."""

    path: Path
    """Its file: of the whole area, or of a tile of it."""

    crs: rasterio.CRS
    """Its coordinate system."""

    @property
    def tile(self) -> str:
        """The tile; empty for the whole area."""
        return self.path.stem if self.path.parent.name == str(self.epoch) else ""

    @property
    def parts(self) -> list[str]:
        """Epoch and tile, if it has one."""
        return [str(self.epoch), self.tile] if self.tile else [str(self.epoch)]


def _maps(site: Site) -> Iterator[Map]:
    """The maps of an area."""
    crs = site.crs()
    for epoch in site.epochs:
        for path in site.files("rsei", epoch):
            yield Map(site, epoch, path, crs)


def item(findings: Findings, one: Map, stored: Mapping[str, Committed]) -> Record:
    """The item of one map: of an area and epoch, or of a tile of it."""
    looked = _looked(one.path)
    place = _place(one.crs, looked.transform, looked.shape)
    first, last = seasons(findings.settings, one.epoch)
    assets = {}
    for folder, (title, media) in ROLES.items():
        name = f"{folder}/{one.path.relative_to(findings.folder / 'rsei').as_posix()}"
        path = findings.folder / name
        if path.is_file():
            bands = (looked if path == one.path else _looked(path)).bands
            assets[folder] = _asset(name, title, media, bands, stored.get(name))
    footprint = _footprint(place.outline, one.site.outline, bool(one.tile))
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": list(EXTENSIONS),
        "id": "-".join([one.site.slug, *one.parts]),
        "geometry": json.loads(shapely.to_geojson(footprint)),
        "bbox": place.box,
        "properties": {
            "proj:code": None,
            "proj:wkt2": place.wkt2,
            "proj:shape": list(looked.shape),
            "proj:transform": list(looked.transform)[:6],
            "title": ", ".join([one.site.name, *one.parts]),
            "start_datetime": _instant(first, time.min),
            "end_datetime": _instant(last, time(23, 59, 59)),
            "processing:software": dict(findings.record["versions"]),
            "processing:level": "L4",
            "rsei:settings": {k: v for k, v in findings.settings["rsei"].items() if v is not None},
            "datetime": None,
        },
        "links": [
            {"rel": rel, "href": "collection.json", "type": "application/json"}
            for rel in ("collection", "parent", "root")
        ],
        "assets": assets,
        "collection": "rsei",
    }


@dataclass(frozen=True)
class Place:
    """Where the pixels of a map lie."""

    wkt2: str
    """Their coordinate system."""

    box: list[float]
    """West, south, east and north, degrees."""

    outline: BaseGeometry
    """Their rectangle, in degrees."""


@lru_cache(maxsize=1 << 10)  # the same at each epoch
def _place(crs: rasterio.CRS, transform: Affine, shape: tuple[int, int]) -> Place:
    bounds = array_bounds(*shape, transform)
    box = rasterio.warp.transform_bounds(crs, LONLAT, *bounds)
    return Place(
        crs.to_wkt(version="WKT2_2019"),
        [round(float(edge), 6) for edge in box],
        in_degrees(shapely.box(*bounds), crs.to_wkt()),
    )


@lru_cache(maxsize=1 << 10)  # the same at each epoch, and a nation's outline takes a while
def _footprint(whole: BaseGeometry, outline: BaseGeometry | None, tiled: bool) -> BaseGeometry:
    """What of the area a map holds, in degrees, coarse; its whole rectangle where none is known."""
    shape = whole if outline is None else outline
    if tiled and outline is not None:
        part = shapely.intersection(shapely.make_valid(outline), whole)
        shape = whole if part.is_empty or shapely.get_dimensions(part) < 2 else part
    return shapely.set_precision(shapely.simplify(shape, 0.0006), 1e-5, mode="pointwise")


def _looked(path: Path) -> Looked:
    place = stored_transform(path)
    with opened_tiff(path, placed=place is None) as dataset:
        transform = place or dataset.transform
        bands = [
            {
                "name": band,
                "data_type": str(dtype),
                "nodata": "nan" if nodata is not None and math.isnan(nodata) else nodata,
                "spatial_resolution": round(float(-transform.e), 3),
                **({"unit": unit} if unit else {}),
            }
            for band, dtype, nodata, unit in zip(
                dataset.descriptions, dataset.dtypes, dataset.nodatavals, dataset.units
            )
        ]
        return Looked(bands, dataset.shape, transform)


def _asset(
    name: str, title: str, media: str, bands: list[Record], stored: Committed | None
) -> Record:
    found: Record = {"href": f"../{name}", "type": media, "title": title, "raster:bands": bands}
    if stored is not None:
        # A multihash: 12 stands for SHA-256, 20 for its 32 bytes.
        found |= {"file:checksum": f"1220{stored.sha256}", "file:size": stored.size}
    return found | {"roles": ["data"]}


def collection(findings: Findings, items: Sequence[Record]) -> Record:
    """The collection of the run's items."""
    boxes = [one["bbox"] for one in items]
    whole = [edge(ends) for edge, ends in zip((min, min, max, max), zip(*boxes))]
    starts = [one["properties"]["start_datetime"] for one in items]
    stops = [one["properties"]["end_datetime"] for one in items]
    return {
        "type": "Collection",
        "id": "rsei",
        "stac_version": VERSION,
        "description": "Remote sensing ecological index of each area and epoch of a study.",
        "links": [
            {
                "rel": "item",
                "href": f"{one['id']}.json",
                "type": "application/geo+json",
                "title": one["id"],
            }
            for one in items
        ],
        "title": f"RSEI: {findings.settings['study']['name']}",
        "extent": {
            "spatial": {"bbox": [whole, *boxes] if len(boxes) > 1 else [whole]},
            "temporal": {"interval": [[min(starts), max(stops)]]},
        },
        "license": "other",
        "keywords": ["MODIS", "RSEI", "ecology"],
    }


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
