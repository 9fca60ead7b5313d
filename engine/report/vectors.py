# SPDX-License-Identifier: Apache-2.0
"""What a run found of places with an outline, as layers for a GIS, in degrees."""

import io
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import geopandas as gpd
import pandas as pd
import pyogrio

from ..sources.grids import LONLAT
from .findings import Findings, Site

LAYERS = {
    "areas": "Areas with their mean RSEI at each epoch, and its change from the first to the last",
    "mines": "Mines with their size, and their mean RSEI at each epoch",
    "zones": "The user's own zones with their mean RSEI at each epoch",
    "extremes": "Pixels that set the limits of the indicators",
}
"""Layers that a run may have."""

UNDATED = "2000-01-01T00:00:00.000Z"
"""What a GeoPackage says of its time, so that equal results are equal files."""


def layers(findings: Findings) -> dict[str, gpd.GeoDataFrame]:
    """The layers that the tables and the outlines of the run allow, by name."""
    tables = {
        "areas": [_area(findings, site) for site in findings.sites],
        "mines": [_mines(findings, site) for site in findings.sites],
        "zones": [_zones(findings, site) for site in findings.sites],
        "extremes": [_extremes(findings)],
    }
    found = {}
    for name, parts in tables.items():
        rows = [part for part in parts if part is not None]
        if rows:
            frame = pd.concat(rows, ignore_index=True)
            found[name] = gpd.GeoDataFrame(frame, geometry="geometry", crs=LONLAT)
    return found


def _area(findings: Findings, site: Site) -> pd.DataFrame | None:
    means = _wide(findings.of("series", site.name), "zone")
    if means is None or site.outline is None or "area" not in means.index:
        return None
    row = means.loc[["area"]].reset_index(drop=True)
    row.insert(0, "area", site.name)
    return row.assign(
        change=row.iloc[:, -1] - row.iloc[:, 1], geometry=gpd.GeoSeries([site.outline])
    )


def _mines(findings: Findings, site: Site) -> pd.DataFrame | None:
    table = findings.of("mines", site.name)
    means = _wide(table, "mine")
    if table is None or means is None:
        return None
    shapes = dict(zip(site.numbers, site.mines))
    size = table.drop_duplicates("mine").set_index("mine")[["area_km2", "size_class"]]
    return _placed(site, "mine", size.join(means), shapes)


def _zones(findings: Findings, site: Site) -> pd.DataFrame | None:
    means = _wide(findings.of("zones", site.name), "zone")
    return None if means is None else _placed(site, "zone", means, site.zones)


def _wide(table: pd.DataFrame | None, key: str) -> pd.DataFrame | None:
    """Mean RSEI by ``key``, a column an epoch."""
    if table is None:
        return None
    single = table[table["epoch"] != "all"]
    wide = single.pivot(index=key, columns="epoch", values="mean")
    return wide.rename(columns=lambda epoch: f"mean_{epoch}").rename_axis(columns=None)


def _placed(
    site: Site, key: str, rows: pd.DataFrame, shapes: Mapping[Any, Any]
) -> pd.DataFrame | None:
    """The rows of which the outline is known, with it."""
    known = rows[rows.index.isin(list(shapes))].rename_axis(key).reset_index()
    if known.empty:
        return None
    known.insert(0, "area", site.name)
    return known.assign(geometry=[shapes[name] for name in known[key]])


def _extremes(findings: Findings) -> pd.DataFrame | None:
    table = findings.of("extremes")
    if table is None:
        return None
    table = table[table["lon"].notna() & table["lat"].notna()].drop(columns=["x", "y"])
    return table.assign(geometry=gpd.points_from_xy(table["lon"], table["lat"]))


def geopackage(found: Mapping[str, gpd.GeoDataFrame]) -> bytes:
    """The layers as one GeoPackage."""
    before = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "results.gpkg"
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": UNDATED})
        try:
            for name, frame in found.items():
                pyogrio.write_dataframe(frame, path, layer=name, append=path.exists())
        finally:
            pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})
        return path.read_bytes()


def geoparquet(frame: gpd.GeoDataFrame) -> bytes:
    """A layer as GeoParquet."""
    data = io.BytesIO()
    frame.to_parquet(data, index=False, schema_version="1.1.0", compression="zstd")
    return data.getvalue()


def files(findings: Findings) -> Iterator[tuple[str, bytes | None]]:
    """Every file of the layers by its path in the run folder; None for one that is not to be."""
    found = layers(findings)
    yield "vectors/results.gpkg", geopackage(found) if found else None
    for name in LAYERS:
        yield f"vectors/{name}.parquet", geoparquet(found[name]) if name in found else None
