# SPDX-License-Identifier: Apache-2.0
"""The time of day at which the heat was seen, which falls as an orbit drifts."""

from collections.abc import Iterator
from dataclasses import dataclass

from .findings import Findings

NOTICED = 10
"""Minutes between epochs from which the reader is warned. By October 2022 Terra had drifted by 15.
Source: docs/explanation/limits.md."""


@dataclass(frozen=True)
class ViewTime:
    """The mean local solar time of one area and epoch."""

    area: str
    """Name of the area."""

    epoch: str
    """Middle year."""

    time: str
    """Hours and minutes."""

    minutes: int
    """Minutes later than in the first epoch of the area; less than 0 is earlier."""


def view_times(findings: Findings) -> list[ViewTime]:
    """Every area and epoch whose heat is a product's."""
    return list(_rows(findings))


def _rows(findings: Findings) -> Iterator[ViewTime]:
    table = findings.of("view_time")
    if table is None:
        return
    for area, rows in table.groupby("area", sort=False):
        first = float(rows["hour"].iloc[0])
        for epoch, hour in zip(rows["epoch"], rows["hour"]):
            yield ViewTime(str(area), str(epoch), clock(hour), round(60 * (float(hour) - first)))


def clock(hour: float) -> str:
    """Hours and minutes of a time of day.

    >>> clock(10.5), clock(9.999)
    ('10:30', '10:00')
    """
    minutes = round(60 * hour)
    return f"{minutes // 60}:{minutes % 60:02d}"


def drifted(times: list[ViewTime]) -> bool:
    """Whether the drift may show in the temperatures."""
    return any(abs(one.minutes) >= NOTICED for one in times)
