# SPDX-License-Identifier: Apache-2.0
"""How coarse the pictures of a page become, and which sizes are tried on the way."""

from typing import Any

import pytest

from rsei.engine.report import page as pages
from rsei.engine.report.page import DETAILS, LIMIT

Tried = list[tuple[float, int]]


def tried(monkeypatch: pytest.MonkeyPatch, first: float, map_bytes: int = 0) -> tuple[bytes, Tried]:
    """The page, and the map's fineness and pictures' width of each one that was made.

    The first is ``first`` limits long; others shrink with the area of their pictures.
    """
    made: Tried = []

    def of(findings: Any, data: str, clear: Any, detail: tuple[int, int]) -> bytes:
        made.append((float(data), detail[0]))
        return b"x" * int(first * LIMIT * (detail[0] / DETAILS[0][1]) ** 2)

    monkeypatch.setattr(pages, "clear_shares", lambda findings: [])
    monkeypatch.setattr(pages, "map_data", lambda findings, fineness: fineness)
    monkeypatch.setattr(pages, "_json", lambda fineness: f"{fineness}".ljust(map_bytes))
    monkeypatch.setattr(pages, "_page", of)
    return pages.page(object()), made  # type: ignore[arg-type]


def test_a_page_that_fits_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found, made = tried(monkeypatch, 1.0)
    assert len(found) == LIMIT and made == [(1.0, 1100)]


def test_pictures_become_as_coarse_as_they_must(monkeypatch: pytest.MonkeyPatch) -> None:
    found, made = tried(monkeypatch, 1.4)
    assert len(found) <= LIMIT and made == [(1.0, 1100), (1.0, 860)]


def test_a_size_that_cannot_be_enough_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    found, made = tried(monkeypatch, 1.6)
    assert len(found) <= LIMIT and made == [(1.0, 1100), (1.0, 640)]


def test_the_coarsest_is_made_where_none_is_small_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found, made = tried(monkeypatch, 100.0)
    assert made[-1] == (0.3, 480) and len(found) > LIMIT
    found, made = tried(monkeypatch, 1.0, LIMIT + 1)  # a map that alone is too large
    assert made == [(0.3, 480)]
