# SPDX-License-Identifier: Apache-2.0
"""Read a study file, and say in plain words what is wrong with it."""

import json
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ..sources.errors import StudyError
from ..sources.files import REMOTE
from .complaints import Place, complaints, dotted, endless
from .driver_settings import DriverLayers
from .study import Study

LARGEST = 1 << 20
"""Bytes of a study file: far more than anybody writes."""

SHOWN = 10
"""Problems shown at once."""


PATHS = {
    "out",
    "path",
    "boundary",
    "mines",
    "coast",
    "zones",
    "raster",
    "months",
    "limits_table",
    "loadings_table",
    "published",
    *DriverLayers.model_fields,
}
"""Keys whose texts are paths, wherever they stand."""


def load(path: Path) -> Study:
    """The study in the TOML file ``path``; its relative paths are relative to the file.

    Raises StudyError with every problem found.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise StudyError(f"{path}: expected a study file of at most 1 MiB, found a larger one")
        data = path.read_bytes()
    except FileNotFoundError:
        raise StudyError(f"{path}: there is no such file; `rsei init {path}` writes one") from None
    except OSError as error:
        raise StudyError(f"{path}: expected a study file, found {error.strerror}") from None
    return parse(data, path)


def parse(data: bytes, path: Path) -> Study:
    """The study in the text of the file ``path``.

    Raises StudyError with every problem found.
    """
    try:
        written = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}: expected UTF-8 text, found {error.reason}") from None
    except RecursionError:
        raise StudyError(f"{path}: expected a few levels of tables, found too many") from None
    except ValueError as error:
        raise StudyError(f"{path}: expected TOML, found a fault: {error}") from None
    return valid(written, path)


def valid(written: Mapping[str, Any], path: Path) -> Study:
    """The study of the settings ``written`` in the file ``path``.

    Raises StudyError with every problem found.
    """
    if problems := [*endless(written), *remote(written)]:
        raise StudyError(report(path, problems))
    try:
        as_written = _valid(written)
        study = _valid(anchored(written, path.absolute().parent))
    except ValidationError as error:
        raise StudyError(report(path, complaints(error, Study, written))) from None
    except StudyError as error:  # a wing's own check of its settings
        raise StudyError(f"{path}: {error}") from None
    study._written = as_written.model_dump(mode="json")
    study._file = path.absolute()
    return study


def _valid(settings: Mapping[str, Any]) -> Study:
    # As JSON and strictly: a list may be a tuple and a text a path, but "1" is no number.
    return Study.model_validate_json(json.dumps(settings, default=str), strict=True)


def anchored(settings: Any, folder: Path, key: str = "") -> Any:
    """``settings`` with each path taken relative to ``folder``.

    >>> anchored({"out": "run", "area": [{"mines": "/data/m.gpkg"}]}, Path("/home"))
    {'out': '/home/run', 'area': [{'mines': '/data/m.gpkg'}]}
    """
    if isinstance(settings, dict):
        return {name: anchored(value, folder, name) for name, value in settings.items()}
    if isinstance(settings, list):
        return [anchored(value, folder, key) for value in settings]
    if key in PATHS and isinstance(settings, str):
        return os.path.normpath(folder / Path(settings).expanduser())
    return settings


def remote(settings: Any, place: Place = ()) -> Iterator[str]:
    """A complaint for each path that is none on disk; not the path, which may hold a password.

    >>> list(remote({"area": [{"mines": "https://me:s3cret@my-site.org/m.gpkg"}]}))
    ['area[1].mines: expected a path on disk, found an address; download or unpack it first']
    """
    if isinstance(settings, dict | list):
        named = settings.items() if isinstance(settings, dict) else enumerate(settings)
        for key, inner in named:
            yield from remote(inner, (*place, key))
    elif isinstance(settings, str) and REMOTE.match(settings):
        if any(part in PATHS for part in place[-2:]):
            found = "expected a path on disk, found an address; download or unpack it first"
            yield f"{dotted(place)}: {found}"


def report(path: Path, problems: Sequence[str]) -> str:
    """One message of all ``problems`` with the file ``path``."""
    if len(problems) == 1:
        return f"{path}: {problems[0]}"
    lines = [*problems[:SHOWN], *([f"and {len(problems) - SHOWN} more"] * (len(problems) > SHOWN))]
    return "\n  ".join([f"{path}: {len(problems)} problems", *lines])
