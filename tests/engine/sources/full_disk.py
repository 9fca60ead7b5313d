# SPDX-License-Identifier: Apache-2.0
"""Write a GeoTIFF with less and less room; run as a script by test_geotiff.

The system's limit on the size of a file stands for a full disk: GDAL meets the same short writes.
"""

import json
import resource
import signal
import sys
from pathlib import Path

import numpy as np

from rsei.engine.sources.errors import MachineError
from rsei.engine.sources.geotiff import Form, write_geotiff
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window

WINDOW = Window(10_000, 60_000, 300, 520)
NONE = resource.RLIM_INFINITY


def main(path: Path) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    pixels = np.random.default_rng(0).integers(0, 1 << 30, (2, *WINDOW.shape), dtype=np.int32)
    outcomes = {}
    for compression in ("deflate", "lerc", "lzw"):
        form = Form(("a", "b"), "int32", None, compression=compression)
        write_geotiff(path, pixels, SINUSOIDAL_500M, WINDOW, form)
        size = path.stat().st_size
        for room in (0, 1, 300, size // 3, 2 * size // 3, size - 5000, size - 100, size - 1, size):
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, NONE))
            try:
                write_geotiff(path, pixels, SINUSOIDAL_500M, WINDOW, form)
                outcomes[f"{compression} {room - size}"] = "written"
            except MachineError as error:
                outcomes[f"{compression} {room - size}"] = str(error)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (NONE, NONE))
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
