# SPDX-License-Identifier: Apache-2.0
"""What a study lacks of granules: all of them, those of an epoch, those of a role."""

from ..sources.catalogues import ROLES
from ..sources.errors import InputError
from ..sources.granules import Catalogue, Granule
from ..sources.products import products
from .study import Study


def roles(study: Study) -> tuple[str, ...]:
    """Roles of the products that the study's indicators and its water mask need."""
    mndwi = study.water.mndwi != "off"
    wanted = {
        "reflectance": bool(study.indicators.bands(mndwi)),
        "greenness": study.indicators.greenness == "product",
        "heat": study.indicators.heat == "product",
    }
    return tuple(role for role in ROLES if wanted[role])


def nothing_found(study: Study, found: Catalogue, used: list[Granule]) -> str:
    """What to say where no granule of the season is there."""
    first, last = study.granules.season
    years = study.years()
    wanted = f"granules of {first} to {last}, {years[0]} to {years[-1]}"
    if used:
        days = sorted({g.date for g in used})
        there = f"{len(used)} granules of {days[0]} to {days[-1]}"
    else:
        products_ = sorted({g.product for g in found.granules})
        there = f"{len(found.granules)} granules ({', '.join(products_) or 'no known product'})"
    needs = ", ".join(roles(study)) or "no product"
    return (
        f"{study.granules.path}: expected {wanted} for {needs}, found {there} and "
        f"{len(found.skipped)} files of no known product; check granules.path, season and epochs"
    )


def require_every_epoch(study: Study, years: set[int]) -> None:
    """Raises InputError for the first epoch without a granule in any of its ``years``."""
    for epoch in study.epochs:
        if not years & set(study.years(epoch)):
            span = study.years(epoch)
            raise InputError(
                f"{study.granules.path}: expected granules of {span[0]} to {span[-1]} for epoch "
                f"{epoch}, found none; get them, or take {epoch} out of study.epochs"
            )


def thin_years(study: Study, held: set[tuple[str, int]]) -> list[str]:
    """Warnings of epochs that lack a role in years of theirs; ``held`` is what is there.

    Raises InputError where no year has a role: no pixel of the study would be valid.
    """
    warnings = []
    for role in roles(study):
        there = {year for one, year in held if one == role}
        if not there:
            raise InputError(
                f"{study.granules.path}: expected {role} granules ({_products_of(role, study)}) of "
                f"the areas' tiles, found none in the seasons of the study; get them"
                f"{INSTEAD.get(role, '')}"
            )
        for epoch in study.epochs:
            years = study.years(epoch)
            lacking = [str(year) for year in years if year not in there]
            none = ": none of its pixels can be valid" if len(lacking) == len(years) else ""
            if lacking:
                warnings.append(f"epoch {epoch}: no {role} granule of {', '.join(lacking)}{none}")
    return warnings


INSTEAD = {
    "greenness": ', or set indicators.greenness = "bands"',
    "heat": ", or name a raster of your own as indicators.heat",
}
"""What a study can do without the granules of a role."""


def _products_of(role: str, study: Study) -> str:
    platforms = study.granules.platforms
    fit = (one for one in products().values() if one.role == role)
    return " or ".join(p.name for p in fit if platforms is None or p.platform in platforms)
