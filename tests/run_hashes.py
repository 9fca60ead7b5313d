# SPDX-License-Identifier: Apache-2.0
"""What of a run must not depend on how it went."""

import hashlib
from pathlib import Path


def hashes(run: Path) -> dict[str, str]:
    """Checksums of every file whose bytes are promised, by its path in the run folder."""
    return {
        path.relative_to(run).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(run.rglob("*"))
        if path.suffix in (".tif", ".csv", ".parquet")
        and path.name != "quarantine.csv"
        and "stac" not in path.parts  # it holds times
    }
