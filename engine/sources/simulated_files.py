# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all, and only once."""

import os
from collections.abc import Callable
from pathlib import Path


def written_once(path: Path, write: Callable[[Path], object]) -> Path:
    """``path``, made by ``write`` under a temporary name beside it unless it exists already."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{os.getpid()}.{path.name}")
        try:
            write(temporary)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return path
