# SPDX-License-Identifier: Apache-2.0
"""Polygon and line layers of the user: read by an explicit format, repaired, and reported."""

import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyogrio
import shapely
from shapely.geometry.base import BaseGeometry

from .errors import BoundaryError
from .files import beginning, first_bytes, require_no_file
from .grids import LONLAT, extent
from .repairs import LINES, POLYGONS, Repairs, repair


@dataclass(frozen=True)
class Layer:
    """Valid, two-dimensional features of one file."""

    path: Path
    """The file."""

    frame: gpd.GeoDataFrame
    """The features in the file's own CRS, numbered from 0 in the order of the file."""

    repairs: Repairs
    """What was changed on the way in."""


def read(
    path: Path, layer: str | None = None, polygons: bool = True, keep_duplicates: bool = False
) -> Layer:
    """The features of a GeoPackage, Shapefile, GeoJSON, TopoJSON or GeoParquet file.

    With ``polygons`` only areas are kept: lines left over by the repair of a polygon are dropped,
    and a layer without any polygon is refused. Without it, lines stay too. A feature whose
    geometry repeats an earlier one is dropped, or a mine listed twice would count twice.
    Raises BoundaryError: unknown format, no CRS, several layers and none named, nothing usable.
    """
    path = Path(path)
    frame = READERS[form(path)](path, layer)
    if frame.crs is None:
        raise BoundaryError(f"{path}: expected a coordinate system, found none; {NO_CRS}")
    require_no_file(frame.crs.to_wkt(), path, BoundaryError)
    whole = frame.set_geometry(frame.geometry.name).reset_index(drop=True)
    kinds = POLYGONS if polygons else POLYGONS | LINES
    frame, repairs = repair(whole, kinds, keep_duplicates)
    if frame.empty:
        wanted = "polygons" if polygons else "polygons or lines"
        found = " and ".join(sorted({*whole.geom_type.dropna()} - kinds)) or "none"
        raise BoundaryError(
            f"{path}: expected {wanted}, found {found} ({repairs}); name a file of outlines"
        )
    return Layer(path, frame, repairs)


NO_CRS = "add it (for a Shapefile, the .prj beside it), for example in QGIS: Export, Save As"
"""What to do about a layer without a CRS."""


def form(path: Path) -> str:
    """The format of a file by its ending *and* its first bytes: never by trial.

    Raises BoundaryError where they do not agree, or for a path inside an archive or on a server.
    """
    start = first_bytes(path, 1024, BoundaryError)
    found = FORMATS.get(path.suffix.lower())
    if found is None:
        endings = " ".join(FORMATS)
        raise BoundaryError(
            f"{path}: expected one of {endings}, found {path.suffix or 'no'} ending; "
            "export it as one of these"
        )
    if found == "JSON":
        if not start.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
            raise BoundaryError(
                f"{path}: expected GeoJSON or TopoJSON, found {beginning(start)}; export it again"
            )
        return found
    if not start.startswith(MAGIC[found]):
        raise BoundaryError(
            f"{path}: expected the content of a {found} file, found {beginning(start)}; "
            "export it again"
        )
    return found


FORMATS = {
    ".gpkg": "GPKG",
    ".shp": "ESRI Shapefile",
    ".geojson": "JSON",
    ".json": "JSON",
    ".topojson": "JSON",
    ".parquet": "GeoParquet",
    ".geoparquet": "GeoParquet",
}
"""Format by ending."""

MAGIC = {
    "GPKG": b"SQLite format 3\0",
    "ESRI Shapefile": b"\0\0\x27\x0a",
    "GeoParquet": b"PAR1",
}
"""First bytes of each binary format. Source: their specifications."""


def read_ogr(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    """One layer through GDAL; ``form`` has looked at the content, so that no driver guesses."""
    try:
        with warnings.catch_warnings(action="ignore", category=RuntimeWarning):
            # What GDAL finds odd is either an error below or mended and counted by `repair`.
            names = [name for name, kind in pyogrio.list_layers(path) if kind is not None]
            return pyogrio.read_dataframe(path, layer=chosen(path, names, layer))
    except (RuntimeError, ValueError, shapely.errors.ShapelyError) as error:
        raise BoundaryError(f"{path}: cannot be read: {error}; export it again") from error


def chosen(path: Path, names: list[str], layer: str | None) -> str:
    """The layer asked for, or the only one."""
    if layer is not None and layer in names:
        return layer
    if layer is None and len(names) == 1:
        return names[0]
    wanted = f"layer {layer!r}" if layer else "one layer"
    found = ", ".join(map(repr, names)) or "none"
    raise BoundaryError(f"{path}: expected {wanted}, found {found}; name one, or export one alone")


def read_shapefile(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    """A Shapefile; a lost index (.shx) is made anew in a copy, never beside the user's file."""
    if path.with_suffix(".shx").exists() or path.with_suffix(".SHX").exists():
        return read_ogr(path, layer)
    with tempfile.TemporaryDirectory() as folder:
        for part in path.parent.glob(f"{path.stem}.*"):
            if part.suffix.lower() in {".shp", ".dbf", ".prj", ".cpg"}:
                shutil.copy(part, folder)
        pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": "YES"})
        try:
            return read_ogr(Path(folder) / path.name, layer)
        except BoundaryError as error:
            raise BoundaryError(f"{path}: without its .shx: {error}") from error
        finally:
            pyogrio.set_gdal_config_options({"SHAPE_RESTORE_SHX": None})


def read_json(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    """GeoJSON or TopoJSON; where the file names no CRS, longitude and latitude.

    Source: RFC 7946, section 4; the TopoJSON specification follows it.
    """

    def harmless(entries: dict[str, Any]) -> dict[str, Any]:
        """An object of the document, unless GDAL would follow it to a server or to other files."""
        crs = entries.get("crs")
        if isinstance(crs, dict) and str(crs.get("type")).lower() in {"link", "url"}:
            raise BoundaryError(
                f"{path}: expected a coordinate system, found a link to one; {NO_CRS}"
            )
        return entries

    try:
        text = path.read_text(encoding="utf-8-sig")
        kind = json.loads(text, object_hook=harmless).get("type")
    except (ValueError, RecursionError) as error:
        raise BoundaryError(f"{path}: expected JSON: {error}; export it again") from error
    if str(kind) not in {
        "Topology",
        "FeatureCollection",
        "Feature",
        "GeometryCollection",
        *GEOMETRIES,
    }:
        raise BoundaryError(f"{path}: expected GeoJSON or TopoJSON, found type {kind!r}")
    frame = read_ogr(path, layer)
    return frame.set_crs(LONLAT) if frame.crs is None else frame


GEOMETRIES = {"Point", "MultiPoint", *LINES, *POLYGONS}
"""Geometry types a GeoJSON file may consist of."""


def read_parquet(path: Path, layer: str | None) -> gpd.GeoDataFrame:
    """GeoParquet, whose CRS is longitude and latitude where its metadata name none."""
    try:
        return gpd.read_parquet(path)
    except (ValueError, OSError, KeyError, TypeError, shapely.errors.ShapelyError) as error:
        raise BoundaryError(
            f"{path}: cannot be read as GeoParquet: {error}; export it again"
        ) from error


READERS: dict[str, Callable[[Path, str | None], gpd.GeoDataFrame]] = {
    "GPKG": read_ogr,
    "ESRI Shapefile": read_shapefile,
    "JSON": read_json,
    "GeoParquet": read_parquet,
}
"""Reader by format."""


def require_overlap(layer: Layer, geometry: BaseGeometry, crs: str, what: str) -> None:
    """Raises BoundaryError where no feature of ``layer`` meets ``geometry``; gives both extents."""
    here = gpd.GeoSeries([geometry], crs=crs).to_crs(layer.frame.crs)
    if not shapely.intersects(layer.frame.geometry.values, here.iloc[0]).any():
        ours, theirs = (
            extent(geometry.bounds, crs),
            extent(tuple(layer.frame.total_bounds), layer.frame.crs.to_wkt()),
        )
        raise BoundaryError(
            f"{layer.path}: expected {what} to meet the area at {ours}, found it at {theirs}; "
            "check the file and its coordinate system"
        )
