# SPDX-License-Identifier: Apache-2.0
"""Read headers in processes of their own: parsing holds Python's lock, so threads do not help.

Run as a module, this is such a process: it is told of files, and answers with what is kept of them.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from .catalogues import BadGranule
from .headers import Headers, state_of
from .located import name_of
from .locating import each_located

COMMAND = (sys.executable, "-P", "-m", __name__)
"""What starts a process."""


def read_elsewhere(paths: Sequence[Path], headers: Headers) -> bytes:
    """What another process read of files, for ``Headers.learn``; nothing where it came to grief."""
    files = [os.path.relpath(path, headers.folder) for path in paths]
    request = json.dumps({"folder": str(headers.folder.absolute()), "files": files}).encode()
    try:
        found = subprocess.run(
            COMMAND,
            input=request,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            check=False,
        )
    except OSError:  # no more processes, or no room for one
        return b""
    return b"" if found.returncode else found.stdout


def main() -> None:
    """Answer one request."""
    request = json.load(sys.stdin.buffer)
    headers = Headers(Path(request["folder"]))
    paths = [headers.folder / file for file in request["files"]]
    named = [(path, name) for path in paths if (name := name_of(path.name))]
    states = [state_of(path) for path, _ in named]
    for (path, _), state, placed in zip(named, states, each_located(named)):
        if not isinstance(placed, BadGranule):
            headers.keep(path, state, placed)
    sys.stdout.buffer.write(headers.data)


if __name__ == "__main__":
    main()
