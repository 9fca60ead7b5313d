# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import pytest
import shapely
from mining_worlds import EPOCHS, LONLAT, square, stack_of

from rsei.engine.analysis.grades import GRADES, grade, grades, transitions
from rsei.engine.analysis.stacks import Stack, parts_of
from rsei.engine.analysis.zones import pixel_areas


def town() -> Stack:
    rng = np.random.default_rng(1)
    stack = stack_of(square(side=0.3), lambda lon, lat: rng.random(lon.shape))
    rsei = stack.rsei.copy()
    rsei[1] = rsei[1] ** 2
    rsei[2, :20] = np.nan
    return Stack("Town", stack.lattice, stack.window, EPOCHS, rsei)


@pytest.mark.parametrize("scheme", ["five", "ten"])
def test_lower_edges_belong_to_their_grade(scheme: str) -> None:
    number = len(GRADES[scheme])
    edges = np.array([k / number for k in range(number + 1)], np.float32)
    below = np.nextafter(edges, np.float32(-1))
    assert grade(edges, scheme).tolist() == [*range(number), number - 1]
    assert grade(below[1:], scheme).tolist() == list(range(number))


def test_areas_of_grades() -> None:
    stack = town()
    mine = [shapely.Point(117.85, 39.35).buffer(0.05)]
    table = grades(stack, parts_of(stack, mine, LONLAT))
    names = "area,zone,epoch,scheme,grade,low,high,n,area_km2,share"
    assert ",".join(table.columns) == names
    key = ["zone", "epoch", "scheme"]
    np.testing.assert_allclose(table.groupby(key)["share"].sum(), 1)
    pixel = pixel_areas(stack.lattice, stack.window)[0, 0]
    np.testing.assert_allclose(table["area_km2"], table["n"] * pixel, rtol=1e-12)
    rows: Any = table.set_index([*key, "grade"]).loc
    good = rows["area", "2004", "five", "good"]
    layer = stack.rsei[1]
    assert good["n"] == ((layer >= np.float32(0.6)) & (layer < np.float32(0.8))).sum()
    assert (good["low"], good["high"]) == (0.6, 0.8)


def test_transitions_are_a_matrix_of_the_common_pixels() -> None:
    stack = town()
    table = transitions(stack, [(2001, 2004), (2001, 2007)], "five")
    assert ",".join(table.columns) == "area,from_epoch,to_epoch,from_grade,to_grade,n,area_km2"
    assert len(table) == 2 * 25
    both = ~(np.isnan(stack.rsei[0]) | np.isnan(stack.rsei[1]))
    first = table[table["to_epoch"] == 2004]
    assert first["n"].sum() == both.sum()
    before, after = stack.rsei[0][both], stack.rsei[1][both]
    cell = first.set_index(["from_grade", "to_grade"])["n"]
    for i, name in enumerate(GRADES["five"]):
        for j, other in enumerate(GRADES["five"]):
            held = (np.minimum(before // np.float32(0.2), 4) == i) & (
                np.minimum(after // np.float32(0.2), 4) == j
            )
            assert abs(cell[name, other] - held.sum()) <= 2  # floor division rounds at an edge
    second = table[table["to_epoch"] == 2007]
    changed = second[second["from_grade"] != second["to_grade"]]
    assert second["n"].sum() < both.sum() and not changed["n"].any()
