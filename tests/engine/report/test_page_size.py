# SPDX-License-Identifier: Apache-2.0
"""How coarse the pictures of a page become, and which sizes are tried on the way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsei.engine.report import page as pages
from rsei.engine.report import pictures
from rsei.engine.report.figures import OF_AN_AREA, OF_THE_RUN
from rsei.engine.report.page import DETAILS, LIMIT
from rsei.engine.report.pictures import EVERY, Album, Shown

Tried = list[tuple[float, int, int]]


def figure(path: Path, weight: int = 100) -> Shown:
    """A map in a file of ``weight`` bytes."""
    path.write_bytes(bytes(weight))
    return Shown(OF_AN_AREA[0], path, f"{path.stem}.svg", (2000, 1000), None)


def tried(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    first: float,
    map_bytes: int = 0,
    frame: float = 0.0,
) -> tuple[bytes, Tried]:
    """The page, and of each size the map's fineness, pictures' width and how many were made.

    All pictures of the first size are ``first`` limits long together, others shrink with their
    area; what stands around them is ``frame`` limits long, which nobody knows before.
    """
    whole = tuple(figure(folder / f"{number}.png") for number in range(60))
    made: list[tuple[float, int]] = []
    fine = [0.0]

    def map_data(findings: Any, fineness: float) -> dict[str, Any]:
        fine[0] = fineness
        return {"sites": []}

    def shrunk(png: bytes, width: int, quality: int) -> str:
        made.append((fine[0], width))
        return "x" * int(first * LIMIT / len(whole) * (width / DETAILS[0][1]) ** 2)

    def of(findings: Any, parts: pages.Parts) -> bytes:
        assert set(parts.pictures) == {one.path for one in whole}
        length = len(parts.data) + sum(map(len, parts.pictures.values()))
        return b"x" * int(length + frame * LIMIT)

    monkeypatch.setattr(pages, "clear_shares", lambda findings: [])
    monkeypatch.setattr(pages, "map_data", map_data)
    monkeypatch.setattr(pages, "_json", lambda data: "x" * map_bytes)
    monkeypatch.setattr(pages, "_page", of)
    monkeypatch.setattr(Album, "of", lambda findings: Album((), {"area": whole}))
    monkeypatch.setattr(pictures, "shrunk", shrunk)
    found = pages.page(object())  # type: ignore[arg-type]
    return found, [(*one, made.count(one)) for one in dict.fromkeys(made)]


def test_a_page_that_fits_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found, made = tried(monkeypatch, tmp_path, 0.99)
    assert len(found) <= LIMIT and made == [(1.0, 1100, 60)]


def test_a_part_of_the_pictures_shows_that_all_are_too_long(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, made = tried(monkeypatch, tmp_path, 1.6)
    assert len(found) <= LIMIT and made == [(1.0, 1100, 60 // EVERY), (1.0, 860, 60)]


def test_a_page_that_is_too_long_in_the_end_is_made_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, made = tried(monkeypatch, tmp_path, 0.9, frame=0.2)
    assert len(found) <= LIMIT and made == [(1.0, 1100, 60), (1.0, 860, 60)]


def test_the_coarsest_is_made_where_none_is_small_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, made = tried(monkeypatch, tmp_path, 100.0)
    assert made[-1] == (0.3, 480, 60) and len(found) > LIMIT
    assert all(number == 60 // EVERY for *_, number in made[:-1])
    found, made = tried(monkeypatch, tmp_path, 1.0, 2 * LIMIT)  # a map that alone is too large
    assert made[-1] == (0.3, 480, 60)


@pytest.mark.slow
def test_a_part_stands_for_pictures_of_other_sizes(tmp_path: Path) -> None:
    """What all take is told from a part to some percent, in whatever order they come."""
    rng = np.random.default_rng(8)
    shown = []
    for number in range(48):
        side = int(rng.integers(40, 400))
        path = tmp_path / f"{number}.png"
        Image.fromarray(rng.integers(0, 255, (side, side, 3), np.uint8)).save(path)
        shown.append(Shown(OF_AN_AREA[number % 2], path, path.name, (side, side), None))
    album = Album(tuple(shown), {})
    whole = album.pictures(300, 60, np.inf)
    assert whole is not None and list(whole) != [one.path for one in shown]
    size = sum(map(len, whole.values()))
    assert album.pictures(300, 60, 1.1 * size) == whole
    assert album.pictures(300, 60, 0.9 * size) is None
    backwards = Album(tuple(reversed(shown)), {})
    assert backwards.pictures(300, 60, np.inf) == whole


def test_a_long_drawing_is_shown_as_its_pixels(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    folder.mkdir()
    for sketch, length in zip(OF_THE_RUN[:2], (100, 40_000)):
        Image.new("RGB", (30, 20)).save(folder / f"{sketch.name}.png")
        (folder / f"{sketch.name}.svg").write_text(f"<svg>{'x' * length}</svg>")
    short, long = pictures._shown(tmp_path, OF_THE_RUN, "figures")
    assert short.drawing is not None and short.drawing.startswith("data:image/svg+xml")
    assert long.drawing is None and long.size == (30, 20)
    album = Album((short, long), {})
    found = album.pictures(10, 50, np.inf)
    assert found is not None and list(found) == [long.path]
    assert found[long.path].startswith("data:image/webp;base64,")
