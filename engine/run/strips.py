# SPDX-License-Identifier: Apache-2.0
"""Write several rasters from one pass over strips."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import Queue
from typing import Any

from numpy.typing import NDArray

from ..sources.geotiff import Form, write_geotiff
from ..sources.grids import Lattice, Window

Strip = tuple[Window, NDArray[Any]]


class StripWriter:
    """A GeoTIFF that is handed its strips from the top; a thread of its own packs them.

    ``write_geotiff`` asks for strips, and two files cannot ask one loop: so each asks a queue.
    """

    def __init__(self, path: Path, lattice: Lattice, window: Window, form: Form) -> None:
        self._queue: Queue[Strip | BaseException | None] = Queue(maxsize=1)
        self._thread = ThreadPoolExecutor(1, "write")
        args = path, self._strips(), lattice, window, form
        self._job: Future[None] = self._thread.submit(write_geotiff, *args)

    def write(self, strip: Window, values: NDArray[Any]) -> None:
        """Hand over (bands, rows, columns). Raises what the writing thread met."""
        if self._job.done():
            self._job.result()
        self._queue.put((strip, values))

    def _strips(self) -> Iterator[Strip]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def __enter__(self) -> "StripWriter":
        """Itself."""
        return self

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        """Finish the file, or give it up after an error; raises what the thread met."""
        if not self._job.done():
            self._queue.put(error)  # None ends the file; an error gives it up
        self._thread.shutdown(wait=True)
        if error is None:
            self._job.result()
