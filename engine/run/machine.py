# SPDX-License-Identifier: Apache-2.0
"""The machine that a run finds: its memory, its processor and the libraries that are installed."""

import importlib.metadata
import os
import platform
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

LIBRARIES = (
    "numpy",
    "numba",
    "scipy",
    "pandas",
    "pyarrow",
    "xarray",
    "dask",
    "distributed",
    "rasterio",
    "pyhdf",
    "pyproj",
    "shapely",
    "geopandas",
    "pyogrio",
    "exactextract",
    "scikit-learn",
    "odc-geo",
    "pydantic",
)
"""Distributions that results depend on."""

CONTROL_GROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
"""Where Linux keeps the limits of containers and batch jobs, and which of them hold for us."""


def memory() -> int | None:
    """Bytes of memory this process may use: the machine's, or its container's if that is less.

    None where the system does not say.
    """
    amounts = list(_limits(*CONTROL_GROUPS))
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        amounts.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(amounts, default=None)


def _limits(root: Path, membership: Path) -> Iterator[int]:
    """The limits of this process's control group and of those above it (version 2, version 1)."""
    groups = {root / "memory.max", root / "memory" / "memory.limit_in_bytes"}
    for line in (_text(membership) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        group = PurePosixPath(path.lstrip("/"))
        if ".." in group.parts:
            continue  # outside of what this container sees
        for above in (group, *group.parents):
            if not controllers:
                groups.add(root / above / "memory.max")
            elif "memory" in controllers.split(","):
                groups.add(root / "memory" / above / "memory.limit_in_bytes")
    texts = (_text(path) or "" for path in sorted(groups))
    yield from (int(text) for text in texts if text.isdigit())  # "max" is no limit


def _text(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None


def version(distribution: str) -> str | None:
    """Version of an installed distribution; None where it is not installed."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str]:
    """Software that results are recorded with: ours, Python's and the libraries'."""
    found = {name: version(name) for name in ("rsei", *LIBRARIES)}
    return {"python": platform.python_version()} | {n: v for n, v in found.items() if v}


def processor() -> str:
    """The model of the processor, as the system names it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
