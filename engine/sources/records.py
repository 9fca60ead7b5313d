# SPDX-License-Identifier: Apache-2.0
"""Files of the archive, as its catalogue describes them, and the composites they hold."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, order=True)
class Wanted:
    """One composite that a study needs: a product, a tile and a date."""

    product: str
    """Short name."""

    collection: str
    """Three digits."""

    tile: str
    """``hXXvYY``."""

    date: date
    """Start of the period."""

    layer: str = ""
    """The one layer of a file that has one, as it is stored, without blanks; else empty."""

    @property
    def stem(self) -> str:
        """How the names of its files begin.

        >>> Wanted("MOD09A1", "061", "h27v05", date(2012, 6, 9)).stem
        'MOD09A1.A2012161.h27v05.061'
        """
        stem = f"{self.product}.A{self.date:%Y%j}.{self.tile}.{self.collection}"
        return f"{stem}.{self.layer}" if self.layer else stem


@dataclass(frozen=True)
class Checksum:
    """What a file's bytes add up to."""

    algorithm: str
    """As the catalogue writes it: ``MD5``, ``SHA-256``."""

    value: str
    """Hexadecimal, lower case; decimal for CRC-32 and Adler-32 where the catalogue writes so."""


@dataclass(frozen=True)
class Record:
    """A file of the archive."""

    name: str
    """Its name."""

    wanted: Wanted
    """What it holds."""

    produced: str
    """Production time, year to second."""

    url: str
    """Its address; empty where the catalogue knows the file, but not where it lies."""

    size: int | None = None
    """Bytes; None where the catalogue does not say."""

    checksum: Checksum | None = None
    """Its checksum; None where the catalogue has none."""

    about: float = 0.0
    """Bytes, roughly, where ``size`` is not known."""


def newest(found: Iterable[Record]) -> dict[Wanted, Record]:
    """The newest production of each composite, of those that can be had."""
    chosen: dict[Wanted, Record] = {}
    for record in found:
        rival = chosen.get(record.wanted)
        if rival is None or _age(record) > _age(rival):
            chosen[record.wanted] = record
    return chosen


def _age(record: Record) -> tuple[bool, str, bool, str]:
    # Production times are of one length, but for a few of early collections without seconds.
    produced = record.produced.ljust(14, "0")
    return bool(record.url), produced, record.checksum is not None, record.url
