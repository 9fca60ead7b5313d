# SPDX-License-Identifier: Apache-2.0
"""Read from the header of each file what it holds, and where that lies."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import starmap
from pathlib import Path

from . import eos, layerfiles, netcdf
from .catalogues import BadGranule
from .errors import GranuleError, InputError
from .located import Format, Located, Name
from .products import Product, products

LOCATORS: Mapping[Format, Callable[[Path, Name, Product], list[Located]]] = {
    "hdf4": eos.locate,
    "geotiff": layerfiles.locate,
    "netcdf": netcdf.locate,
}

READERS = 8
"""Files whose metadata is read at the same time where the disk is waited for."""

SAMPLE = 64
"""Files by which it is seen whether the disk is waited for."""


def each_located(named: Sequence[tuple[Path, Name]]) -> Iterator[list[Located] | BadGranule]:
    """What each file holds, in their order.

    In threads only where the disk is waited for: else they wait for each other, half as long again.
    """
    begun, spent = time.perf_counter(), time.thread_time()
    yield from [located(*one) for one in named[:SAMPLE]]
    rest = named[SAMPLE:]
    if time.perf_counter() - begun < 2 * (time.thread_time() - spent):
        yield from starmap(located, rest)
    else:
        with ThreadPoolExecutor(READERS) as readers:
            yield from readers.map(located, *zip(*rest))


def located(path: Path, name: Name) -> list[Located] | BadGranule:
    """What a file holds, or what is wrong with it."""
    product = products()[name.product]
    try:
        if name.collection is not None and name.collection not in product.collections:
            known = " or ".join(product.collections)
            raise GranuleError(
                f"{path}: expected collection {known} of {name.product}, found {name.collection}; "
                "add it to the product table if its layers are the same"
            )
        return LOCATORS[name.format](path, name, product)
    except InputError as error:
        return BadGranule(path, str(error))
