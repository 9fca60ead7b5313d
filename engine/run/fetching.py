# SPDX-License-Identifier: Apache-2.0
"""Fetch the granules of a study: what it needs, what is there, and the rest from the archive."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from pathlib import Path

from ..sources import mirror
from ..sources.archive import Question, records
from ..sources.areas import areas, tiles_of
from ..sources.download import require_space, write_quarantine
from ..sources.errors import GranuleError, StudyError
from ..sources.granules import files_below
from ..sources.link import Link
from ..sources.located import name_of
from ..sources.login import login
from ..sources.manifest import Manifest
from ..sources.products import plain, products
from ..sources.records import Record, Wanted, newest
from .errands import Fetched, FetchOptions, FetchPlan
from .lacking import roles
from .orders import Progress
from .porters import Brought, Porters
from .study import Study

ASKED = 40
"""Tiles in one question: the address that it makes stays under 8 kB, as servers allow."""


def wanted(study: Study, today: date, by_layer: bool = False) -> tuple[tuple[Wanted, ...], int]:
    """Every composite that the study needs, sorted, and how many more lie in the future.

    ``by_layer`` tells them apart by their layers, as in archives with a file for each.
    Without ``granules.platforms`` those of Terra, as in the study that the index stands on.
    Raises StudyError where no product is needed, BoundaryError.
    """
    platforms = study.granules.platforms or ("terra",)
    needed = [p for p in products().values() if p.role in roles(study) and p.platform in platforms]
    if not needed:
        raise StudyError(
            f"expected a study that needs a product of {' or '.join(platforms)}, found none: its "
            "rasters are the user's own; there is nothing to fetch"
        )
    collection = study.granules.collection
    for product in needed:
        if collection not in product.collections:
            raise StudyError(
                f"granules.collection: expected one of {', '.join(product.collections)} for "
                f"{product.name}, found {collection}"
            )
    tiles = sorted(
        {
            tile
            for one in study.area
            for area in areas(one.outline, one.name, one.name_field)
            for tile in tiles_of(area)
        }
    )
    every = {
        Wanted(product.name, collection, tile, day, layer)
        for product in needed
        for year in study.years()
        for day in study.granules.calendar.dates(year, product)
        for tile in tiles
        for layer in ([plain(one.stored) for one in product.layers] if by_layer else [""])
    }
    now = sorted(one for one in every if one.date <= today)
    return tuple(now), len(every) - len(now)


def plan(study: Study, options: FetchOptions | None = None) -> FetchPlan:
    """What there is to fetch; the catalogue is asked only for what the manifest does not settle.

    Raises GranuleError where the archive has nothing of a product, or the folder holds files on
    another grid; StudyError, BoundaryError, Unreachable.
    """
    options = options or FetchOptions()
    every, later = wanted(study, options.today, options.servers.mirror is not None)
    if not every:
        raise StudyError(
            f"expected composites up to {options.today}, found {later} that lie in the future; "
            "check study.epochs"
        )
    folder = study.granules.path
    manifest = Manifest.read(folder)
    held = manifest.stems()
    missing = [
        one for one in every if options.refresh or not (one.stem in held or manifest.settled(one))
    ]
    if not missing:
        absent = tuple(one for one in every if one.stem not in held)
        here = len(every) - len(absent)
        return FetchPlan(study, every, later, (), {}, absent, (), here, False, options)
    found = _files(folder, options.servers.mirror is not None)
    answer = newest(_ask(Link(), study, missing, options))
    chosen = {one: answer[one] for one in missing if one in answer}
    fresh = [one for one in missing if one not in chosen and one.stem not in held]
    _require_any(study, every, held, chosen)
    records = tuple(
        record for _, record in sorted(chosen.items()) if not manifest.sound(record.name)
    )
    absent = tuple(one for one in every if one.stem not in held and one not in chosen)
    here = len(every) - len(absent) - len(records)
    known = {record.name: found[record.name] for record in records if record.name in found}
    return FetchPlan(study, every, later, records, known, absent, tuple(fresh), here, True, options)


def _files(folder: Path, by_layer: bool) -> dict[str, Path]:
    """Granules below ``folder`` by name; raises GranuleError for subsets, which have own grids."""
    found: dict[str, Path] = {}
    if not folder.exists():
        return found
    for path in files_below(folder):
        name = name_of(path.name)
        if name is None or name.product not in products():
            continue
        if name.format != "hdf4" and not (by_layer and name.tile):
            raise GranuleError(
                f"{folder}: expected a folder for whole granules, found {path.name}, a subset on a "
                "grid of its own; name another folder in granules.path"
            )
        found.setdefault(path.name, path)
    return found


def _ask(
    link: Link, study: Study, missing: Sequence[Wanted], options: FetchOptions
) -> Iterator[Record]:
    """The files that the catalogue has of what is missing, and more of the same tiles and years."""
    for question in questions(study, missing):
        if options.servers.mirror:
            yield from mirror.records(link, question, options.servers.mirror)
        else:
            yield from records(link, question, options.servers.catalogue)


def questions(study: Study, missing: Sequence[Wanted]) -> Iterator[Question]:
    """What to ask the catalogue, product by product: the seasons and tiles that lack something."""
    for name in sorted({one.product for one in missing}):
        product = products()[name]
        days = {one.date for one in missing if one.product == name}
        spans = []
        for year in study.years():
            own = [d for d in study.granules.calendar.dates(year, product) if d in days]
            if own:
                spans.append((own[0], own[-1] + timedelta(product.period_days - 1)))
        tiles = sorted({one.tile for one in missing if one.product == name})
        for start in range(0, len(tiles), ASKED):
            some = tuple(tiles[start : start + ASKED])
            yield Question(name, study.granules.collection, some, tuple(spans))


def _require_any(
    study: Study, every: Sequence[Wanted], held: set[str], chosen: dict[Wanted, Record]
) -> None:
    """Raises GranuleError where there is nothing at all of a product."""
    there = {one.product for one in every if one in chosen or one.stem in held}
    for name in sorted({one.product for one in every} - there):
        own = [one for one in every if one.product == name]
        tiles = sorted({one.tile for one in own})
        raise GranuleError(
            f"expected granules of {name}.{own[0].collection} of {own[0].date} to {own[-1].date} "
            f"in {' '.join(tiles[:8])}, found none in the catalogue; check granules.collection, "
            "season and epochs, and where the areas lie"
        )


def carry_out(plan: FetchPlan, progress: Progress) -> Fetched:
    """Fetch what a plan names, in parallel; files that fail are listed, the others come.

    Raises Refused and Unreachable where nothing comes at all, MachineError for a full disk or
    another rsei fetch in the same folder.
    """
    outcome = Fetched(plan)
    if not plan.records and not plan.fresh:
        return outcome
    options = plan.options
    signer = options.servers.mirror.sign if options.servers.mirror else None
    needed = not options.servers.mirror and any(one.name not in plan.found for one in plan.records)
    access = login(options.servers.login, options.servers.hosts) if needed else None
    manifest = Manifest.read(plan.folder)
    with manifest.writing():
        require_space(plan.folder, plan.size)
        for one in plan.fresh:
            manifest.miss(one)
        porters = Porters(Link(access, signer=signer), manifest, plan.found)
        progress.begin("fetch", len(plan.records), int(plan.size))
        try:
            for done in porters.each(plan.records, options.parallel):
                _note(outcome, manifest, done, progress)
        finally:
            write_quarantine(plan.folder, manifest.lacking())
    return outcome


def _note(outcome: Fetched, manifest: Manifest, done: Brought, progress: Progress) -> None:
    size = 0
    if done.set_aside:
        progress.say(done.set_aside)
    if done.held is None:
        outcome.failed[done.record.name] = done.reason
        manifest.fail(done.record.name, done.reason)
    else:
        manifest.hold(done.held)
        size = 0 if done.adopted else done.held.size
        outcome.adopted += done.adopted
        outcome.files += not done.adopted
        outcome.size += size
    progress.advance("fetch", 1, size)
