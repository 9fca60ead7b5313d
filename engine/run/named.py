# SPDX-License-Identifier: Apache-2.0
"""The files that a study names beside its granules, looked for before the first task."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from ..index.indicators import UserRaster
from ..sources.errors import InputError
from ..sources.patterns import expand, of_year
from ..sources.vectors import Layer, read
from .driver_settings import DriverRaster
from .outlines import fields_of, unmet
from .places import Place
from .study import DriversSettings, Study


def absent(study: Study) -> tuple[str, ...]:
    """A sentence for each setting that names a file which is not there.

    A run goes as far as it can without it; who has read the plan need not wait for that.
    """
    said = [*_polygons(study), *_rasters(study)]
    if study.drivers:
        said += _drivers(study.drivers)
    if path := study.report.published:
        said += _looked_for("report.published", _expect, path)
    return tuple(dict.fromkeys(said))


def unfit(places: Iterable[Place]) -> tuple[str, ...]:
    """A sentence for each file of mines or zones that is there and cannot be used.

    Tasks say the same when every map is written, which may be hours later.
    """
    of_settings = groupby(places, lambda place: id(place.settings))
    return tuple(line for _, group in of_settings for line in _layers(list(group)))


def _layers(group: Sequence[Place]) -> Iterator[str]:
    """Of areas that share their files, each of which is read once."""
    named = group[0].settings
    if named.zones and named.zones.is_file():
        yield from _looked_for(f"zones of {named.name}", fields_of, group[0])
    if named.mines and named.mines.is_file():
        try:
            layer = read(named.mines)
        except InputError as error:
            yield f"mines of {named.name}: {error}"
            return
        for place in group:
            yield from _of_mines(layer, place)


def _of_mines(layer: Layer, place: Place) -> Iterator[str]:
    try:
        said = unmet(layer, place)
    except InputError as error:
        said = (str(error),)
    yield from (f"mines of {place.area.name}: {line}" for line in said)


def _polygons(study: Study) -> Iterator[str]:
    for area in study.area:
        for name, path in (("mines", area.mines), ("coast", area.coast), ("zones", area.zones)):
            if path is not None:
                yield from _looked_for(f"{name} of {area.name}", _expect, path)


def _rasters(study: Study) -> Iterator[str]:
    months = study.granules.calendar.months
    cover = study.water.land_cover
    for epoch in study.epochs:
        for name, source in study.indicators:
            if isinstance(source, UserRaster):
                wanted = (source.raster, epoch, study.years(epoch), months)
                yield from _looked_for(f"indicators.{name}", expand, *wanted)
        if cover:
            yield from _looked_for("water.land_cover", of_year, cover.raster, epoch)


def _drivers(drivers: DriversSettings) -> Iterator[str]:
    for name, layer in drivers.layers:
        raster = DriverRaster(raster=layer) if isinstance(layer, str) else layer
        if raster is not None:
            months = range(1, 13) if raster.months else ()
            wanted = (raster.raster or raster.months, drivers.year, (drivers.year,), months)
            yield from _looked_for(f"drivers.layers.{name}", expand, *wanted)


def _looked_for(setting: str, look: Callable[..., object], *wanted: Any) -> Iterator[str]:
    try:
        look(*wanted)
    except InputError as error:
        yield f"{setting}: {error}"


def _expect(path: Path) -> None:
    if not path.is_file():
        raise InputError(f"{path}: expected a file, found none; check the path in the study")
