# SPDX-License-Identifier: Apache-2.0
"""Tables of the index itself, from what the stages left in their markers."""

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd

from ..index.rows import exclusion_rows, extreme_rows
from ..index.summaries import Extremes, Summary
from ..report.tables import TABLES
from .larder import scale_of
from .records import extremes as extreme_pixels
from .reductions import summary_of
from .store import Store
from .survey import Place, Survey
from .tasks import Missing

Row = dict[str, Any]

OF_RASTERS = ("no_wet", "no_ndbsi", "out_of_range")
"""Reasons that need a user's own raster; they are listed where they occur."""


def summaries(store: Store, survey: Survey) -> Iterator[tuple[Place, int, Summary]]:
    """Area, epoch and pixels of every composite whose parts are all committed."""
    for place in survey.places:
        for epoch in survey.study.epochs:
            try:
                yield place, epoch, summary_of(place, store, epoch)
            except Missing:
                continue


def reduced(store: Store, survey: Survey) -> Iterator[tuple[Place, int, Row]]:
    """Area, epoch and the first pass's record of every epoch that has an index."""
    for place in survey.places:
        marker = store.marker("reduce", place.area.slug)
        for epoch, record in (marker.payload["epochs"] if marker else {}).items():
            yield place, int(epoch), record


def pca(store: Store, survey: Survey) -> Iterator[Row]:
    """How the index of each epoch is made."""
    for place, epoch, record in reduced(store, survey):
        marker = store.marker("project", f"{place.area.slug}/scale")
        limits = marker.payload["limits"] if marker else {}
        low, high = limits.get(str(epoch), (None, None))
        yield record["row"] | {"rsei0_min": low, "rsei0_max": high}


def directions(store: Store, survey: Survey) -> Iterator[Row]:
    """What each rule says of each epoch."""
    for _, _, record in reduced(store, survey):
        yield from record["directions"]


def exclusions(store: Store, survey: Survey) -> Iterator[Row]:
    """Pixels that do not enter, by reason."""
    for place, epoch, pixels in summaries(store, survey):
        for row in exclusion_rows(place.area.name, epoch, pixels):
            if row["n"] or row["reason"] not in OF_RASTERS:
                yield row


def extremes(store: Store, survey: Survey) -> Iterator[Row]:
    """The pixels that set the limits: of the indicators, and of RSEI0."""
    for place, epoch, pixels in summaries(store, survey):
        of_rsei0 = _projected(store, place, epoch)
        yield from extreme_rows(place.area.name, epoch, survey.lattice, pixels.extremes, of_rsei0)


def _projected(store: Store, place: Place, epoch: int) -> Extremes:
    """The extremes of RSEI0; none where the epoch has no index."""
    marker = store.marker("project", f"{place.area.slug}/scale")
    found = marker.payload["extremes"].get(str(epoch)) if marker else None
    return extreme_pixels(found) if found else Extremes((None,), (None,))


def view_time(store: Store, survey: Survey) -> Iterator[Row]:
    """When the heat of each epoch was seen; no row where it is the user's own raster."""
    for place in survey.places:
        for epoch in survey.study.epochs:
            parts = [store.marker("composite", part.named(epoch)) for part in place.parts]
            seen = [marker.payload["view_time"] for marker in parts if marker]
            count = sum(one["count"] for one in seen)
            if count:
                hour = scale_of("heat", "view_time") * sum(one["sum"] for one in seen) / count
                yield {"area": place.area.name, "epoch": epoch, "n": count, "hour": hour}


def quality(store: Store, survey: Survey) -> Iterator[Row]:
    """Pixel-dates lost to each rule."""
    for tile, year in survey.shelves:
        marker = store.marker("partial", f"{tile}/{year}")
        for role, losses in (marker.payload["losses"] if marker else {}).items():
            for reason, lost in losses.items():
                yield {"tile": tile, "year": year, "product": role, "reason": reason, "n": lost}


def coverage(store: Store, survey: Survey) -> Iterator[Row]:
    """Composites that the season should have."""
    for product, day, tile, status in survey.coverage():
        yield {"product": product, "date": day.isoformat(), "tile": tile, "status": status}


TABLES_OF_THE_INDEX: dict[str, Callable[[Store, Survey], Iterator[Row]]] = {
    "pca": pca,
    "directions": directions,
    "exclusions": exclusions,
    "extremes": extremes,
    "view_time": view_time,
    "quality": quality,
    "coverage": coverage,
}
"""What makes each table."""


def frame(name: str, store: Store, survey: Survey) -> pd.DataFrame:
    """A table of the index, with the columns of its description."""
    return pd.DataFrame(TABLES_OF_THE_INDEX[name](store, survey), columns=TABLES[name].names)
