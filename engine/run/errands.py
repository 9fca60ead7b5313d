# SPDX-License-Identifier: Apache-2.0
"""What a download is told, and what it tells: options, plan and outcome."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from ..sources.archive import CATALOGUE
from ..sources.login import LOGIN
from ..sources.mirror import Mirror
from ..sources.records import Record, Wanted
from .study import Study


@dataclass(frozen=True)
class Servers:
    """Whom to ask."""

    catalogue: str = CATALOGUE
    """Address of the catalogue."""

    login: str = LOGIN
    """Address of the login server."""

    hosts: tuple[str, ...] = ()
    """Further hosts that may see the token: copies of the archive that want it."""

    mirror: Mirror | None = None
    """A STAC API to take GeoTIFFs from, in place of the archive."""


def servers(environment: Mapping[str, str], stac: str | None = None) -> Servers:
    """NASA's servers, but for those that the environment names, and a STAC API in their place.

    RSEI_CATALOGUE, RSEI_LOGIN and RSEI_STAC_SIGN are addresses, RSEI_ARCHIVE_HOSTS hosts separated
    by commas. Raises StudyError for an address that is none.

    >>> servers({"RSEI_ARCHIVE_HOSTS": "modis.my-site.org, localhost:8080"}).hosts
    ('modis.my-site.org', 'localhost:8080')
    """
    hosts = environment.get("RSEI_ARCHIVE_HOSTS", "").split(",")
    return Servers(
        environment.get("RSEI_CATALOGUE") or CATALOGUE,
        environment.get("RSEI_LOGIN") or LOGIN,
        tuple(host.strip() for host in hosts if host.strip()),
        Mirror.of(stac, environment.get("RSEI_STAC_SIGN")) if stac else None,
    )


@dataclass(frozen=True)
class FetchOptions:
    """How to fetch this time."""

    parallel: int = 4
    """Files at the same time."""

    refresh: bool = False
    """Ask the catalogue for every composite again: for newer productions, and late ones."""

    servers: Servers = field(default_factory=Servers)
    """Whom to ask."""

    today: date = field(default_factory=date.today)
    """The day: a composite that starts later is not looked for."""


@dataclass(frozen=True)
class Share:
    """What there is to fetch of one product."""

    product: str
    """Short name and collection, such as ``MOD09A1.061``."""

    tiles: int
    """Tiles."""

    wanted: int
    """Composites that the study needs."""

    held: int
    """Those that are here, checked."""

    absent: int
    """Those that the archive does not have."""

    files: int
    """Those to be fetched."""

    size: float
    """Bytes of these, as far as the catalogue says."""


@dataclass(frozen=True)
class FetchPlan:
    """What there is to fetch."""

    study: Study
    """What was asked."""

    wanted: tuple[Wanted, ...]
    """Every composite of the study, up to today."""

    later: int
    """Composites that the study needs and that lie in the future."""

    records: tuple[Record, ...]
    """Files to fetch."""

    found: dict[str, Path]
    """Files to fetch that seem to be here already: they only need a check."""

    absent: tuple[Wanted, ...]
    """Composites that the archive does not have."""

    fresh: tuple[Wanted, ...]
    """Those of them that were asked for now."""

    held: int
    """Composites that are here, checked."""

    asked: bool
    """Whether the catalogue was asked at all."""

    options: FetchOptions
    """How to fetch."""

    @property
    def folder(self) -> Path:
        """Where the files go."""
        return self.study.granules.path

    @property
    def size(self) -> float:
        """Bytes to fetch, as far as the catalogue says."""
        return sum(r.size or r.about for r in self.records if r.name not in self.found)

    @property
    def unsized(self) -> int:
        """Files to fetch whose size the catalogue does not say."""
        return sum(not (r.size or r.about) for r in self.records if r.name not in self.found)

    @property
    def shares(self) -> tuple[Share, ...]:
        """What there is to fetch of each product."""
        keys = sorted({(w.product, w.collection) for w in self.wanted})
        return tuple(self._share(*key) for key in keys)

    def _share(self, product: str, collection: str) -> Share:
        wanted = [w for w in self.wanted if w.product == product]
        absent = sum(w.product == product for w in self.absent)
        files = [r for r in self.records if r.wanted.product == product]
        return Share(
            f"{product}.{collection}",
            len({w.tile for w in wanted}),
            len(wanted),
            len(wanted) - absent - len(files),
            absent,
            len(files),
            sum(r.size or r.about for r in files),
        )

    def record(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {
            "study": self.study.study.name,
            "folder": str(self.folder),
            "products": [share.__dict__ for share in self.shares],
            "wanted": len(self.wanted),
            "held": self.held,
            "later": self.later,
            "absent": [w.stem for w in self.absent],
            "files": [
                {"name": r.name, "size": r.size, "here": r.name in self.found} for r in self.records
            ],
            "bytes": self.size,
            "asked_catalogue": self.asked,
        }


@dataclass
class Fetched:
    """What came of it."""

    plan: FetchPlan
    """What there was to do."""

    files: int = 0
    """Files that came."""

    size: int = 0
    """Their bytes."""

    adopted: int = 0
    """Files that were here without an entry, and passed the check."""

    failed: dict[str, str] = field(default_factory=dict)
    """Why a file did not come, by name."""

    @property
    def exit_code(self) -> int:
        """0 where every file is here, 1 where some failed."""
        return 1 if self.failed else 0

    def record(self) -> dict[str, Any]:
        """The outcome as JSON values."""
        return self.plan.record() | {
            "fetched": self.files,
            "fetched_bytes": self.size,
            "adopted": self.adopted,
            "failed": self.failed,
            "complete": not self.failed,
        }
