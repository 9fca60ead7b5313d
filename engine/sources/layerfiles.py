# SPDX-License-Identifier: Apache-2.0
"""GeoTIFFs of one layer and date each, as AppEEARS and the tools that cut granules make them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.windows import Window as Part

from .encoding import Tags, canonical, encoding
from .errors import GranuleError
from .files import beginning, first_bytes, require_no_file
from .grids import Window
from .located import Located, Name, Source
from .products import Layer, Product, plain
from .rasterfiles import SAFE, TIFF, require_small_blocks


def refuse(path: Path, expected: str, start: bytes) -> GranuleError:
    """The error for a file that starts with other bytes than its format."""
    return GranuleError(f"{path}: expected {expected}, found {beginning(start)}; download it again")


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The open file. Raises GranuleError for anything but a whole GeoTIFF on disk.

    The driver is named and the first bytes are looked at, so that a VRT of that name cannot make
    GDAL open another file.
    """
    start = first_bytes(path, 512, GranuleError)
    if not start.startswith(TIFF):
        raise refuse(path, "a GeoTIFF", start)
    try:
        with rasterio.Env(**SAFE), rasterio.open(path, driver="GTiff", sharing=False) as file:
            require_small_blocks(file, path, GranuleError)
            yield file
    except (RasterioError, NotGeoreferencedWarning, ValueError) as error:
        raise GranuleError(
            f"{path}: expected a whole GeoTIFF, found damage ({error}); download it again"
        ) from error


def layer_of(name: Name, product: Product) -> Layer | None:
    """The layer that a file's name promises; a cut of a tile adds where it was cut."""
    if name.layer is None:
        return None
    if name.tile is None:
        return product.stored(name.layer)
    fitting = [one for one in product.layers if plain(name.layer).startswith(plain(one.stored))]
    return max(fitting, key=lambda one: len(one.stored), default=None)


def locate(path: Path, name: Name, product: Product) -> list[Located]:
    """The one layer of a file; none where it is not one that is read.

    Raises GranuleError for a damaged file, one without grid, and tags that contradict the name.
    """
    layer = layer_of(name, product)
    if layer is None:
        return []
    with opened(path) as file:
        if file.count != 1:
            raise GranuleError(f"{path}: expected one band, found {file.count}")
        if file.crs is None or file.transform.is_identity:
            raise GranuleError(
                f"{path}: expected a coordinate system and a grid, found none; download it again"
            )
        _agree(path, name, file.tags())
        encoding(layer, np.dtype(file.dtypes[0]), tags(file), str(path))
        source = Source(layer.name, path, "geotiff", layer.stored)
        assert name.date is not None  # every pattern of a GeoTIFF has one
        crs = require_no_file(file.crs.to_wkt(), path, GranuleError)
        return [Located(name, name.date, crs, file.transform, file.shape, (source,))]


def _agree(path: Path, name: Name, said: dict[str, str]) -> None:
    """Raises GranuleError where a file's own tags tell another story than its name."""
    start = said.get("RANGEBEGINNINGDATE")
    held = date.fromisoformat(start) if start else None
    for what, named, found in (
        ("product", name.product, said.get("SHORTNAME")),
        ("date", name.date, held),
    ):
        if found is not None and named != found:
            raise GranuleError(
                f"{path}: expected {what} {named} as in its name, found {found} in its tags; "
                "download it again, or give it its own name"
            )


def tags(file: Any) -> Tags:
    """What an open GeoTIFF says of its values, in GDAL's own tags or in NASA's."""
    nasa = Tags.of(file.tags() | file.tags(1))
    # GDAL reports 1 and 0 where a file says nothing
    scale = file.scales[0] if file.scales[0] != 1 else nasa.scale
    offset = file.offsets[0] if file.offsets[0] != 0 else nasa.offset
    return Tags(file.nodata if file.nodata is not None else nasa.fill, scale, offset)


def read(source: Source, layer: Layer, window: Window, out: NDArray[Any]) -> None:
    """Writes the pixels of ``window``, counted from the file's corner, of its one layer.

    Raises GranuleError for damage and for tags that contradict the product table.
    """
    with opened(source.path) as file:
        where = str(source.path)
        variant = encoding(layer, np.dtype(file.dtypes[0]), tags(file), where)
        part = Part(window.left, window.top, window.width, window.height)
        out[...] = canonical(file.read(1, window=part), layer, variant, where)
