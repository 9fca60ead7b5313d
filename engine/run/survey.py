# SPDX-License-Identifier: Apache-2.0
"""What there is to work on: areas on the study's grid, and granules by tile and year."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from ..index.season import Season
from ..sources.catalogues import ROLES
from ..sources.errors import GridError, InputError, MachineError
from ..sources.granules import BadGranule, Catalogue, Granule, catalogue
from ..sources.grids import Lattice, Window
from ..sources.headers import Headers
from ..sources.located import name_of
from ..sources.products import products
from .lacking import nothing_found, require_every_epoch, roles, thin_years
from .places import Place as Place
from .places import places
from .store import Store
from .study import Study
from .upkeep import HEADERS


@dataclass(frozen=True)
class Shelf:
    """The granules of one tile and year in the season, and the window they are cut to."""

    tile: str
    """Tile ``hXXvYY``, or the name of the grid."""

    year: int
    """Year in which the season starts."""

    window: Window
    """Pixels of the study's grid that some area needs."""

    granules: Mapping[str, tuple[Granule, ...]]
    """Granules by role, by date."""

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file, once, sorted."""
        every = (path for group in self.granules.values() for one in group for path in one.files)
        return tuple(sorted(set(every)))


@dataclass(frozen=True)
class Survey:
    """Everything that is known before the first pixel is read."""

    study: Study
    """What was asked."""

    lattice: Lattice
    """The study's grid of 500 m."""

    coarse: Lattice | None
    """The grid of 1 km of the heat product; None where none is used."""

    places: tuple[Place, ...]
    """The areas."""

    shelves: Mapping[tuple[str, int], Shelf]
    """Granules by tile and year."""

    catalogue: Catalogue
    """Everything that was found in the folder."""

    bad: tuple[BadGranule, ...]
    """Granules that cannot be used, of those that the study needs."""

    warnings: tuple[str, ...]
    """What the results have to be read with."""

    @property
    def season(self) -> Season:
        """The part of the year that is averaged."""
        return self.study.granules.calendar

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles of the products that the indicators need."""
        return roles(self.study)

    @property
    def used(self) -> int:
        """Number of granules that the study reads."""
        return sum(
            len(group) for shelf in self.shelves.values() for group in shelf.granules.values()
        )

    def on_paper(self) -> "Survey":
        """The same without where the layers of granules lie: what tables need, and a third of it.

        Of a country it is sent to a worker, and held there.
        """
        shelves = {
            key: replace(
                shelf,
                granules={
                    role: tuple(replace(one, sources=()) for one in group)
                    for role, group in shelf.granules.items()
                },
            )
            for key, shelf in self.shelves.items()
        }
        return replace(self, shelves=shelves, catalogue=Catalogue((), (), (), ()))

    def coverage(self) -> Iterator[tuple[str, date, str, str]]:
        """Product, date, tile and status of every composite that the season should have.

        The status is ``present``, ``missing``, or ``bad`` for one that cannot be read.
        """
        found = {(g.product, g.date, g.tile) for s in self.shelves.values() for g in _all(s)}
        damaged = {(n.product, n.date, n.tile) for b in self.bad if (n := name_of(b.path.name))}
        names = sorted({g.product for s in self.shelves.values() for g in _all(s)})
        tiles = sorted({tile for tile, _ in self.shelves})
        for name in names:
            for year in self.study.years():
                for start in self.season.dates(year, products()[name]):
                    for tile in tiles:
                        one = (name, start, tile)
                        status = "present" if one in found else "missing"
                        yield *one, "bad" if one in damaged else status


def _all(shelf: Shelf) -> Iterator[Granule]:
    for group in shelf.granules.values():
        yield from group


def survey(study: Study, store: Store | None = None) -> Survey:
    """What a study has to work on; reads names, headers and boundaries, no pixel.

    Headers that were read before are known to ``store``, if it is a run folder that is there.
    Raises InputError: no granule of the season, unrelated grids, an area outside the tiles, an
    epoch without any granule, a role without any.
    """
    found = _catalogue(study, store)
    years, wanted = study.years(), roles(study)
    period = study.granules.calendar
    used = [g for g in found.granules if _belongs(g, study, wanted)]
    held = {
        (day, name): [y for y in years if abs(y - day.year) < 2 and _holds(period, day, name, y)]
        for day, name in {(g.date, g.product) for g in used}
    }
    dated = [(g, y) for g in used for y in held[g.date, g.product]]
    if not dated:
        raise InputError(nothing_found(study, found, used))
    require_every_epoch(study, {year for _, year in dated})
    lattice, coarse = _grids([g for g, _ in dated])
    extents = _extents(dated, lattice)
    found_places, warnings = places(study, lattice, extents)
    shelves = _shelves(dated, extents, found_places)
    bad = tuple(b for b in found.bad if _concerns(b, study, wanted, period))
    there = {(role, year) for (_, year), shelf in shelves.items() for role in shelf.granules}
    warnings += thin_years(study, there)
    return Survey(study, lattice, coarse, found_places, shelves, found, bad, tuple(warnings))


def _catalogue(study: Study, store: Store | None) -> Catalogue:
    """What the folder of granules holds; the run folder keeps what was read of it, if it can."""
    chosen = study.granules
    data = None
    with suppress(MachineError):
        data = store.disk.read(store.folder / HEADERS) if store else None
    headers = Headers.of(data, chosen.path)
    found = catalogue(chosen.path, chosen.collection, chosen.mixed_collections, headers)
    if store and headers.outdated and (store.folder / HEADERS).parent.is_dir():
        with suppress(MachineError):
            store.put(store.folder / HEADERS, headers.data)
    return found


def _belongs(granule: Granule, study: Study, wanted: tuple[str, ...]) -> bool:
    product = products()[granule.product]
    platforms = study.granules.platforms
    return product.role in wanted and (platforms is None or product.platform in platforms)


def _holds(period: Season, day: date, product: str, year: int) -> bool:
    return period.holds(day, products()[product].period_days, year)


def _concerns(bad: BadGranule, study: Study, wanted: tuple[str, ...], period: Season) -> bool:
    """Whether a damaged file would have been used, as far as its name tells."""
    name = name_of(bad.path.name)
    product = products().get(name.product) if name else None
    if name is None or product is None:
        return True
    held = (
        name.date is None or period.holds(name.date, product.period_days, year)
        for year in study.years()
    )
    return product.role in wanted and any(held)


def _grids(granules: Iterable[Granule]) -> tuple[Lattice, Lattice | None]:
    """The grid of 500 m and that of 1 km. Raises GridError where there are unrelated ones."""
    fine: dict[Lattice, Path] = {}
    coarse: dict[Lattice, Path] = {}
    for granule in granules:
        if granule.fine not in fine:
            fine[granule.fine] = granule.files[0]
        if products()[granule.product].role == "heat" and granule.lattice not in coarse:
            coarse[granule.lattice] = granule.files[0]
    for found in (fine, coarse):
        if len(found) > 1:
            one, other = list(found.values())[:2]
            raise GridError(
                f"expected all layers of a study on one grid, found that of {one.name} and "
                f"another of {other.name}; make a study of each request"
            )
    return next(iter(fine)), next(iter(coarse), None)


def _extents(dated: Iterable[tuple[Granule, int]], lattice: Lattice) -> dict[str, Window]:
    """The pixels of the study's grid that the granules of each tile cover."""
    extents: dict[str, Window] = {}
    for tile, own, window in dict.fromkeys((g.tile, g.lattice, g.window) for g, _ in dated):
        if own != lattice:
            window = lattice.bounding(*own.bounds(window))
        known = extents.get(tile)
        extents[tile] = known | window if known else window
    return extents


def _shelves(
    dated: Iterable[tuple[Granule, int]], extents: Mapping[str, Window], places: tuple[Place, ...]
) -> dict[tuple[str, int], Shelf]:
    groups: dict[tuple[str, int], dict[str, list[Granule]]] = {}
    for granule, year in dated:
        roles_ = groups.setdefault((granule.tile, year), {})
        roles_.setdefault(products()[granule.product].role, []).append(granule)
    shelves = {}
    for (tile, year), by_role in sorted(groups.items()):
        needed = [extents[tile] & place.window for place in places if tile in place.tiles]
        if not needed:
            continue
        window = needed[0]
        for other in needed[1:]:
            window |= other
        ordered = {
            role: tuple(sorted(by_role[role], key=lambda g: (g.date, g.product)))
            for role in ROLES
            if role in by_role
        }
        shelves[tile, year] = Shelf(tile, year, window, ordered)
    return shelves
