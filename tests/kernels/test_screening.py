# SPDX-License-Identifier: Apache-2.0
from typing import Any

import numpy as np
import oracles
import pytest
from conftest import Home
from numpy.typing import NDArray

from rsei.kernels import extremes, launch, moments, screening

RANGES = ((-1.0, 1.0), (-4.0, 4.0), (-1.0, 1.0), (150.0, 450.0))
ROWS = ("ndvi", "wet", "ndbsi", "lst")


def ground(pixels: int) -> dict[str, Any]:
    """Land and water, dark and missing pixels, in stored units."""
    rng = np.random.default_rng(11)
    counts = rng.integers(0, 48, (7, pixels)).astype(np.uint16) + np.uint16(pixels > 400)
    counts[rng.random((7, pixels)) < 0.02] = 0
    stored = rng.integers(100, 5000, (7, pixels))
    stored[:, rng.random(pixels) < 0.1] = -37
    given = {
        "ndvi": rng.uniform(-0.2, 1, pixels).astype(np.float32),
        "wet": rng.uniform(-0.5, 0.2, pixels).astype(np.float32),
        "ndbsi": rng.uniform(-0.5, 0.5, pixels).astype(np.float32),
        "lst": rng.uniform(280, 330, pixels).astype(np.float32),
    }
    for layer in given.values():
        layer[rng.random(pixels) < 0.05] = np.nan
        layer[rng.random(pixels) < 0.02] = -1e4
    given["lst"][[1, 5, -1]] = 330  # equals: the first valid one sets the limit
    return {
        "sums": (stored * counts).astype(np.int32),
        "counts": counts,
        "inside": rng.random(pixels) < 0.95,
        "land_water": rng.random(pixels) < 0.1,
        "given": given,
    }


def screened(
    home: Home, parts: dict[str, Any], names: tuple[str, ...], threshold: float | None
) -> list[NDArray[Any]]:
    pixels = parts["inside"].size
    out = np.full((5, pixels), np.nan, np.float32)
    for name in names:
        out[ROWS.index(name)] = parts["given"][name]
    needed = 0b1111111 if "wet" not in names else 0 if "ndbsi" in names else 0b0101111
    needed |= 0b0000011 if "ndvi" not in names else 0
    needed |= 0 if threshold is None else 0b0101000
    rules = screening.Rules(
        np.float32(10_000),
        sum(1 << ROWS.index(name) for name in names),
        needed,
        np.float32(1e-4),
        np.float32(np.inf if threshold is None else threshold),
        *moments.limits(RANGES),
    )
    place = parts["inside"] * screening.INSIDE + parts["land_water"] * screening.LAND_WATER
    rows = moments.rows(pixels)
    results = [
        home.put(array)
        for array in (
            np.zeros((7, pixels), np.float32),
            out,
            np.zeros(pixels, np.uint8),
            np.zeros((rows, screening.COLUMNS), np.int64),
            np.full((rows, screening.KEYS), extremes.NOTHING, np.int64),
        )
    ]
    given = (home.put(parts["sums"]), home.put(parts["counts"]), home.put(place.astype(np.uint8)))
    screening.screen(*given, rules, tuple(results))
    return [home.get(array) for array in results]


@pytest.mark.parametrize("threshold", [0.0, 0.2, None])
@pytest.mark.parametrize(
    "names", [("lst",), ("ndvi", "lst"), ("ndvi", "wet", "lst"), ("ndvi", "wet", "ndbsi", "lst")]
)
def test_matches_the_method(home: Home, names: tuple[str, ...], threshold: float | None) -> None:
    parts = ground(home.pixels)
    bands, out, reasons, table, keys = screened(home, parts, names, threshold)
    given = {name: parts["given"][name] for name in names}
    expected, layers, why = oracles.screened(
        parts["sums"], parts["counts"], parts["inside"], parts["land_water"],
        given, RANGES, threshold,
    )  # fmt: skip
    np.testing.assert_array_equal(bands, expected)
    for found, name in zip(out, (*ROWS, "mndwi"), strict=True):
        np.testing.assert_allclose(found, layers[name], rtol=0, atol=1e-6)
    assert [oracles.REASONS[code] for code in reasons] == why.tolist()
    valid = why == "valid"
    assert table.sum(axis=0)[moments.TERMS : screening.WET_KEPT].tolist() == [
        int((why == reason).sum()) for reason in oracles.REASONS
    ]
    assert table.sum(axis=0)[screening.WET_KEPT] == (layers["mndwi"][valid] > 0).sum()
    alone = moments.Moments.of(np.ascontiguousarray(out[:4, valid]), RANGES)
    assert moments.Moments.from_table(RANGES, table[:, : moments.TERMS]) == alone
    where = np.flatnonzero(valid)
    first = [where[np.argmin(row[valid])] for row in out[:4]]
    last = [where[np.argmax(row[valid])] for row in out[:4]]
    assert extremes.pixels(keys.min(axis=0)) == [*first, *last]


def test_shape_of_launch(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums and extremes are divided among the threads, whose number and rest may be any."""
    if home.name == "numpy":
        pytest.skip("a grid is the GPU's")
    parts = ground(home.pixels)
    expected = screened(home, parts, ("lst",), 0.0)
    monkeypatch.setattr(launch, "BLOCKS", 2)
    monkeypatch.setattr(launch, "THREADS", 33)
    found = screened(home, parts, ("lst",), 0.0)
    for one, other in zip(found[:3], expected[:3], strict=True):
        np.testing.assert_array_equal(one, other)
    assert (found[3].sum(axis=0) == expected[3].sum(axis=0)).all()
    assert (found[4].min(axis=0) == expected[4].min(axis=0)).all()


def test_more_pixels_than_the_sums_have_room_for_are_refused() -> None:
    every = np.broadcast_to(np.int32(0), (7, moments.MOST_PIXELS + 1))
    with pytest.raises(ValueError, match="at most 268435456 pixels in a call, found 268435457"):
        screening.screen(every, every, every, None, (None,) * 5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at most 268435456 pixels"):
        moments.Moments.of(np.broadcast_to(np.float32(0), every.shape), RANGES)


def test_nothing_valid_has_no_extremes(home: Home) -> None:
    parts = ground(home.pixels) | {"inside": np.zeros(home.pixels, bool)}
    *_, table, keys = screened(home, parts, ("lst",), 0.0)
    assert extremes.pixels(keys.min(axis=0)) == [None] * 8
    assert table.sum(axis=0)[0] == 0
