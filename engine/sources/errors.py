# SPDX-License-Identifier: Apache-2.0
"""Errors a user can act on: each says what was expected, what was found, where, and the remedy."""

import os
from pathlib import Path


class RseiError(Exception):
    """A message for the user; the command line prints it without a traceback."""

    exit_code = 1


class StudyError(RseiError):
    """The study file, or an option of a command, asks for something that is not possible."""

    exit_code = 2


class InputError(RseiError):
    """A file that the study names cannot be used."""

    exit_code = 3


class GranuleError(InputError):
    """A granule is damaged, incomplete, or contradicts itself."""


class GridError(InputError):
    """Pixels do not lie where they should."""


class RasterError(InputError):
    """A user's raster cannot be used."""


class BoundaryError(InputError):
    """A polygon layer cannot be used."""


class MachineError(RseiError):
    """The machine lacks something: a library, a GPU, disk, permission."""

    exit_code = 4


class Interrupted(RseiError):
    """The run stopped at a task's edge; the same command resumes it."""

    exit_code = 5


def told_beside(path: Path, message: str) -> str:
    """``message`` of an error in a file, as it stands beside the file's own name.

    Results name no folder of a machine: they are the same wherever it was computed.

    >>> told_beside(Path("/data/a.hdf"), "/data/a.hdf: expected pixels; get /data/a.hdf again")
    'expected pixels; get a.hdf again'
    """
    return message.replace(f"{path.parent}{os.sep}", "").removeprefix(f"{path.name}: ")
