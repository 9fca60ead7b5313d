# SPDX-License-Identifier: Apache-2.0
"""Rows of the tables that explain an index: pca, directions, exclusions and extremes."""

from collections.abc import Mapping
from typing import Any

from ..sources.grids import Lattice
from .area import EpochPca
from .scopes import RSEI0, RseiSettings
from .summaries import INDICATORS, VALID, Extremes, Summary

Row = dict[str, Any]

COMPONENTS = ("pc1", "pc2", "pc3", "pc4")


def pca_row(
    area: str,
    epoch: int,
    result: EpochPca,
    settings: RseiSettings,
    scale: tuple[float, float],
) -> Row:
    """The row of pca.csv; ``scale`` is the RSEI0 that becomes 0 and 1."""
    row: Row = {
        "area": area,
        "epoch": epoch,
        "normalisation": settings.normalisation,
        "pca": settings.pca,
        "n": result.summary.count,
    }
    row |= dict(zip(INDICATORS, result.vector.tolist(), strict=True))
    row |= dict(zip(COMPONENTS, result.components.contributions.tolist(), strict=True))
    row |= {
        "direction": settings.direction,
        "flipped": result.sign < 0,
        "agreement": result.directions.agreement,
        "v_dot_e": result.sign * result.directions.v_dot_e,
    }
    sides = zip(INDICATORS, result.limits.low, result.limits.high, strict=True)
    row |= {f"{name}_{side}": value for name, low, high in sides
            for side, value in (("min", low), ("max", high))}  # fmt: skip
    return row | {"rsei0_min": scale[0], "rsei0_max": scale[1]}


def direction_rows(area: str, epoch: int, result: EpochPca) -> list[Row]:
    """The rows of directions.csv, one for each rule."""
    return [
        {"area": area, "epoch": epoch, "rule": rule, "sign": one.sign, "margin": one.margin}
        for rule, one in result.directions.verdicts.items()
    ]


def exclusion_rows(area: str, epoch: int, summary: Summary) -> list[Row]:
    """The rows of exclusions.csv: pixels left out, by the first reason that applies."""
    return [
        {"area": area, "epoch": epoch, "reason": reason, "n": n}
        for reason, n in summary.reasons.items()
        if reason != VALID
    ]


def extreme_rows(
    area: str, epoch: int, lattice: Lattice, indicators: Extremes, rsei0: Extremes
) -> list[Row]:
    """The rows of extremes.csv: the pixels with the least and greatest value of each layer."""
    layers: Mapping[str, tuple[Extremes, int]] = {
        **{name: (indicators, i) for i, name in enumerate(INDICATORS)},
        RSEI0: (rsei0, 0),
    }
    rows = []
    for layer, (extremes, i) in layers.items():
        for side, one in (("min", extremes.lowest[i]), ("max", extremes.highest[i])):
            if one is not None:
                row = {"area": area, "epoch": epoch, "layer": layer, "side": side}
                rows.append({**row, "value": one.value, **one.place(lattice)})
    return rows
