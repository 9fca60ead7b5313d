# SPDX-License-Identifier: Apache-2.0
"""A run's own record, ``run.json``, read back: it may have been altered, or cut by a full disk."""

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ..sources.errors import StudyError
from .store import Store, parsed
from .study import Study
from .upkeep import RUN


class Kept(BaseModel):
    """A granule."""

    size: int
    """Bytes."""

    sha256: str
    """Checksum, hexadecimal."""


class Timings(BaseModel):
    """When a run was started, and the seconds of its stages."""

    started: str
    """Time, UTC, ISO 8601."""

    finished: str | None
    """Likewise; None of a run that did not come to its end."""

    seconds: dict[str, float]
    """Time of each stage."""


class RunRecord(BaseModel):
    """What others read of the record; it holds more."""

    study_file: str | None
    """The study file, relative to the run folder."""

    settings: dict[str, Any]
    """Every setting."""

    device: str
    """Processor."""

    granules: dict[str, Kept]
    """Granules, by their path."""

    warnings: list[str]
    """What the run had to say."""

    versions: dict[str, str]
    """Software."""

    timings: Timings
    """When, and how long."""


def ledger(store: Store) -> Mapping[str, Any] | None:
    """The record of the run in the store's folder; None where there is none.

    Settings that a later version has added stand at their defaults. Raises StudyError where it is
    damaged.
    """
    path = store.folder / RUN
    data = store.disk.read(path)
    return None if data is None else _checked(path, data)


@lru_cache(maxsize=1)
def _checked(path: Path, data: bytes) -> Mapping[str, Any]:
    """The record in ``data``, for all to read: a country's takes a tenth of a second to check."""
    found = parsed(path, data)
    try:
        record = RunRecord.model_validate(found, strict=True)
        study = Study.model_validate_json(json.dumps(record.settings), strict=True)
    except (ValidationError, StudyError, ValueError) as error:
        raise StudyError(
            f"{path}: expected the record of a run, found damage ({_first(error)}); "
            "remove the file and run the study again"
        ) from error
    return {**found, "settings": study.model_dump(mode="json")}


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    told = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, told['loc']))}: {told['msg']}"
