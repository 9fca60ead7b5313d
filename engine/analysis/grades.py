# SPDX-License-Identifier: Apache-2.0
"""Grades of RSEI: their areas, and how pixels move between them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .stacks import Stack, Zone

GRADES: Mapping[str, tuple[str, ...]] = {
    "five": ("poor", "fair", "moderate", "good", "excellent"),
    "ten": tuple(f"{k / 10:.1f}-{(k + 1) / 10:.1f}" for k in range(10)),
}
"""Names of the grades of each scheme, from RSEI 0 to 1 in equal steps. Source: the study."""


def edges_of(scheme: str) -> NDArray[np.float32]:
    """Edges of the grades of a scheme, RSEI, (k + 1,), in the precision of RSEI.

    In float64 a pixel of float32(0.7) would lie below 0.7.
    """
    number = len(GRADES[scheme])
    return (np.arange(number + 1) / number).astype(np.float32)


def grade(values: NDArray[np.float32], scheme: str) -> NDArray[np.int64]:
    """Index of the grade of each RSEI from 0 to 1; a lower edge belongs to it, 1 to the last.

    >>> grade(np.array([0, 0.2, 0.59, 1], np.float32), "five")
    array([0, 1, 2, 4])
    """
    inner = edges_of(scheme)[1:-1]
    return np.searchsorted(inner, values, side="right")


def grades(stack: Stack, zones: Sequence[Zone]) -> pd.DataFrame:
    """The table ``grades``: pixels, area and share of each grade of both schemes."""
    areas = stack.areas
    tables = []
    for zone in zones:
        for epoch, layer in stack.layers():
            values, shares = zone.of(layer)
            size = areas[zone.where(layer)] if shares is None else areas[zone.where(layer)] * shares
            for scheme, names in GRADES.items():
                place = grade(values, scheme)
                edges = edges_of(scheme).astype(np.float64).round(3)
                n = np.bincount(place, shares, minlength=len(names)).astype(np.float64)
                total = n.sum()
                tables.append(
                    {
                        "area": [stack.area] * len(names),
                        "zone": [zone.name] * len(names),
                        "epoch": [epoch] * len(names),
                        "scheme": [scheme] * len(names),
                        "grade": names,
                        "low": edges[:-1],
                        "high": edges[1:],
                        "n": n,
                        "area_km2": np.bincount(place, size, minlength=len(names)),
                        "share": n / total if total else np.full(len(names), np.nan),
                    }
                )
    return _one_below_the_other(tables)


def transitions(stack: Stack, pairs: Sequence[tuple[int, int]], scheme: str) -> pd.DataFrame:
    """The table ``transitions``: pixels and area that went from grade to grade between epochs.

    Pixels that are valid in both epochs of a pair; every cell of the matrix has a row.
    """
    areas = stack.areas
    names = GRADES[scheme]
    number = len(names)
    tables = []
    for earlier, later in pairs:
        before, after = (stack.at(epoch).reshape(-1) for epoch in (earlier, later))
        both = ~(np.isnan(before) | np.isnan(after))
        cell = grade(before[both], scheme) * number + grade(after[both], scheme)
        tables.append(
            {
                "area": [stack.area] * number**2,
                "from_epoch": [earlier] * number**2,
                "to_epoch": [later] * number**2,
                "from_grade": [name for name in names for _ in names],
                "to_grade": names * number,
                "n": np.bincount(cell, minlength=number**2),
                "area_km2": np.bincount(cell, areas[both], minlength=number**2),
            }
        )
    return _one_below_the_other(tables)


def _one_below_the_other(tables: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Tables of the same columns as one: a frame for each of thousands would take seconds."""
    columns: dict[str, Any] = {}
    for name in tables[0]:
        parts = [table[name] for table in tables]
        whole = isinstance(parts[0], np.ndarray)
        columns[name] = np.concatenate(parts) if whole else [one for part in parts for one in part]
    return pd.DataFrame(columns)
