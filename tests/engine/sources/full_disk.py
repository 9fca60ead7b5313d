# SPDX-License-Identifier: Apache-2.0
"""Write a GeoTIFF with less and less room; run as a script by test_geotiff.

The system's limit on the size of a file stands for a full disk: GDAL meets the same short writes.
"""

import json
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from rsei.engine.sources.errors import MachineError
from rsei.engine.sources.geotiff import Form, write_geotiff
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window
from rsei.engine.sources.large_cog import write_large_cog

WINDOW = Window(10_000, 60_000, 300, 520)
NONE = resource.RLIM_INFINITY


def small(path: Path) -> dict[str, str]:
    pixels = np.random.default_rng(0).integers(0, 1 << 30, (2, *WINDOW.shape), dtype=np.int32)
    outcomes: dict[str, str] = {}
    for compression in ("deflate", "lerc", "lzw"):
        form = Form(("a", "b"), "int32", None, compression=compression)
        write = partial(write_geotiff, path, pixels, SINUSOIDAL_500M, WINDOW, form)
        outcomes |= {f"{compression} {k}": v for k, v in shortened(path, write).items()}
    return outcomes


def large(path: Path) -> dict[str, str]:
    """Noise in whole tiles: with its overviews the file is longer than what it is made of."""
    pixels = np.random.default_rng(0).integers(0, 1 << 30, (2, 256, 512), dtype=np.int32)
    place = SINUSOIDAL_500M, Window(10_000, 60_000, 256, 512)
    form = Form(("a", "b"), "int32", None)
    write = partial(write_large_cog, path, np.split(pixels, 2, axis=2), *place, form)
    return {f"large {k}": v for k, v in shortened(path, write).items()}


def shortened(path: Path, write: Callable[[], None]) -> dict[str, str]:
    """What comes of a file for which there is less and less room."""
    outcomes: dict[str, str] = {}
    write()
    size = path.stat().st_size
    for room in (0, 1, 300, size // 3, 2 * size // 3, size - 5000, size - 100, size - 1, size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, NONE))
        try:
            write()
            outcomes[str(room - size)] = "written"
        except MachineError as error:
            outcomes[str(room - size)] = str(error)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (NONE, NONE))
    return outcomes


def main(path: Path, made: str = "small") -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    print(json.dumps(small(path) if made == "small" else large(path)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
