# SPDX-License-Identifier: Apache-2.0
"""Mirrors of the archive with a STAC API: cloud-optimised GeoTIFFs, one file a layer.

Source: STAC API 1.0, item search; items as stactools-modis writes them, so on the Planetary
Computer: ``modis:horizontal-tile`` and the like, assets under the layers' own names.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn
from urllib.parse import urlsplit

from pystac_client.item_search import ItemSearch
from pystac_client.stac_api_io import StacApiIO

from .archive import Question
from .errors import StudyError
from .grids import LONLAT, SINUSOIDAL, TILE, carrier, tile_window
from .grids import SINUSOIDAL_500M as LATTICE
from .link import Link
from .located import name_of
from .login import place, plain
from .patience import Dropped, Rejected
from .products import plain as one_spelling
from .products import products
from .records import Checksum, Record, Wanted

PLANETARY = "https://planetarycomputer.microsoft.com/api/stac/v1"
"""The Planetary Computer, which holds MODIS as cloud-optimised GeoTIFFs."""

SIGN = "https://planetarycomputer.microsoft.com/api/sas/v1/sign"
"""Where its addresses are signed, without a login."""

COLLECTION = "modis-{number}-{collection}"
"""Names of its collections, of Terra and Aqua together."""

LIMIT = 250
"""Items of one answer."""

PAGES = 2000
"""Answers to one question: far more than a season needs."""

IDENTITY = re.compile(r"[A-Za-z0-9]+\.A\d{7}\.h\d\dv\d\d\.\d{3}\.\d{11,14}")
"""Names of items that are accepted: they become names of files."""

MULTIHASH = {"1220": "SHA-256", "d50110": "MD5", "1114": "SHA-1", "1340": "SHA-512"}
"""Checksums by the start of a multihash. Source: STAC file extension, multiformats table."""


@dataclass(frozen=True)
class Mirror:
    """A STAC API."""

    address: str
    """Its address."""

    sign: str | None = None
    """Where addresses of files are signed; None where they need not be."""

    collections: str = COLLECTION
    """How it names collections, with {product}, {number} such as ``09A1``, and {collection}."""

    @classmethod
    def of(cls, address: str, sign: str | None = None) -> "Mirror":
        """The mirror at ``address``; raises StudyError for no address."""
        for url in (address, *([sign] if sign else [])):
            if urlsplit(url).scheme not in ("http", "https"):
                raise StudyError(f"expected an HTTP address of a STAC API, found {plain(url)}")
        known = SIGN if place(address) == place(PLANETARY) else None
        return cls(address.rstrip("/"), sign or known)


class _Pages(StacApiIO):
    """Lets pystac-client ask over our link, with its timeouts, tries and limits."""

    def __init__(self, link: Link) -> None:
        super().__init__(max_retries=None)
        self.link, self.left = link, PAGES

    def request(
        self,
        href: str,
        method: str | None = None,
        headers: dict[str, str] | None = None,
        parameters: dict[str, Any] | None = None,
    ) -> str:
        """The text of an answer."""
        self.left -= 1
        if self.left < 0 or (method or "GET").upper() != "GET":
            raise Rejected(f"{plain(href)}: expected at most {PAGES} pages by GET, found others")
        return self.link.patiently(plain(href), lambda: self._page(href, headers, parameters))

    def _page(
        self, href: str, headers: dict[str, str] | None, parameters: dict[str, Any] | None
    ) -> str:
        # An answer without a list would pass for the end of the search.
        data, _ = self.link.read(href, headers, parameters)
        try:
            found = json.loads(data)
        except ValueError:
            raise Dropped("an answer that is no JSON") from None
        if not isinstance(found, dict) or not isinstance(found.get("features"), list):
            raise Dropped("an answer without a list of features")
        return data.decode()


def records(link: Link, question: Question, mirror: Mirror) -> Iterator[Record]:
    """The files of every layer that a study reads, of what is asked for.

    Raises Unreachable, Rejected for an answer of another form.
    """
    for first, last in question.spans:
        search = ItemSearch(
            f"{mirror.address}/search",
            method="GET",
            stac_io=_Pages(link),
            limit=LIMIT,
            collections=[
                mirror.collections.format(
                    product=question.product,
                    number=question.product[3:],
                    collection=question.collection,
                )
            ],
            intersects={
                "type": "MultiPoint",
                "coordinates": [list(inner_point(tile)) for tile in question.tiles],
            },
            datetime=f"{first:%Y-%m-%d}T00:00:00Z/{last:%Y-%m-%d}T23:59:59Z",
        )
        try:
            for item in search.items_as_dicts():
                yield from records_of(item, question)
        except (KeyError, TypeError, AttributeError) as error:
            _complain(mirror, error)


def _complain(mirror: Mirror, error: Exception) -> NoReturn:
    raise Rejected(
        f"{plain(mirror.address)}: expected a STAC API with item search, found another answer "
        f"({type(error).__name__}); check the address"
    ) from None


def records_of(item: Any, question: Question) -> Iterator[Record]:
    """The files of an item, of each layer; none where it is not of the form that is looked for.

    A layer without an address has an empty one: the granule exists, and the layer cannot be had.
    """
    identity = str(item.get("id")) if isinstance(item, Mapping) else ""
    said = name_of(f"{identity}.hdf") if IDENTITY.fullmatch(identity) else None
    assets = item.get("assets") if said else None
    if (
        said is None
        or not isinstance(assets, Mapping)
        or (said.product, said.collection) != (question.product, question.collection)
    ):
        return
    for layer in products()[question.product].layers:
        asset = next((a for key, a in assets.items() if layer.answers(str(key))), None)
        about: Mapping[str, Any] = asset if isinstance(asset, Mapping) else {}
        url = str(about.get("href"))
        url = url if urlsplit(url).scheme in ("http", "https") else ""
        stored = one_spelling(layer.stored)
        assert said.tile and said.date and said.produced  # IDENTITY has them
        wanted = Wanted(said.product, question.collection, said.tile, said.date, stored)
        size = about.get("file:size")
        exact = size if isinstance(size, int) and 0 < size < 2**53 else None
        checksum = _checksum(str(about.get("file:checksum") or "").lower())
        name = f"{identity}.{stored}.tif"
        yield Record(name, wanted, said.produced, url, exact, checksum, float(exact or 0))


def _checksum(multihash: str) -> Checksum | None:
    for start, algorithm in MULTIHASH.items():
        if multihash.startswith(start):
            return Checksum(algorithm, multihash.removeprefix(start))
    return None


@cache
def inner_point(tile: str) -> tuple[float, float]:
    """Longitude and latitude, degrees, of a place in a tile: its centre, if that is on the globe.

    >>> inner_point("h18v04")
    (7.07107, 45.0)
    """
    left, bottom, *_ = LATTICE.bounds(tile_window(tile))
    carry = carrier(SINUSOIDAL, LONLAT)
    steps = [0.5, 0.25, 0.75, 0.05, 0.95]
    for across, up in sorted(
        ((a, u) for a in steps for u in steps), key=lambda p: math.hypot(p[0] - 0.5, p[1] - 0.5)
    ):
        x, y = left + across * TILE, bottom + up * TILE
        lon, lat = carry.transform(x, y)
        back = carry.transform(lon, lat, direction="INVERSE")
        if math.isfinite(lon) and math.hypot(back[0] - x, back[1] - y) < 1.0:
            return round(lon, 5), round(lat, 5)
    raise StudyError(f"expected a tile with land, found {tile}, which lies off the globe")
