# SPDX-License-Identifier: Apache-2.0
"""The bands of the two rasters of stage ``composite``: the composite, and its indicators."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from ..index.indicators import LAYERS, Block
from ..index.summaries import INDICATORS
from ..sources.geotiff import Form
from ..sources.products import BANDS
from .devices import on_host
from .larder import Stock

COMPOSITE = (*BANDS, "ndvi", "lst", *(f"count_{name}" for name in (*BANDS, "ndvi", "lst")))
"""Bands of a composite file."""

INDICATED = (*LAYERS, "valid")
"""Bands of an indicators file."""


def forms(tags: Mapping[str, str]) -> Iterator[Form]:
    """What a composite file is, and an indicators file."""
    for names in (COMPOSITE, INDICATED):
        units = tuple("K" if name == "lst" else "1" for name in names)
        yield Form(names, units=units, tags=tags)


def composite_bands(block: Block, stock: Stock) -> NDArray[np.float32]:
    """The bands of a composite file, (18, h, w), of one strip."""
    ndvi, lst = (block.indicators[INDICATORS.index(name)] for name in ("ndvi", "lst"))
    counts = [on_host(layer) for layer in block.counts]
    layers = [*on_host(block.bands), on_host(ndvi), on_host(lst), *counts]
    return np.stack([*layers, stock.ndvi_count, stock.lst_count]).astype(np.float32)


def indicator_bands(block: Block) -> NDArray[np.float32]:
    """The bands of an indicators file, (6, h, w), of one strip."""
    valid = on_host(block.reason) == 0
    return np.stack([*on_host(block.indicators), valid]).astype(np.float32)
