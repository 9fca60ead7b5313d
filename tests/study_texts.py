# SPDX-License-Identifier: Apache-2.0
"""The text of a small study file, and the study that is read from one."""

from pathlib import Path

from rsei.engine.run import reading
from rsei.engine.run.study import Study

MINIMAL = """
[study]
name = "tangshan"
out = "runs/tangshan"
epochs = [2004, 2001]

[granules]
path = "granules"

[[area]]
name = "Tangshan"
boundary = "boundary.gpkg"
"""

HERE = Path("/home/me/study.toml")


def study(text: str = MINIMAL) -> Study:
    return reading.parse(text.encode(), HERE)


def with_line(section: str, line: str) -> str:
    """The minimal study with ``line`` in ``section``, which may be new."""
    if section in MINIMAL:
        return MINIMAL.replace(section, f"{section}\n{line}", 1)
    return f"{MINIMAL}\n{section}\n{line}\n"
