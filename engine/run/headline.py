# SPDX-License-Identifier: Apache-2.0
"""What a run comes to, as a command says it at its end."""

from dataclasses import dataclass
from pathlib import Path

from ..report.tables import TABLES
from ..report.tabular import read
from ..report.wording import comparison
from .reporting import PAGE


@dataclass(frozen=True)
class Headline:
    """What a run comes to, in a few lines."""

    epochs: tuple[str, ...]
    """The epochs, by time."""

    means: tuple[tuple[str, tuple[float | None, ...]], ...]
    """Each area with its mean RSEI at each epoch."""

    page: Path | None
    """The page; None where it is not made."""


def headline(folder: Path) -> Headline:
    """What the run in ``folder`` comes to; empty where it has no tables yet."""
    path = folder / TABLES["series"].file
    epochs, rows = comparison(read(path, "series") if path.is_file() else None)
    page = folder / PAGE
    return Headline(
        tuple(epochs),
        tuple((area, tuple(means)) for area, *means in rows),
        page if page.is_file() else None,
    )
