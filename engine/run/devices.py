# SPDX-License-Identifier: Apache-2.0
"""The processor that calculates: cores or a GPU; nothing else asks whether there is a GPU."""

import gc
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal

from ..sources.errors import MachineError, StudyError
from .blocks import let_go
from .entries import in_bytes

GPU_WORTH = 4 << 30
"""Bytes to read from which a GPU saves time in spite of its start, unless ``RSEI_GPU_WORTH`` says
what ``rsei bench`` has measured. An estimate: it has not been measured on any machine yet."""

SHARE = 0.8
"""Share of a GPU's free memory that a run may take, unless the study says how much: the rest is for
the driver, compiled kernels, and the libraries of forests, which ask for their own."""

RMM_UNIT = 256
"""Bytes of which the size of a pool of RMM has to be a multiple."""

SHORT = ("cudaErrorMemoryAllocation", "CUDA_ERROR_OUT_OF_MEMORY")
"""How CUDA's runtime and its driver say that memory is too small."""


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
            raise MachineError(f'device: expected a GPU for "cuda", found none: {lack()}')
        return Choice("cuda", f"as asked for: {found[0].name}")
    if not found:
        return Choice("cpu", "there is no GPU that can be used")
    if size < worth():
        return Choice("cpu", f"{size / 2**30:.1f} GiB to read are too few for the GPU to pay off")
    return Choice("cuda", f"{size / 2**30:.1f} GiB to read: {found[0].name}")


def worth() -> int:
    """Bytes to read from which a GPU is taken. Raises StudyError for a variable of another form."""
    text = os.environ.get("RSEI_GPU_WORTH")
    try:
        return in_bytes(text) if text else GPU_WORTH
    except ValueError as error:
        raise StudyError(f"RSEI_GPU_WORTH: {error}; rsei bench --device cuda says which") from error


def device_memory(device: str, wanted: int | None) -> int | None:
    """Bytes that a run may take of a GPU, as wanted or most of what is free; None of the cores."""
    if device == "cpu":
        return None
    free, _ = importlib.import_module("cupy").cuda.runtime.memGetInfo()
    return min(wanted or int(SHARE * free), free)


def limit_memory(size: int) -> None:
    """Keep the arrays of this process on its GPU within ``size`` bytes, before the first is made.

    In a pool of RMM where that is installed, so that cuML's arrays are in it too, or else in
    CuPy's own. Where somebody has given CuPy a pool of RMM, as dask-cuda does, it stays.
    """
    cupy = importlib.import_module("cupy")
    if importlib.util.find_spec("rmm") is None:
        cupy.get_default_memory_pool().set_limit(size=size)
        return
    allocator = importlib.import_module("rmm.allocators.cupy").rmm_cupy_allocator
    if cupy.cuda.get_allocator() is allocator:
        return
    half = size // (2 * RMM_UNIT) * RMM_UNIT
    importlib.import_module("rmm").reinitialize(
        pool_allocator=True, initial_pool_size=half, maximum_pool_size=2 * half
    )
    cupy.cuda.set_allocator(allocator)


def home(device: str) -> Any:
    """The library whose arrays live on ``device``: NumPy for ``cpu``, CuPy for ``cuda``."""
    return importlib.import_module("cupy" if device == "cuda" else "numpy")


@dataclass(frozen=True)
class Way:
    """Carries arrays to where they are calculated with, and says how much may be there."""

    device: str
    """``cpu`` or ``cuda``."""

    room: int
    """Bytes that what it carries may take at a time."""

    def __call__(self, array: Any) -> Any:
        """``array``, there."""
        return home(self.device).asarray(array)


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


def out_of_memory(error: Exception) -> bool:
    """Whether an error means that a machine's or a GPU's memory is too small.

    CuPy and RMM raise MemoryError for arrays. Pinned memory that cannot be had, and a kernel whose
    own needs cannot be met, are errors of CUDA's runtime or driver, each of another type.
    """
    return isinstance(error, MemoryError) or any(name in str(error) for name in SHORT)


def free_memory() -> None:
    """Give back what nobody uses, on the host and from CuPy's pools; what is in use stays.

    A pool of RMM stays as large as it is, and is empty.
    """
    let_go()
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


def lack() -> str:
    """What is missing for a GPU, and how to get it."""
    if importlib.util.find_spec("cupy") is None:
        return 'CuPy is not installed; `pip install "rsei[gpu]"`, or take device = "cpu"'
    return (
        "CuPy is installed, but no NVIDIA driver with a GPU answers; see what `nvidia-smi` says, "
        'or take device = "cpu"'
    )
