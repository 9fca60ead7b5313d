# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import oracles_drivers
import pytest
from conftest import Home
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import ndimage

from rsei.kernels import barriers, distance

Flags = NDArray[np.bool_]


def nothing(*shape: int) -> Flags:
    return np.zeros(shape, bool)


def drawn(picture: str) -> tuple[Flags, Flags]:
    """Sources (S) and barriers (#) of a drawing."""
    letters = np.array([list(row) for row in picture.split()])
    return letters == "S", letters == "#"


def ways(home: Home, sources: Flags, blocked: Flags) -> NDArray[np.float32]:
    return home.get(barriers.shortest_ways(home.put(sources), home.put(blocked)))


def test_on_a_free_plane_it_is_the_exact_distance(home: Home) -> None:
    sources = np.random.default_rng(1).random((home.pixels // 19, 19)) < 0.02
    found = ways(home, sources, np.zeros_like(sources))
    exact = np.sqrt(distance.nearest_source(sources)[1]).astype(np.float32)
    np.testing.assert_array_equal(found, exact)


@pytest.mark.parametrize("size", [40, pytest.param(400, marks=pytest.mark.slow)])
def test_round_a_straight_wall_it_is_the_analytic_way(size: int) -> None:
    sources, blocked = nothing(size, size), nothing(size, size)
    bottom, left, right = round(0.7 * size), size // 2, size // 2 + 3
    blocked[:bottom, left:right] = True
    at = round(0.4 * size) + 0.5, round(0.3 * size) + 0.5
    sources[int(at[0]), int(at[1])] = True
    found = barriers.shortest_ways(sources, blocked)
    near, far = (float(bottom), float(left)), (float(bottom), float(right))
    for y, x in np.argwhere(~blocked):
        here = y + 0.5, x + 0.5
        falls = (here[1] - at[1]) or 1.0
        meets = [at[0] + (here[0] - at[0]) * (side - at[1]) / falls for side in (left, right)]
        if here[1] < left or (min(meets[0], meets[1] if here[1] > right else bottom) >= bottom):
            expected = math.dist(at, here)
        elif here[0] > bottom:
            expected = math.dist(at, near) + math.dist(near, here)
        else:
            expected = math.dist(at, near) + 3 + math.dist(far, here)
        assert found[y, x] == pytest.approx(expected, rel=1e-5)
    assert np.isinf(found[blocked]).all()


def test_a_serpentine_is_solved_to_the_end(home: Home) -> None:
    blocked = nothing(13, 9)
    blocked[1::4, :-1] = blocked[3::4, 1:] = True
    sources = nothing(13, 9)
    sources[0, 0] = True
    found = ways(home, sources, blocked)
    expected = oracles_drivers.shortest_ways(sources, blocked)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found[12, 8] > 45


def test_a_long_serpentine_is_solved_to_the_end() -> None:
    corridors, width = 60, 101
    blocked = nothing(2 * corridors - 1, width)
    blocked[1::4, :-1] = blocked[3::4, 1:] = True
    sources = np.zeros_like(blocked)
    sources[0, 0] = True
    # From one turn to the next: along the wall, and round its end, one pixel thick.
    ends = 2 * math.hypot(width - 1.5, 0.5)
    expected = ends + (corridors - 2) * math.hypot(width - 2, 1) + corridors - 1
    assert barriers.shortest_ways(sources, blocked)[-1, 0] == pytest.approx(expected, rel=1e-5)


def test_an_island_is_out_of_reach(home: Home) -> None:
    sources, blocked = drawn("S..#. ...## ..... ##### ..#..")
    found = ways(home, sources, blocked)
    np.testing.assert_array_equal(
        np.isfinite(found), ~(blocked | drawn("...#S ...## ..... ##### SS#SS")[0])
    )


def test_two_barriers_that_touch_leave_no_gap(home: Home) -> None:
    found = ways(home, *drawn("S.# ##. ..."))
    assert np.isinf(found[1:]).all() and np.isfinite(found[0, :2]).all()


def test_a_source_in_a_barrier_is_a_source(home: Home) -> None:
    sources, blocked = drawn("S.. ... ..."), drawn("##. ##. ...")
    found = ways(home, sources[0], blocked[1])
    assert found[0, 0] == 0 and np.isinf(found[2, 2])


@pytest.mark.parametrize("seed", range(12))
def test_in_clutter_it_is_the_visibility_graphs(home: Home, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(5, 9 if home.name == "simulator" else 16, 2))
    blocked = rng.random(shape) < rng.choice([0.05, 0.15, 0.25, 0.35])
    sources = nothing(*shape)
    sources[rng.integers(shape[0]), rng.integers(shape[1])] = True
    found, expected = ways(home, sources, blocked), oracles_drivers.shortest_ways(sources, blocked)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(2))
def test_round_a_coast_it_is_the_visibility_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    heights = ndimage.gaussian_filter(rng.normal(size=(60, 50)), 3, mode="wrap")
    blocked = heights > np.quantile(heights, 0.6)
    sources, asked = (rng.random(blocked.shape) < share for share in (0.001, 0.02))
    expected = oracles_drivers.shortest_ways(sources, blocked, asked)
    found = barriers.shortest_ways(sources, blocked)
    some = np.isfinite(expected)
    np.testing.assert_allclose(found[some], expected[some], rtol=1e-6)
    assert np.isinf(found[asked & ~sources & ~some]).all()


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.sampled_from([0.01, 0.1, 0.2, 0.4]))
def test_turning_and_mirroring_the_map_does_so_to_the_ways(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    blocked, sources = rng.random((60, 80)) < share, rng.random((60, 80)) < 0.005
    expected = barriers.shortest_ways(sources, blocked)
    for turns in range(1, 4):
        turned = (np.rot90(part, turns).copy() for part in (sources, blocked))
        found = np.rot90(barriers.shortest_ways(*turned), -turns)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = barriers.shortest_ways(sources[:, ::-1].copy(), blocked[:, ::-1].copy())
    np.testing.assert_allclose(found[:, ::-1], expected, rtol=1e-6)


def test_of_many_sources_each_serves_its_own() -> None:
    sources = np.random.default_rng(2).random((300, 200)) < 0.1
    sources[40:90, 50:120] = True
    exact = np.sqrt(distance.nearest_source(sources)[1]).astype(np.float32)
    found = barriers.shortest_ways(sources, np.zeros_like(sources))
    np.testing.assert_array_equal(found, exact)


def test_too_little_room_for_waiting_beams_is_made_more(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, blocked = drawn("S.#.... ..#.#.. ...#... #....#. ..#.#.S")
    expected = ways(home, sources, blocked)
    monkeypatch.setattr(barriers, "ROOM", 1)
    np.testing.assert_array_equal(ways(home, sources, blocked), expected)


def test_a_map_too_large_is_refused() -> None:
    wide = nothing(1, 1 << 15)
    with pytest.raises(ValueError, match="found 1, 32768"):
        barriers.shortest_ways(wide, wide)


@pytest.mark.slow
def test_in_any_clutter_all_are_the_visibility_graphs() -> None:
    for seed in range(80):
        rng = np.random.default_rng(1000 + seed)
        blocked = rng.random(tuple(rng.integers(5, 16, 2))) < rng.uniform(0.02, 0.5)
        sources = np.zeros_like(blocked)
        for _ in range(rng.integers(1, 4)):
            sources[tuple(rng.integers(0, blocked.shape))] = True
        found = barriers.shortest_ways(sources, blocked)
        exact = oracles_drivers.shortest_ways(sources, blocked)
        np.testing.assert_allclose(found, exact, rtol=1e-6)
