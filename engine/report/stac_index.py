# SPDX-License-Identifier: Apache-2.0
"""The items of the catalogue as one table, which is also a map."""

import io
import json
from collections.abc import Mapping
from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow.parquet as pq
import shapely

from ..sources.grids import LONLAT


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
    for name in ("start_datetime", "end_datetime", "datetime"):  # the last has none: its type
        frame[name] = pd.to_datetime(frame[name], utc=True)
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
    """An item with its properties beside its other fields, and its box by edge."""
    row = {k: v for k, v in record.items() if k not in ("properties", "geometry")}
    row["bbox"] = dict(zip(("xmin", "ymin", "xmax", "ymax"), record["bbox"]))
    return row | dict(record["properties"])
