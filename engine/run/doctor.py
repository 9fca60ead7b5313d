# SPDX-License-Identifier: Apache-2.0
"""What ``rsei doctor`` tells: the machine, its software, and what else could be had."""

import importlib.util
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...kernels.launch import cores
from .devices import gpus, lack
from .machine import LIBRARIES, memory, version, versions


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
    Extra("downloads from archives", ("earthaccess", "pystac_client", "requests"), "download"),
)
"""What the base install leaves out."""


def facts(folder: Path) -> dict[str, Any]:
    """The machine, as JSON values, with the space on the disk of ``folder``."""
    return {
        "system": platform.platform(),
        "cores": cores(),
        "memory": memory(),
        "disk": {"folder": str(folder.absolute()), "free": _free(folder)},
        "gpus": [gpu.__dict__ for gpu in gpus()],
        "gpu_needs": None if gpus() else lack(),
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
