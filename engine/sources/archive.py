# SPDX-License-Identifier: Apache-2.0
"""NASA's catalogue of granules (CMR): which files there are, how large, and their checksums.

earthaccess asks the same catalogue, but without a timeout, retries or regard to Retry-After
(0.17, ``search.DataGranules``), so the questions are put here; it does the login (``login``).

Source: CMR search API, granules.umm_json; UMM-G 1.6.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from .errors import StudyError
from .link import Link
from .located import name_of
from .login import plain
from .patience import Dropped, Rejected
from .records import Checksum, Record, Wanted

CATALOGUE = "https://cmr.earthdata.nasa.gov/search"
"""Address of the catalogue."""

PROVIDER = "LPCLOUD"
"""The land processes archive in the cloud, as the catalogue calls it."""

PAGE = 2000
"""Records of one answer: the most that the catalogue gives."""

PAGES = 1000
"""Answers to one question: far more than all granules of a product need."""

UNITS = {"KB": 1e3, "MB": 1e6, "GB": 1e9}
"""Bytes in each unit of ``SizeUnit``."""


@dataclass(frozen=True)
class Question:
    """What is looked for in the catalogue."""

    product: str
    """Short name."""

    collection: str
    """Three digits."""

    tiles: tuple[str, ...]
    """Tiles."""

    spans: tuple[tuple[date, date], ...]
    """First and last day of each season."""

    provider: str = PROVIDER
    """Who holds the files."""

    def parameters(self) -> dict[str, Any]:
        """The question in the catalogue's words."""
        return {
            "short_name": self.product,
            "version": self.collection,
            "provider": self.provider,
            "readable_granule_name[]": [
                f"{self.product}.A*.{tile}.{self.collection}.*" for tile in self.tiles
            ],
            "options[readable_granule_name][pattern]": "true",
            "temporal[]": [
                f"{first:%Y-%m-%d}T00:00:00Z,{last:%Y-%m-%d}T23:59:59Z"
                for first, last in self.spans
            ],
            "page_size": str(PAGE),
        }


def records(link: Link, question: Question, catalogue: str = CATALOGUE) -> Iterator[Record]:
    """The files that the catalogue knows, in its order; some may be there more than once.

    Records of another form are left out. Raises StudyError for an address that is none,
    Unreachable, Rejected, also for fewer records than the catalogue counts: a page that got lost
    must not pass for composites that do not exist.
    """
    if urlsplit(catalogue).scheme not in ("http", "https"):
        raise StudyError(f"expected an HTTP address of the catalogue, found {plain(catalogue)}")
    url = f"{catalogue.rstrip('/')}/granules.umm_json"
    after: str | None = None
    count = 0
    for _ in range(PAGES):
        ask = partial(_page, link, url, after, question)
        items, hits, following = link.patiently(plain(url), ask)
        for item in items:
            if record := record_of(item):
                yield record
        count += len(items)
        if not items or not following or following == after:
            if count < hits:
                raise Rejected(f"{plain(url)}: expected {hits} records, found {count}; try again")
            return
        after = following
    raise Rejected(f"{plain(url)}: expected at most {PAGES} pages of records, found more")


def _page(
    link: Link, url: str, after: str | None, question: Question
) -> tuple[list[Any], int, str | None]:
    """The records of a page, how many there are in all, and what to ask the next page with."""
    headers = {"CMR-Search-After": after} if after else {}
    data, told = link.read(url, headers, question.parameters())
    hits = told.get("CMR-Hits", "")
    return _items(data), int(hits) if hits.isdigit() else 0, told.get("CMR-Search-After")


def _items(data: bytes) -> list[Any]:
    try:
        found = json.loads(data)
    except ValueError:
        raise Dropped("an answer that is no JSON") from None
    items = found.get("items") if isinstance(found, dict) else None
    if not isinstance(items, list):
        raise Dropped("an answer without a list of items")
    return items


NAME = re.compile(r"[A-Za-z0-9]+\.A\d{7}\.h\d\dv\d\d\.\d{3}\.\d{11,14}\.hdf")
"""Names of files that are accepted: one of another form would choose where it is written."""


def record_of(item: Any) -> Record | None:
    """The file of one item of an answer; None where it is not of the form that is looked for.

    A granule without an address has an empty one: it exists, and cannot be had.
    """
    umm = _table(_table(item).get("umm"))
    links = [_table(link) for link in _list(umm.get("RelatedUrls"))]
    urls = [str(link.get("URL")) for link in links if link.get("Type") == "GET DATA"]
    web = [url for url in urls if urlsplit(url).scheme in ("http", "https")]
    places = [(urlsplit(url).path.rpartition("/")[2], url) for url in web]
    for name, url in (*places, (f"{umm.get('GranuleUR')}.hdf", "")):
        said = name_of(name) if NAME.fullmatch(name) else None
        if said and said.date and said.tile and said.collection and said.produced:
            wanted = Wanted(said.product, said.collection, said.tile, said.date)
            size, checksum, about = _weight(umm, name)
            return Record(name, wanted, said.produced, url, size, checksum, about)
    return None


def _weight(umm: dict[str, Any], name: str) -> tuple[int | None, Checksum | None, float]:
    """Bytes, checksum and rough bytes of the file ``name``, as far as they are known."""
    entries = _list(_table(umm.get("DataGranule")).get("ArchiveAndDistributionInformation"))
    tables = [_table(entry) for entry in entries]
    own = [entry for entry in tables if entry.get("Name") == name] or tables[: len(tables) == 1]
    for entry in own:
        size = entry.get("SizeInBytes")
        exact = int(size) if isinstance(size, int | float) and 0 < size < 2**53 else None
        rough, unit = entry.get("Size"), UNITS.get(str(entry.get("SizeUnit")), 0.0)
        about = float(rough) * unit if isinstance(rough, int | float) else 0.0
        told = _table(entry.get("Checksum"))
        value = str(told.get("Value") or "").strip().lower()
        checksum = Checksum(str(told.get("Algorithm")), value) if value else None
        return exact, checksum, float(exact or about)
    return None, None, 0.0


def _table(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else ()
