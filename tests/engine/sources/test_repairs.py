# SPDX-License-Identifier: Apache-2.0
"""Features as they are wanted: every fault that a user's file has, mended and counted."""

from typing import Any

import geopandas as gpd
import shapely

from rsei.engine.sources.repairs import LINES, POLYGONS, only, repair

SQUARE = shapely.box(0, 0, 1, 1)
BOW_TIE = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])


def frame(*shapes: Any) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame({"id": range(len(shapes))}, geometry=list(shapes), crs="EPSG:4326")


def test_faults_are_mended_and_counted() -> None:
    high = shapely.force_3d(shapely.box(7, 7, 8, 8), z=100)
    turned = shapely.Polygon([(1, 1), (0, 1), (0, 0), (1, 0)])
    shapes = frame(SQUARE, BOW_TIE, high, None, shapely.Polygon(), turned)
    layer, repairs = repair(shapes, POLYGONS)
    assert dict(repairs.repaired) == {"Self-intersection": 1}
    assert (repairs.read, repairs.flattened, repairs.empty, repairs.duplicates) == (6, 1, 2, 1)
    assert layer.id.tolist() == [0, 1, 2]
    assert layer.geometry.is_valid.all()
    assert not layer.geometry.has_z.any()
    assert layer.geometry[1].area == 0.5
    assert str(repairs) == (
        "6 features, 1 repaired (Self-intersection), 1 flattened, "
        "2 dropped (empty or of another kind), 1 duplicates dropped"
    )


def test_repair_keeps_areas_alone() -> None:
    spike = shapely.make_valid(shapely.Polygon([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0), (-1, 0)]))
    assert shapely.equals(only(spike, POLYGONS), SQUARE)
    assert only(shapely.LineString([(0, 0), (1, 1)]), POLYGONS) is None
    nested = shapely.GeometryCollection([shapely.GeometryCollection([SQUARE]), shapely.Point(0, 0)])
    assert shapely.equals(only(nested, POLYGONS), SQUARE)
    assert only(nested, LINES) is None


def test_overlapping_parts_become_one() -> None:
    apart = shapely.MultiPolygon([BOW_TIE, shapely.box(5, 5, 6, 6)])
    overlapping = shapely.MultiPolygon([SQUARE, shapely.box(0.5, 0, 2, 1)])
    outside = shapely.MultiPolygon([(SQUARE.exterior, [shapely.box(2, 2, 3, 3).exterior])])
    layer, repairs = repair(frame(apart, overlapping, outside), POLYGONS)
    assert shapely.area(layer.geometry.values).tolist() == [1.5, 2, 2]
    assert sum(repairs.repaired.values()) == 3
