# SPDX-License-Identifier: Apache-2.0
"""Numbers that a study has published, beside the run's own of the same kind."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..sources.areas import slug
from ..sources.errors import InputError
from ..sources.fixed import small_table
from .findings import Findings, Site

COLUMNS = ("city", "quantity", "of", "relation", "value", "upper", "note")
"""Headings of the file."""

RELATIONS = ("=", ">", "range", "copied")
"""What a published number says: it is the value, less than it, the lower end of a range, or, for
``copied``, that it is known to be wrong and stands for nothing."""

LARGEST = 1 << 20
"""Bytes of a file of published numbers."""

EVERY = "all"
"""City of a number that holds for all of them."""

SIZES = {"mines under 0.25 km2": "<0.25", "mines over 1 km2": ">=1"}
"""Size classes of mines, as they are written about."""


@dataclass(frozen=True)
class Beside:
    """One published number, and what the run found."""

    city: str
    """Area of the run, or ``all``."""

    quantity: str
    """What was measured."""

    of: str
    """Of what."""

    published: str
    """As published."""

    own: str
    """The run's own; empty where it has none."""

    note: str
    """What to know of it."""


def published(findings: Findings) -> list[Beside]:
    """The rows of the study's file that concern the areas of the run, in the order of the file.

    Raises InputError where the file is none of this kind.
    """
    path = place(findings.folder, findings.record)
    if path is None:
        return []
    rows = (_beside(findings, row) for row in read(path))
    return [row for part in rows for row in part]


def place(folder: Path, record: Mapping[str, Any]) -> Path | None:
    """The file that the study names; None where none is, or the study is no longer there.

    ``folder`` is that of the run, ``record`` its own.
    """
    named = record["settings"].get("report", {}).get("published")
    study = folder / (record["study_file"] or "study.toml")
    return study.parent / named if named and study.is_file() else None


def fingerprint(folder: Path, record: Mapping[str, Any]) -> str:
    """Checksum of the file that the study names; empty where there is none."""
    path = place(folder, record)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path and path.is_file() else ""


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a file of published numbers, checked. Raises InputError."""
    expected = f"{path}: expected published numbers as CSV with the columns {','.join(COLUMNS)}"
    lines = small_table(path, COLUMNS, LARGEST, expected, InputError)
    rows = []
    for number, line in enumerate(lines, 2):
        if not any(line):
            continue
        row = dict(zip(COLUMNS, line))
        if len(line) != len(COLUMNS) or not _sound(row):
            raise InputError(
                f"{expected}; a relation of {' '.join(RELATIONS)} and its numbers, found "
                f"{','.join(line)!r} in line {number}"
            )
        rows.append(row)
    return rows


def _sound(row: Mapping[str, str]) -> bool:
    """Whether a row has the numbers that its relation needs, and no others."""
    wanted = {"=": (True, False), ">": (True, False), "range": (True, True)}
    value, upper = wanted.get(row["relation"], (False, False))
    known = row["relation"] in RELATIONS
    return known and _is_number(row["value"]) == value and _is_number(row["upper"]) == upper


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _beside(findings: Findings, row: Mapping[str, str]) -> list[Beside]:
    """A row for the area that it is about; one for each area where it holds for all of them."""
    measure = MEASURES.get(row["quantity"], _nothing)
    told, city = _told(row), row["city"]
    if city == EVERY and row["quantity"] == RANK:
        sites: Sequence[Site | None] = [None]
    else:
        sites = [site for site in findings.sites if city == EVERY or site.slug == slug(city)]
    return [
        Beside(
            site.name if site else EVERY,
            row["quantity"],
            row["of"],
            told,
            _span(measure(findings, site, row["of"])),
            row["note"],
        )
        for site in sites
    ]


def _told(row: Mapping[str, str]) -> str:
    if row["relation"] == "copied":
        return "no value"
    if row["relation"] == "range":
        return f"{row['value']} to {row['upper']}"
    return row["value"] if row["relation"] == "=" else f"{row['relation']} {row['value']}"


def _span(found: Sequence[float]) -> str:
    """One number, or the lowest and the highest of several.

    >>> _span([0.68123]), _span([0.5, 0.25, 0.4]), _span([3.0]), _span([])
    ('0.681', '0.250 to 0.500', '3', '')
    """
    kept = [one for one in found if math.isfinite(one)]
    if not kept:
        return ""
    ends = dict.fromkeys(
        f"{one:.0f}" if float(one).is_integer() else f"{one:.3f}" for one in (min(kept), max(kept))
    )
    return " to ".join(ends)


def _cells(table: pd.DataFrame | None, column: str, **wanted: Any) -> list[float]:
    """The cells of a column in the rows that have the wanted values."""
    if table is None:
        return []
    for name, value in wanted.items():
        table = table[table[name] == value]
    return [float(value) for value in table[column]]


def _mean(findings: Findings, site: Site | None, of: str) -> list[float]:
    name = site.name if site else None
    if of == "area":
        return _cells(findings.of("series", name), "mean", zone="area", epoch="all")
    sizes = findings.of("size_classes", name)
    if of == "mines by size class":
        return _cells(sizes, "mean", epoch="all")
    return _cells(sizes, "mean", epoch="all", size_class=SIZES[of]) if of in SIZES else []


def _correlation(findings: Findings, site: Site | None, of: str) -> list[float]:
    name = site.name if site else None
    return _cells(findings.of("correlation", name), "pearson", driver=of)


def _score(column: str) -> "Measure":
    def score(findings: Findings, site: Site | None, of: str) -> list[float]:
        return _cells(findings.of("forest", site.name if site else None), column)

    return score


def _rank(findings: Findings, site: Site | None, of: str) -> list[float]:
    return _cells(findings.of("ranking"), "rank", driver=of)


def _direction(findings: Findings, site: Site | None, of: str) -> list[float]:
    return _cells(findings.of("pca", site.name if site else None), "v_dot_e", epoch=of)


def _nothing(findings: Findings, site: Site | None, of: str) -> list[float]:
    return []


Measure = Callable[[Findings, Site | None, str], Sequence[float]]
"""Finds the run's own number; of no area where it is of all together."""

RANK = "rank of importance"

MEASURES: Mapping[str, Measure] = {
    "mean RSEI": _mean,
    "Pearson r with RSEI": _correlation,
    "forest R2": _score("r2"),
    "forest RMSE": _score("rmse"),
    "forest MAE": _score("mae"),
    RANK: _rank,
    "v . e of PC1": _direction,
}
"""How to find each quantity among the run's tables."""
