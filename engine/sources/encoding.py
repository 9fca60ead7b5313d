# SPDX-License-Identifier: Apache-2.0
"""How files encode a layer, checked against the product table, and made canonical."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .errors import GranuleError
from .products import Layer, Variant

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tags:
    """What a file says of a layer's values; None where it says nothing."""

    fill: float | None
    """Stored value of a missing pixel."""

    scale: float | None
    """Factor, or divisor."""

    offset: float | None
    """Added after the factor."""

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> Self:
        """The tags among attributes by their usual names; ValueError for one without number."""
        keys = ("_FillValue", "scale_factor", "add_offset")
        return cls(*(_number(attributes[key]) if key in attributes else None for key in keys))


def _number(value: Any) -> float:
    numbers = np.asarray(value).ravel()
    if not numbers.size:
        raise ValueError("expected a number, found none")
    return float(numbers[0])


def encoding(layer: Layer, dtype: np.dtype[Any], tags: Tags, where: str) -> Variant:
    """The accepted variant in which a file has a layer.

    Raises GranuleError for a type that cannot hold it and, for a quantity, for tags that contradict
    the product table. For a quality word the table wins, and a differing tag is a log line.
    """
    name = _name(dtype)
    variants = [variant for variant in layer.variants if variant.dtype == name]
    if not variants:
        accepted = " or ".join(dict.fromkeys(variant.dtype for variant in layer.variants))
        raise GranuleError(
            f"{where}: expected {accepted} in {layer.stored}, found {name}; "
            "get the file as its archive delivers it"
        )
    for variant in variants:
        if variant.agrees(tags.fill, tags.scale, tags.offset):
            return variant
    found = f"fill {tags.fill}, scale {tags.scale}, offset {tags.offset}"
    own = variants[0]
    expected = f"fill {own.fill}, scale {own.scale}, offset {own.offset}"
    if layer.kind == "value":
        raise GranuleError(
            f"{where}: expected {expected} in {layer.stored} or another variant of the product "
            f"table, found {found}; get the file as its archive delivers it"
        )
    _note(layer.stored, found, expected)
    return own


@cache
def _name(dtype: np.dtype[Any]) -> str:
    """NumPy's name of a type, whatever its byte order; kept, as NumPy takes 7 us for it."""
    return str(dtype.newbyteorder("=").name)


@cache
def _note(stored: str, found: str, expected: str) -> None:
    """One log line for all the files that tag a layer in the same way."""
    LOG.info("%s: %s in the file; the product table wins: %s", stored, found, expected)


def is_canonical(layer: Layer, variant: Variant) -> bool:
    """Whether stored values are canonical already, but for their byte order."""
    return variant.dtype == layer.dtype and variant.fill == layer.fill


def canonical(values: NDArray[Any], layer: Layer, variant: Variant, where: str) -> NDArray[Any]:
    """Stored values in the layer's own type and with its own fill.

    Raises GranuleError for a value that its type cannot hold.
    """
    if is_canonical(layer, variant):
        return values
    if variant.fill is not None and variant.fill != layer.fill:
        values = np.where(values == variant.fill, np.int64(layer.fill or 0), values)
    limits = np.iinfo(layer.dtype)
    if values.size and (values.min() < limits.min or values.max() > limits.max):
        raise GranuleError(
            f"{where}: expected values of {layer.dtype} in {layer.stored}, "
            f"found {values.min()} to {values.max()}"
        )
    return values.astype(layer.dtype)
