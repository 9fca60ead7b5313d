# SPDX-License-Identifier: Apache-2.0
"""The products that can be read, as tables: where a layer lies, and what its integers mean."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Literal

from .errors import GranuleError

Kind = Literal["value", "quality", "diagnostic"]


@dataclass(frozen=True)
class Variant:
    """One form in which files carry a layer."""

    dtype: str
    """NumPy's name of the stored integers."""

    fill: float | None
    """Stored value of a missing pixel; None where the layer has none."""

    scale: float
    """The file's scale attribute: a factor, or its inverse in the files that divide."""

    offset: float
    """The file's offset attribute."""

    def agrees(self, fill: float | None, scale: float | None, offset: float | None) -> bool:
        """Whether the tags of a file, None where absent, are those of this variant."""
        pairs = (fill, self.fill), (scale, self.scale), (offset, self.offset)
        return all(
            found is None or (own is not None and abs(found - own) <= 1e-8 + 1e-6 * abs(own))
            for found, own in pairs
        )


@dataclass(frozen=True)
class Layer:
    """One layer of a product, and the canonical form in which it is read."""

    name: str
    """Its role: a band's colour, or ``qc state ndvi vi reliability lst lst_qc view_time``."""

    stored: str
    """Its name in HDF4 files."""

    kind: Kind
    """A quantity, a quality word, or a quantity that is only summarised."""

    dtype: str
    """NumPy's name of the integers in which it is read."""

    fill: float | None
    """Stored value of a missing pixel; None where the layer has none."""

    scale: float
    """Factor from stored values to ``units``; 1 for a quality word."""

    offset: float
    """Added after the factor."""

    valid: tuple[int, int] | None
    """Smallest and largest valid stored value."""

    units: str
    """Unit of the scaled value."""

    variants: tuple[Variant, ...]
    """Every form that files may have, the canonical one first."""

    word: str | None = None
    """The quality word whose fields it holds, a key of ``QUALITY_FIELDS``."""

    outside: int = 0
    """Stored value written where there is no granule: the fill, if there is one."""

    alias: str | None = None
    """A shorter name in files of other tools."""

    @property
    def fields(self) -> Mapping[str, tuple[int, int]]:
        """First and last bit of each field; empty for a quantity."""
        return QUALITY_FIELDS[self.word] if self.word else MappingProxyType({})

    def answers(self, name: str) -> bool:
        """Whether ``name``, as HDF4, AppEEARS or another tool writes it, is this layer's.

        AppEEARS writes spaces as underscores, and one more before a leading digit.
        """
        return plain(name) in {plain(self.stored), *([plain(self.alias)] if self.alias else [])}


@dataclass(frozen=True)
class Product:
    """One product, such as MOD09A1."""

    name: str
    """Short name."""

    role: str
    """``reflectance``, ``greenness`` or ``heat``; ``other`` where no stage of a study uses it."""

    platform: str
    """``terra``, ``aqua`` or ``combined``."""

    period_days: int
    """Days that a composite covers."""

    pixel: int
    """Nominal pixel, m: 500 or 1000."""

    collections: tuple[str, ...]
    """Collections whose layers are as described here."""

    layers: tuple[Layer, ...]
    """Its layers."""

    first: date
    """Start of the first period ever."""

    first_day: int = 1
    """Day of the year on which the first period of a year begins."""

    absent: tuple[date, ...] = ()
    """Starts of periods that were never produced."""

    words: Mapping[str, str] = field(default_factory=dict)
    """Quality words of further layers, by stored name."""

    def layer(self, name: str) -> Layer:
        """The layer of this role. Raises GranuleError where the product has none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = " ".join(layer.name for layer in self.layers)
        raise GranuleError(f"{self.name}: expected one of the layers {known}, found {name}")

    def stored(self, name: str) -> Layer | None:
        """The layer that a file calls ``name``; None where it is not one that is read."""
        return next((layer for layer in self.layers if layer.answers(name)), None)

    def dates(self, year: int) -> Iterator[date]:
        """Starts of the periods of ``year``: they begin anew each year."""
        start = date(year, 1, 1) + timedelta(self.first_day - 1)
        while start.year == year:
            if start >= self.first and start not in self.absent:
                yield start
            start += timedelta(self.period_days)


def plain(name: str) -> str:
    """A layer's name with the spellings of different tools made one.

    >>> plain("500m 16 days NDVI") == plain("_500m_16_days_NDVI")
    True
    """
    return re.sub(r"\W+", "_", name).strip("_")


def _layer(name: str, place: Mapping[str, str], table: Mapping[str, Any]) -> Layer:
    own = Variant(
        table["dtype"], table.get("fill"), table.get("scale", 1.0), table.get("offset", 0.0)
    )
    variants = [
        Variant(**{"dtype": own.dtype, "fill": own.fill, "scale": own.scale, "offset": own.offset}
                | other)
        for other in table.get("variants", [])
    ]  # fmt: skip
    valid = table.get("valid")
    return Layer(
        name=name,
        stored=place["stored"],
        kind=table["kind"],
        dtype=own.dtype,
        fill=own.fill,
        scale=own.scale,
        offset=own.offset,
        valid=(valid[0], valid[1]) if valid else None,
        units=table["units"],
        variants=(own, *variants),
        word=table.get("word"),
        outside=table.get("outside", int(own.fill or 0)),
        alias=place.get("alias"),
    )


@cache
def _table() -> Mapping[str, Any]:
    return tomllib.loads(files(__package__).joinpath("products.toml").read_text("utf-8"))


@cache
def products() -> Mapping[str, Product]:
    """Every known product by its short name."""
    known = {}
    for name, entry in _table()["products"].items():
        whole = _table()["products"][entry["like"]] | entry if "like" in entry else entry
        layers = whole["layers"].items()
        described = _table()["layers"]
        known[name] = Product(
            name=name,
            layers=tuple(_layer(key, at, described[at["layer"]]) for key, at in layers),
            collections=tuple(whole["collections"]),
            absent=tuple(whole.get("absent", ())),
            words=whole.get("words", {}),
            **{
                key: whole[key]
                for key in ("role", "platform", "period_days", "pixel", "first", "first_day")
                if key in whole
            },
        )
    return MappingProxyType(known)


BANDS = ("red", "nir", "blue", "green", "nir2", "swir1", "swir2")
"""Bands of surface reflectance in the order b1 to b7 of MODIS."""

QUALITY_FIELDS: Mapping[str, Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        word: MappingProxyType({field: (first, last) for field, (first, last) in fields.items()})
        for word, fields in _table()["words"].items()
    }
)
"""First and last bit of each field of the words ``qc state vi reliability lst``.

Source: docs/explanation/method.md, and the products' own attributes.
"""
