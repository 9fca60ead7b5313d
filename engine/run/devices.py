# SPDX-License-Identifier: Apache-2.0
"""The machine: cores, memory, GPU and libraries; nothing else asks whether there is a GPU."""

import gc
import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from ...kernels.launch import cores
from ..sources.errors import MachineError

GPU_WORTH = 4 << 30
"""Bytes to read from which a GPU saves time in spite of its start. An estimate until measured:
on a tile-year of 8 granules (0.9 GB) decoding on the host takes longer than the computing."""

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


@dataclass(frozen=True)
class Extra:
    """Libraries that one ability needs."""

    ability: str
    """What they allow."""

    modules: tuple[str, ...]
    """Modules to import."""

    name: str
    """The extra of ``rsei`` that installs them."""


EXTRAS = (
    Extra("calculation on a GPU", ("cupy", "numba_cuda"), "gpu"),
    Extra("forests and several GPUs", ("cuml", "dask_cuda", "rmm"), "rapids"),
    Extra("SHAP values of a forest", ("shap",), "shap"),
    Extra("workers on Slurm", ("dask_jobqueue",), "hpc"),
)
"""What the base install leaves out."""

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


@dataclass(frozen=True)
class Gpu:
    """One GPU."""

    name: str
    """Its model."""

    memory: int
    """Bytes of its memory."""

    driver: str
    """Highest CUDA version its driver supports, such as ``13.0``."""


def gpus() -> tuple[Gpu, ...]:
    """The GPUs that CuPy can calculate on; none where CuPy, a driver or a GPU is missing."""
    if importlib.util.find_spec("cupy") is None:
        return ()
    cupy: Any = importlib.import_module("cupy")
    try:
        if not cupy.cuda.is_available():
            return ()
        runtime = cupy.cuda.runtime
        version = runtime.driverGetVersion()
        found = [runtime.getDeviceProperties(i) for i in range(runtime.getDeviceCount())]
    except cupy.cuda.runtime.CUDARuntimeError:
        return ()
    driver = f"{version // 1000}.{version % 1000 // 10}"
    return tuple(Gpu(gpu["name"].decode(), gpu["totalGlobalMem"], driver) for gpu in found)


@dataclass(frozen=True)
class Choice:
    """The processor a run takes."""

    device: Literal["cpu", "cuda"]
    """Its kind."""

    reason: str
    """Why, in words."""


def choice(wanted: Literal["auto", "cpu", "cuda"], size: int) -> Choice:
    """The processor for a run that reads ``size`` bytes.

    Raises MachineError where a GPU is wanted and there is none.
    """
    if wanted == "cpu":
        return Choice("cpu", "as asked for")
    found = gpus()
    if wanted == "cuda":
        if not found:
            raise MachineError(f'device: expected a GPU for "cuda", found none: {_lack()}')
        return Choice("cuda", f"as asked for: {found[0].name}")
    if not found:
        return Choice("cpu", "there is no GPU that can be used")
    if size < GPU_WORTH:
        return Choice("cpu", f"{size / 2**30:.1f} GiB to read are too few for the GPU to pay off")
    return Choice("cuda", f"{size / 2**30:.1f} GiB to read: {found[0].name}")


def home(device: str) -> Any:
    """The library whose arrays live on ``device``: NumPy for ``cpu``, CuPy for ``cuda``."""
    return importlib.import_module("cupy" if device == "cuda" else "numpy")


def on_host(value: Any) -> Any:
    """``value`` with its arrays in NumPy: an array, or a frozen dataclass that holds some."""
    if is_dataclass(value) and not isinstance(value, type):
        moved = {f.name: on_host(getattr(value, f.name)) for f in fields(value) if f.init}
        return replace(value, **moved)
    return value.get() if type(value).__module__.partition(".")[0] == "cupy" else value


def settled(xp: Any) -> None:
    """Wait until the device of ``xp`` has done what it was told; the cores always have."""
    if xp.__name__ == "cupy":
        xp.cuda.Device().synchronize()


def free_memory() -> None:
    """Give back what nobody uses, on the host and from CuPy's pools; what is in use stays."""
    gc.collect()
    if cupy := sys.modules.get("cupy"):
        cupy.get_default_memory_pool().free_all_blocks()
        cupy.get_default_pinned_memory_pool().free_all_blocks()


@contextmanager
def marked(name: str) -> Iterator[None]:
    """Show the work inside as a range of this name in NVIDIA's profilers, where CuPy is at work."""
    if "cupy" not in sys.modules:
        yield
        return
    with importlib.import_module("cupyx.profiler").time_range(name):
        yield


def _lack() -> str:
    """What is missing for a GPU, and how to get it."""
    if importlib.util.find_spec("cupy") is None:
        return 'CuPy is not installed; `pip install "rsei[gpu]"`, or take device = "cpu"'
    return (
        "CuPy is installed, but no NVIDIA driver with a GPU answers; see what `nvidia-smi` says, "
        'or take device = "cpu"'
    )


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


def facts(folder: Path) -> dict[str, Any]:
    """The machine, as JSON values, with the space on the disk of ``folder``."""
    return {
        "system": platform.platform(),
        "cores": cores(),
        "memory": memory(),
        "disk": {"folder": str(folder.absolute()), "free": _free(folder)},
        "gpus": [gpu.__dict__ for gpu in gpus()],
        "gpu_needs": None if gpus() else _lack(),
        "versions": versions(),
        "missing": [name for name in LIBRARIES if version(name) is None],
        "optional": [_state(extra) for extra in EXTRAS],
    }


def _free(folder: Path) -> int | None:
    """Free bytes on the disk of ``folder``, or of the folder it would be made in."""
    for place in (folder, *folder.absolute().parents):
        if place.is_dir():
            return shutil.disk_usage(place).free
    return None


def _state(extra: Extra) -> dict[str, Any]:
    lacking = list(_lacking(extra))
    return {
        "ability": extra.ability,
        "installed": not lacking,
        "lacking": lacking,
        "install": f'pip install "rsei[{extra.name}]"',
    }


def _lacking(extra: Extra) -> Iterator[str]:
    yield from (name for name in extra.modules if importlib.util.find_spec(name) is None)
