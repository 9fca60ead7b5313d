# SPDX-License-Identifier: Apache-2.0
"""Summaries as JSON values and back: what a marker carries from one stage to the next."""

import math
from typing import Any

from ...kernels.moments import Moments
from ..index.area import EpochPca
from ..index.rows import direction_rows, pca_row
from ..index.scopes import RseiSettings
from ..index.summaries import Extreme, Extremes, Summary


def record(summary: Summary) -> dict[str, Any]:
    """A summary as JSON values; its sums are integers of any length, so nothing is rounded."""
    moments = summary.moments
    return {
        "ranges": [list(pair) for pair in moments.ranges],
        "count": moments.count,
        "sums": list(moments.sums),
        "products": [list(row) for row in moments.products],
        **pixels_record(summary.extremes),
        "reasons": dict(summary.reasons),
        "water_kept": summary.water_kept,
    }


def summary(record: dict[str, Any]) -> Summary:
    """The summary that ``record`` was made of."""
    return Summary(
        Moments(
            tuple((low, high) for low, high in record["ranges"]),
            record["count"],
            tuple(record["sums"]),
            tuple(tuple(row) for row in record["products"]),
        ),
        extremes(record),
        record["reasons"],
        record["water_kept"],
    )


def extremes(record: dict[str, Any]) -> Extremes:
    """The extreme pixels in ``record``."""
    lowest, highest = (
        tuple(one and Extreme(*one) for one in record[side]) for side in ("lowest", "highest")
    )
    return Extremes(lowest, highest)


def _pixel(one: Extreme | None) -> list[Any] | None:
    return None if one is None else [one.value, one.row, one.column]


def pixels_record(found: Extremes) -> dict[str, Any]:
    """Extreme pixels as JSON values."""
    return {
        "lowest": [_pixel(one) for one in found.lowest],
        "highest": [_pixel(one) for one in found.highest],
    }


def pca_record(one: EpochPca, area: str, epoch: int, settings: RseiSettings) -> dict[str, Any]:
    """The first pass of an epoch as JSON values: its projection, notices and rows of tables."""
    return {
        "weights": list(one.projection.weights),
        "offsets": list(one.projection.offsets),
        "notices": list(one.notices),
        "row": _known(pca_row(area, epoch, one, settings, (math.nan, math.nan))),
        "directions": [_known(row) for row in direction_rows(area, epoch, one)],
    }


def _known(row: dict[str, Any]) -> dict[str, Any]:
    """A row with null for what is not known: JSON has no NaN."""
    unknown = {name for name, cell in row.items() if isinstance(cell, float) and math.isnan(cell)}
    return {name: None if name in unknown else cell for name, cell in row.items()}
