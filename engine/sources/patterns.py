# SPDX-License-Identifier: Apache-2.0
"""Files that a pattern such as ``t2m_{year}_{month:02d}.tif`` stands for."""

import re
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from string import Formatter

from .errors import RasterError
from .rasterfiles import open_raster, split

PLACES = ("epoch", "year", "month")
"""What may stand in braces."""


def fields(pattern: str) -> set[str]:
    """The names in a pattern's braces; raises RasterError for others than `PLACES`.

    >>> sorted(fields("t2m_{year}_{month:02d}.tif"))
    ['month', 'year']
    """
    try:
        found = {name for _, name, _, _ in Formatter().parse(pattern) if name is not None}
    except ValueError as error:
        raise RasterError(f"{pattern}: expected paired braces: {error}") from error
    if found - set(PLACES):
        wrong = ", ".join(f"{{{name}}}" for name in sorted(found - set(PLACES)))
        raise RasterError(
            f"{pattern}: expected {{epoch}}, {{year}} or {{month:02d}}, found {wrong}; "
            "name the files by these"
        )
    return found


def expand(
    pattern: str, epoch: int, years: Sequence[int] = (), months: Sequence[int] = ()
) -> tuple[str, ...]:
    """The files of an epoch: of all its ``years`` and ``months`` where the pattern names them.

    Raises RasterError that names every missing file.

    """
    named = fields(pattern)
    every = product(years if "year" in named else (0,), months if "month" in named else (0,))
    found = [filled(pattern, epoch, year, month) for year, month in every]
    missing = [path for path in found if not split(path)[0].is_file()]
    if missing or not found:
        listed = ", ".join(missing[:8]) + (" ..." if len(missing) > 8 else "")
        raise RasterError(
            f"{pattern}: expected {len(found)} file{'s' * (len(found) != 1)} for epoch {epoch}, "
            f"found {len(found) - len(missing)}; check the path, or add what is missing: {listed}"
        )
    return tuple(found)


def filled(pattern: str, epoch: int, year: int, month: int) -> str:
    """The pattern with its braces filled."""
    try:
        return pattern.format(epoch=epoch, year=year, month=month)
    except (ValueError, IndexError, KeyError) as error:
        raise RasterError(f"{pattern}: expected braces such as {{month:02d}}: {error}") from error


def years_of(pattern: str) -> tuple[int, ...]:
    """The years for which a pattern with ``{year}`` or ``{epoch}`` has a layer, sorted."""
    fields(pattern)
    if re.search(r"@\{(year|epoch)[^}]*\}$", pattern):
        return tuple(sorted({day.year for day in open_raster(pattern.rsplit("@", 1)[0]).dates}))
    folder, name = Path(pattern).parent, Path(pattern).name
    parts = re.split(r"\{(?:year|epoch)[^}]*\}", name)
    match = re.compile(r"(\d{4})".join(map(re.escape, parts)))
    found = (match.fullmatch(file.name) for file in folder.iterdir()) if folder.is_dir() else ()
    # A year that stands twice in a name must be the same year.
    return tuple(sorted({int(m[1]) for m in found if m and len(set(m.groups())) == 1}))


def of_year(pattern: str, year: int) -> tuple[str, str | None]:
    """The file of ``year``, else of the nearest earlier one, else of the nearest; and a warning.

    For land cover, which is not made for every year. Raises RasterError where there is none.
    """
    if not fields(pattern) & {"year", "epoch"}:
        if not split(pattern)[0].is_file():
            raise RasterError(f"{pattern}: expected a file, found none; check the path")
        return pattern, f"{Path(pattern).name} serves every year; name files by {{year}} if it can"
    known = years_of(pattern)
    if not known:
        raise RasterError(f"{pattern}: expected a file for some year, found none; check the path")
    earlier = [one for one in known if one <= year]
    chosen = max(earlier) if earlier else min(known)
    warning = None if chosen == year else f"no land cover of {year}: that of {chosen} is used"
    return filled(pattern, chosen, chosen, 0), warning
