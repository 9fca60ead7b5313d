# SPDX-License-Identifier: Apache-2.0
"""Carry out a study on a GPU that is none: ``python simulated_gpu.py STUDY.toml``, in a process of
its own with NUMBA_ENABLE_CUDASIM=1.

Kernels run in Numba's simulator. Arrays are NumPy's that pass for CuPy's, so whoever mixes the two
kinds is refused as on a GPU; copies and streams are done at once.
"""

import ctypes
import importlib.util
import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray


class Array(np.ndarray[Any, Any]):
    """An array that passes for CuPy's."""

    __module__ = "cupy"

    def get(self) -> NDArray[Any]:
        """It, in NumPy."""
        return np.array(self).view(np.ndarray)

    @property
    def data(self) -> Any:
        """Its memory, to which the host copies."""
        return SimpleNamespace(copy_from_host_async=self.copied)

    def copied(self, address: int, size: int, stream: Any) -> None:
        """Take bytes of the host; they are there before the copy is asked for."""
        assert size <= self.nbytes and self.flags.c_contiguous
        ctypes.memmove(self.ctypes.data, address, size)


class Library(ModuleType):
    """CuPy, of which every function is NumPy's."""

    def __getattr__(self, name: str) -> Any:
        found = getattr(np, name)
        return found if isinstance(found, type) or not callable(found) else made(found)


def made(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, whose arrays pass for CuPy's."""

    def call(*args: Any, **options: Any) -> Any:
        found = function(*args, **options)
        return found.view(Array) if isinstance(found, np.ndarray) else found

    return call


def library() -> Library:
    """What of CuPy a run asks for beside NumPy's functions."""
    stream = SimpleNamespace(ptr=0, wait_event=lambda event: None, synchronize=lambda: None)
    event = SimpleNamespace(record=lambda stream: None, synchronize=lambda: None)
    card = {"name": b"a simulated GPU", "totalGlobalMem": 1 << 34}
    runtime = SimpleNamespace(
        memGetInfo=lambda: (1 << 34, 1 << 34),
        driverGetVersion=lambda: 13000,
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda number: card,
        CUDARuntimeError=RuntimeError,
    )
    pool = SimpleNamespace(set_limit=lambda size: None, free_all_blocks=lambda: None)
    found = Library("cupy")
    found.cuda = SimpleNamespace(  # type: ignore[attr-defined]
        get_current_stream=lambda: stream,
        Stream=lambda non_blocking: stream,
        Event=lambda block, disable_timing: event,
        is_available=lambda: True,
        runtime=runtime,
    )
    found.get_default_memory_pool = lambda: pool  # type: ignore[attr-defined]
    found.get_default_pinned_memory_pool = lambda: pool  # type: ignore[attr-defined]
    return found


def installed() -> None:
    """Put the library where CuPy would be, and no other that asks for a GPU."""
    beside, ranges = ModuleType("cupyx"), ModuleType("cupyx.profiler")
    beside.empty_pinned = np.empty  # type: ignore[attr-defined]
    ranges.time_range = lambda name: nullcontext()  # type: ignore[attr-defined]
    sys.modules |= {"cupy": library(), "cupyx": beside, "cupyx.profiler": ranges}
    known = {"cupy": object(), "rmm": None, "cuml": None}
    find = importlib.util.find_spec
    importlib.util.find_spec = lambda name, *rest: (  # type: ignore[assignment]
        known[name] if name in known else find(name, *rest)
    )
    # The simulator has one stream, and takes NumPy's arrays.
    cuda.external_stream = lambda ptr: ptr
    cuda.as_cuda_array = lambda array, sync: array


if __name__ == "__main__":
    assert os.environ["NUMBA_ENABLE_CUDASIM"] == "1"
    installed()
    import simulated_threads
    import studies

    from rsei.kernels import launch

    simulated_threads.installed()
    launch.THREADS, launch.BLOCKS = simulated_threads.THREADS, simulated_threads.BLOCKS
    outcome = studies.run(Path(sys.argv[1]), until=sys.argv[2], device="cuda")
    assert not outcome.failed, outcome.failed
