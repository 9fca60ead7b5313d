# SPDX-License-Identifier: Apache-2.0
"""Which observations may be used: policies over the fields of the quality words."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StrictInt, field_validator

from ...kernels.layers import NO_FILL
from ...kernels.rules import rule
from ...kernels.tables import Tables
from ..sources.errors import StudyError
from ..sources.products import BANDS, QUALITY_FIELDS, Layer, products
from ..sources.settings import Settings

__all__ = ["PRESETS", "QUALITY_FIELDS", "BandRules", "LayerRules", "Policy"]

ALL_BANDS = "all_bands"
"""The one key of the qc layer that is no field: nibbles of which all seven bands must hold one."""

BAND_FIELDS = tuple(f"b{number}" for number in range(1, len(BANDS) + 1))
"""Fields of the qc word that test their own band alone."""

WORDS = ("state", "qc", "vi", "reliability", "lst")
"""Quality words for which a policy has rules, in the order in which reasons are counted."""

Accepted = Mapping[str, tuple[int, ...]]
"""Values that may be used, by field; a field that is absent may hold any."""


def _preset(**words: Mapping[str, Collection[int]]) -> Mapping[str, Accepted]:
    return MappingProxyType(
        {
            word: MappingProxyType({name: tuple(kept) for name, kept in fields.items()})
            for word, fields in words.items()
        }
    )


_CLEAR = {"cloud": [0, 3], "shadow": [0], "internal_cloud": [0]}
_NO_SNOW = {"snow": [0], "adjacent": [0], "internal_snow": [0]}
_OWN_BAND = {name: [0, 1] for name in BAND_FIELDS}
_USEFUL = {"usefulness": range(13)}

PRESETS: Mapping[str, Mapping[str, Accepted]] = MappingProxyType(
    {
        "standard": _preset(
            state=_CLEAR | {"cirrus": [0, 1]} | _NO_SNOW,
            qc={"modland": [0, 1]} | _OWN_BAND,
            vi=_USEFUL,
            reliability={"reliability": [0, 1]},
            lst={"mandatory": [0, 1], "lst_error": [0, 1]},
        ),
        "strict": _preset(
            state=_CLEAR | {"aerosol": [0, 1, 2], "cirrus": [0]} | _NO_SNOW,
            qc={"modland": [0], ALL_BANDS: [0]} | _OWN_BAND,
            vi=_USEFUL,
            reliability={"reliability": [0]},
            lst={"mandatory": [0], "lst_error": [0, 1]},
        ),
        "lenient": _preset(
            state={"cloud": [0, 3], "shadow": [0]},
            qc={},
            vi={},
            reliability={"reliability": [0, 1, 2]},
            lst={"mandatory": [0, 1]},
        ),
    }
)
"""Accepted values of each preset, by word and field. Source: docs/explanation/method.md."""


@dataclass(frozen=True)
class BandRules:
    """A policy for reflectance, as its kernel reads it."""

    tables: Tables
    """Which bands of a pixel-date are used, and why not."""

    reasons: tuple[str, ...]
    """``fill``, the reason of each rule, then of each band's nibble, then of each band's range."""

    untested: frozenset[str]
    """Reasons that nothing can be lost to: of bands whose nibble has no rule."""


@dataclass(frozen=True)
class LayerRules:
    """A policy for one layer, as its kernel reads it."""

    reasons: tuple[str, ...]
    """``fill``, then the reason of each of ``rules``, then of the range."""

    fills: tuple[int, int, int]
    """Fill of the layer and of its two words."""

    rules: NDArray[np.uint32]
    """Rules on the first word and on the second, (R, 4)."""

    ranges: tuple[int, int, int, int]
    """Lowest and highest usable value of the layer it depends on, then its own."""

    @property
    def kernel(self) -> tuple[tuple[int, int, int], NDArray[np.uint32], tuple[int, int, int, int]]:
        """What the kernel takes."""
        return self.fills, self.rules, self.ranges


class Policy(Settings):
    """Which quality bits an observation may have."""

    preset: Literal["standard", "strict", "lenient"] = "standard"
    """Rules for every layer that ``fields`` does not name."""

    fields: Mapping[str, Mapping[str, tuple[StrictInt, ...]]] = Field(default_factory=dict)
    """Accepted values by layer (state, qc, vi, reliability, lst) and field: they replace the
    preset's rule for that layer. Fields join by AND; a field that is absent may hold any value."""

    @field_validator("preset", mode="before")
    @classmethod
    def _known_preset(cls, preset: Any) -> Any:
        if preset not in PRESETS:
            raise _unknown("preset", preset, PRESETS, "[quality]")
        return preset

    @field_validator("fields", mode="after")
    @classmethod
    def _known_fields(cls, fields: Mapping[str, Accepted]) -> Mapping[str, Accepted]:
        for word, rules in fields.items():
            if word not in WORDS:
                raise _unknown("layer", word, WORDS, "[quality.fields]")
            for name, accepted in rules.items():
                _check(word, name, accepted)
        return fields

    def accepted(self, word: str) -> Accepted:
        """Accepted values of each tested field of a quality word."""
        return self.fields.get(word, PRESETS[self.preset][word])

    def bands(self) -> BandRules:
        """The rules for seven bands of reflectance, by the words state and qc."""
        state, qc = self.accepted("state"), self.accepted("qc")
        stored, state_layer, qc_layer = (
            products()["MOD09A1"].layer(name) for name in ("red", "state", "qc")
        )
        bits = QUALITY_FIELDS["qc"]
        tables = Tables.of(
            {QUALITY_FIELDS["state"][name]: values for name, values in state.items()},
            {bits[name]: values for name, values in qc.items() if name != ALL_BANDS},
            qc.get(ALL_BANDS),
            (_fill(state_layer), _fill(qc_layer)),
            _valid(stored),
        )
        whole = [f"state.{name}" for name in QUALITY_FIELDS["state"] if name in state]
        whole += [f"qc.{name}" for name in bits if name in qc and name not in BAND_FIELDS]
        whole += [f"qc.{ALL_BANDS}"] * (len(BANDS) if ALL_BANDS in qc else 0)
        own = [f"qc.{name}" for name in BAND_FIELDS]
        ranges = [f"range.{name}" for name in BANDS]
        untested = frozenset(f"qc.{name}" for name in BAND_FIELDS if name not in qc)
        return BandRules(tables, ("fill", *whole, *own, *ranges), untested)

    def ndvi(self) -> LayerRules:
        """The rules for NDVI, by the words vi and reliability."""
        layer, *words = (
            products()["MOD13A1"].layer(name) for name in ("ndvi", "vi", "reliability")
        )
        rows = _rows("vi", 0, self.accepted("vi"))
        rows += _rows("reliability", 1, self.accepted("reliability"))
        return _layer_rules(layer, layer, words, rows)

    def lst(self) -> LayerRules:
        """The rules for land surface temperature, by the word lst."""
        return self._heat("lst")

    def view_time(self) -> LayerRules:
        """The rules for the view time, which counts where the temperature does."""
        return self._heat("view_time")

    def _heat(self, name: str) -> LayerRules:
        product = products()["MOD11A2"]
        words = [product.layer("lst_qc")] * 2
        rows = _rows("lst", 0, self.accepted("lst"))
        return _layer_rules(product.layer(name), product.layer("lst"), words, rows)


def _check(word: str, name: str, accepted: tuple[int, ...]) -> None:
    """Raise StudyError where the rule of ``quality.fields`` cannot be meant."""
    place = f"[quality.fields.{word}]"
    known = (*QUALITY_FIELDS[word], *([ALL_BANDS] if word == "qc" else []))
    if name not in known:
        raise _unknown("field", name, known, place)
    first, last = QUALITY_FIELDS[word]["b1" if name == ALL_BANDS else name]
    highest = (1 << (last - first + 1)) - 1
    if word == "reliability":
        highest = _valid(products()["MOD13A1"].layer(word))[1]
    strange = [value for value in accepted if not 0 <= value <= highest]
    if strange or not accepted:
        raise StudyError(
            f"{place} {name}: expected a list of values from 0 to {highest}, "
            f"found {list(accepted)}; leave the field out to accept all"
        )


def _unknown(what: str, found: Any, known: Collection[str], place: str) -> StudyError:
    close = get_close_matches(str(found), known, n=1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return StudyError(f"{place}: expected a {what} of {', '.join(known)}; found {found!r}{hint}")


def _rows(word: str, which: int, accepted: Accepted) -> list[tuple[str, tuple[int, int, int, int]]]:
    """A reason and a rule for each tested field, in the order of the bits."""
    fields = QUALITY_FIELDS[word]
    return [
        (f"{word}.{name}", rule(which, fields[name], accepted[name]))
        for name in fields
        if name in accepted
    ]


def _table(rows: list[tuple[str, tuple[int, int, int, int]]]) -> NDArray[np.uint32]:
    return np.array([row for _, row in rows], np.uint32).reshape(len(rows), 4)


def _layer_rules(
    layer: Layer, gate: Layer, words: list[Layer], rows: list[tuple[str, tuple[int, int, int, int]]]
) -> LayerRules:
    reasons = ("fill", *(name for name, _ in rows), f"range.{layer.name}")
    fills = _fill(gate), _fill(words[0]), _fill(words[1])
    return LayerRules(reasons, fills, _table(rows), (*_valid(gate), *_valid(layer)))


def _fill(layer: Layer) -> int:
    return NO_FILL if layer.fill is None else int(layer.fill)


def _valid(layer: Layer) -> tuple[int, int]:
    if layer.valid is None:
        raise ValueError(f"expected a valid range of layer {layer.name}, found none")
    return layer.valid
