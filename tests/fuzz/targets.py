# SPDX-License-Identifier: Apache-2.0
"""What is given spoilt input, and what it may do then: work, or raise an error for the user."""

from fuzz.images import (
    hdf4_bytes,
    metadata,
    netcdf_bytes,
    read_hdf4,
    read_metadata,
    read_name,
    read_netcdf,
    read_tiff,
    some_names,
    tiff_bytes,
)
from fuzz.outlines import geojson, polygon_bytes, read_polygons
from fuzz.records import (
    forest_bytes,
    go_on,
    kept_headers,
    look_at,
    manifests,
    marker_texts,
    read_forest,
    read_headers,
    read_manifest,
    read_marker,
    read_study,
    read_table,
    run_records,
    study_texts,
    tables,
    with_record,
)
from fuzz.target import Target

TARGETS = {
    "names": Target(some_names, read_name),
    "metadata": Target(metadata, read_metadata, 0.7),
    "hdf4": Target(hdf4_bytes, read_hdf4, 2.0),
    "tiff": Target(tiff_bytes, read_tiff),
    "netcdf": Target(netcdf_bytes, read_netcdf),
    "geojson": Target(geojson, read_polygons(".geojson")),
    "geopackage": Target(polygon_bytes(".gpkg"), read_polygons(".gpkg"), 0.5),
    "shapefile": Target(polygon_bytes(".shp"), read_polygons(".shp"), 0.5),
    "geoparquet": Target(polygon_bytes(".parquet"), read_polygons(".parquet"), 0.5),
    "study": Target(study_texts, read_study),
    "tables": Target(tables, read_table, 0.5),
    "markers": Target(marker_texts, read_marker),
    "headers": Target(kept_headers, read_headers),
    "manifests": Target(manifests, read_manifest, 0.5),
    "runs": Target(run_records, with_record(look_at), 0.3),
    "resumed": Target(run_records, with_record(go_on), 0.05),
    "forests": Target(forest_bytes, read_forest),
}
