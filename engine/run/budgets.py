# SPDX-License-Identifier: Apache-2.0
"""Memory that tasks take against what a run may use: too large a task is refused, not tried."""

import math
from dataclasses import replace

from ..sources.errors import StudyError
from .analyses import AreaAnalysis
from .driving import DriverTask
from .forests import ForestTask
from .layers import LayerTask
from .survey import Survey
from .tasks import Task, label

GIB = 1 << 30

LEAST = 512 << 20
"""Bytes that a worker needs for the libraries and one strip."""

REMEDIES: tuple[tuple[tuple[type, ...], str], ...] = (
    ((AreaAnalysis,), "take fewer epochs, or its provinces as areas (area.name_field)"),
    ((LayerTask, DriverTask), "set a coarser drivers.resolution, or take provinces as areas"),
    ((ForestTask,), "set forest.sample, a coarser drivers.resolution or fewer forest.trees"),
)
"""What a user can do about a task that needs too much, beside more memory."""


def require_share(workers: int, memory: int) -> None:
    """Raise StudyError where a worker's share of ``memory`` bytes is too small."""
    if memory // workers < LEAST:
        raise StudyError(
            f"--workers: expected at least {LEAST >> 20} MiB of memory a worker, found "
            f"{memory // workers >> 20} of compute.memory; take fewer workers or set it higher"
        )


def shared(survey: Survey, workers: int) -> Survey:
    """The survey for tasks of which ``workers`` are done at a time: each has its share."""
    if workers < 2:
        return survey
    study = survey.study
    share = f"{study.compute.memory_bytes // workers >> 10} KiB"
    compute = study.compute.model_copy(update={"memory": share})
    return replace(survey, study=study.model_copy(update={"compute": compute}))


def on_card(survey: Survey, size: int | None) -> Survey:
    """The survey for tasks that may take ``size`` bytes of a GPU; as it is where there is none."""
    if size is None:
        return survey
    study = survey.study
    compute = study.compute.model_copy(update={"device_memory": f"{size >> 10} KiB"})
    return replace(survey, study=study.model_copy(update={"compute": compute}))


def refusal(task: Task, budget: int) -> StudyError | None:
    """Why a task is not tried with ``budget`` bytes; None where it is."""
    ways = [text for kinds, text in REMEDIES if isinstance(task, kinds)]
    least: int = getattr(task, "least", 0)
    if least > (room := getattr(task, "budget", least)):
        return _too_much_for_a_gpu(task, least, room, ways)
    if task.memory <= budget:
        return None
    enough = _amount(task.memory)
    larger = f'set compute.memory = "{enough}" where there is as much'
    share = f"{budget / GIB:.1f} GiB" if budget >= GIB else f"{budget >> 20} MiB"
    return StudyError(
        f"{label(task)}: expected tasks of at most {share}, the share of compute.memory that one "
        f"has, found one that takes about {enough}; "
        + ", ".join([larger, *ways, "or take fewer --workers, which share it"])
    )


def _amount(size: int) -> str:
    """At least ``size`` bytes, as a study file has them.

    >>> _amount(256 << 20), _amount((1 << 30) + 1)
    ('256 MiB', '2 GiB')
    """
    return f"{math.ceil(size / GIB)} GiB" if size > GIB else f"{-(-size >> 20)} MiB"


def _too_much_for_a_gpu(task: Task, least: int, room: int, ways: list[str]) -> StudyError:
    """For a task of which so much has to be on a GPU at a time, whatever it is cut to."""
    larger = f'set compute.device_memory = "{-(-2 * least >> 20)} MiB" or more where it has as much'
    return StudyError(
        f"{label(task)}: expected at most {room >> 20} MiB on the GPU at a time, found "
        f"{-(-least >> 20)} MiB that cannot be parted; "
        + ", ".join([larger, *ways, 'or take device = "cpu"'])
    )
